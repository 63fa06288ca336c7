#!/bin/bash
# need.sh [TOOL | TOOL?]... checks that Go is as new as go.mod asks and that the tools are there. What is missing it
# installs (root on Debian or Ubuntu), or it prints the command that does. One that ends in ? can be done without.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package=([git]=git [nft]=nftables [cc]='gcc libc6-dev'
	[libyara]='libyara-dev libssl-dev libmagic-dev libjansson-dev zlib1g-dev libbz2-dev liblzma-dev')
declare -A use=([git]='stamp the version' [nft]='compare our blocks with what "nft list ruleset" shows' [cc]='run tests under the race detector'
	[libyara]='look for YARA rules in payload' [unbound]='have a resolver to attack')
declare -A file=([libyara]=/usr/include/yara.h) # of what is no program

want=$(awk '$1 == "go" { print $2 }' go.mod)
command -v go >/dev/null || {
	echo "need: Go is missing. Install $want or newer: https://go.dev/doc/install" >&2
	exit 1
}
# Without GOTOOLCHAIN=local, go fetches the version that go.mod asks for by itself, here.
have=$(go env GOVERSION) || { echo "need: this Go cannot fetch Go $want; install it: https://go.dev/doc/install" >&2; exit 1; }
have=${have#go} have=${have%% *}
printf '%s\n' "$want" "$have" | sort --version-sort --check=quiet || {
	echo "need: Go is $have, go.mod asks for $want. Run: go env -w GOTOOLCHAIN=go$want+auto, or install it: https://go.dev/doc/install" >&2
	exit 1
}

install() {
	export DEBIAN_FRONTEND=noninteractive
	local get=(apt-get -qq -y --no-install-recommends -o Acquire::Retries=1 -o Acquire::http::Timeout=20)
	"${get[@]}" install "$@" >/dev/null 2>&1 || { "${get[@]}" update && "${get[@]}" install "$@"; } >/dev/null 2>&1
}

for argument in "$@"; do
	tool=${argument%\?}
	if [[ -v file[$tool] ]]; then test -e "${file[$tool]}"; else command -v "$tool" >/dev/null; fi && continue
	read -ra packages <<<"${package[$tool]-$tool}"
	if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
		echo "need: installing ${packages[*]}, to ${use[$tool]-run $tool}"
		install "${packages[@]}" && continue
	fi
	echo "need: $tool is missing, to ${use[$tool]-run $tool}. Run: sudo apt-get install ${packages[*]}" >&2
	[[ $argument == *\? ]] || exit 1
done
