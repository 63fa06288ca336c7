# Packages small enough to run under the race detector on every change.
RACE     ?= ./event ./keyselect ./probe/... ./overlay ./correlate/... ./broadcast ./federation ./store ./block
FUZZTIME ?= 20s
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: help build test demo bench lint fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/komondor, one static file
	@scripts/need.sh
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/komondor ./cmd/komondor

test: ## formatting, vet, all tests, then the small packages under the race detector
	@scripts/need.sh 'nft?' 'cc?'
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt -w these:" $$files; exit 1; }
	go vet ./...
	go test ./...
	@if command -v cc >/dev/null; then set -x; CGO_ENABLED=1 go test -race $(RACE); \
	else echo "race run skipped: no C compiler"; fi

demo: build ## an attack on a few nodes, caught on your screen
	go run ./testnet/demo

bench: ## all benchmarks
	go test -run '^$$' -bench . ./...

lint: ## the linters of .golangci.yml
	go run $(LINT) run

fuzz: ## every fuzz target for FUZZTIME=20s
	scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what make made
	rm -rf bin
