# Packages small enough to run under the race detector on every change.
RACE     ?= ./event ./control ./node ./keyselect ./probe/... ./overlay ./correlate/... ./broadcast ./federation ./store ./block ./respond
FUZZTIME ?= 20s
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The linker warns of what libcrypto would need to open sockets, which libyara does not have it do.
BUILD    := go build -trimpath -ldflags '-X main.version=$(VERSION) -extldflags -static' -o bin/komondor ./cmd/komondor

# The test network: how many participants, where (docker, netns or auto), and which attack.
NODES    ?= 7
ON       ?= auto
PATTERN  ?= all

.PHONY: help build test birthday virtual simulate faults paper demo image testnet testnet-down bench bench-text bench-packets bench-system lint fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/komondor, one static file; with libyara where that can be linked
	@scripts/need.sh 'cc?' 'libyara?'
	scripts/yara.sh $(BUILD)
	@if ldd bin/komondor >/dev/null 2>&1; then echo "build: that is no static file; again without libyara"; CGO_ENABLED=0 $(BUILD); fi

test: ## formatting, vet, all tests, then the small packages under the race detector
	@scripts/need.sh 'nft?' 'cc?' 'libyara?' 'unbound?'
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt -w these:" $$files; exit 1; }
	go vet ./...
	go test -timeout 30m ./...
	scripts/yara.sh go test ./probe/payload
	scripts/yara.sh go test -run TestTerminal/yara ./cmd/komondor
	@if command -v cc >/dev/null; then set -x; CGO_ENABLED=1 go test -race -timeout 30m $(RACE); \
	else echo "race run skipped: no C compiler"; fi

birthday: ## the BIND Birthday Attack of paper 000 on three cells, with a real resolver: reached, then prevented (root, unbound); a minute
	@scripts/need.sh unbound
	go test -v -count=1 ./testnet/birthday -args -undefended

virtual: ## overlays of up to 300 nodes, and of a day, in virtual time: some twenty minutes
	go test -v -timeout 2h ./testnet/virtual -large

faults: ## liars, floods, partitions, loss, churn, power cuts, failing disks: long forms, as a table; an hour
	scripts/faults.sh

paper: ## paper 002 again, and what is found in labelled data: tables here, figures in build/paper; a minute or two
	go run ./testnet/cmd/paper

simulate: bin/testnet ## a hundred to a million virtual nodes: hops, messages, load, coverage; figures in build/simulate; ten minutes
	bin/testnet simulate --nodes 100,1000,10000,100000,1000000 --out build/simulate

demo: build ## an attack on a few nodes, caught on your screen
	go run ./testnet/demo

image: build bin/testnet ## container images komondor:VERSION and komondor-testnet:VERSION, from scratch
	docker build --quiet --target testnet --tag komondor-testnet:$(VERSION) --file Dockerfile bin
	docker build --quiet --target komondor --tag komondor:$(VERSION) --file Dockerfile bin

testnet: build bin/testnet ## NODES=7 participants with firewalls of their own, attacked in every PATTERN
	@if [ $(ON) != netns ] && docker version >/dev/null 2>&1; then $(MAKE) --no-print-directory image; fi
	bin/testnet up --nodes $(NODES) --on $(ON)
	bin/testnet attack --pattern $(PATTERN)
	bin/testnet status

testnet-down: bin/testnet ## remove the test network's containers, namespaces and files
	bin/testnet down

.PHONY: bin/testnet # go knows better than make what is new
bin/testnet:
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/testnet ./testnet/cmd/testnet

bench: ## all benchmarks
	go test -run '^$$' -bench . ./...

bench-system: ## whole processes: line to kernel set, idle memory, memory under a flood of sources (root; some 20 minutes)
	go test -run '^$$' -bench LineToKernelSet -benchtime 200x ./testnet -args -system
	go test -run '^$$' -bench 'Idle|ManySources' -benchtime 1x -timeout 2h ./testnet -args -system

bench-text: ## our sshd parser against a plain line scan, sshguard's parser and fail2ban-regex
	GOMAXPROCS=1 go test -run '^$$' -bench '^BenchmarkPeers$$' -benchtime 7x ./probe

bench-packets: ## packets: decoding, reading beside tcpdump and tshark, a node that watches 200,000 a second (root)
	go test -run '^$$' -bench '^Benchmark(Decode|File)$$' -cpu 1 ./probe/packet
	GOMAXPROCS=1 go test -run '^$$' -bench '^BenchmarkPeers$$' -benchtime 5x ./probe/packet
	scripts/yara.sh go test -run '^$$' -bench '^BenchmarkLivePackets$$' -benchtime 1x ./testnet -args -system

lint: ## the linters of .golangci.yml
	go run $(LINT) run

fuzz: ## every fuzz target for FUZZTIME=20s
	scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what make made
	rm -rf bin build/paper
