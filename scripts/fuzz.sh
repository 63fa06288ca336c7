#!/bin/bash
# fuzz.sh TIME fuzzes every target of every package for TIME (such as 20s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

# go test -list prints the targets of a package, then its "ok" line.
go test -list '^Fuzz' ./... |
	awk '/^Fuzz/ { target[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, target[i]; n = 0 }' |
	while read -r package target; do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package" </dev/null
	done
