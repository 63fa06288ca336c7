#!/bin/bash
# faults.sh runs the long forms of what hostile members and strangers may do, and of what befalls disks, power and
# clocks, one package after the other, and prints a table of the figures. It fails when a test does; what the tests say
# else is shown then.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
run() { go test -v -count 1 -timeout 1h "$@" >>"$log" 2>&1 || failed=1; }

run ./block -run '^TestHostileProposals$' -proposals 1000000
run ./overlay -run '^Test(FloodStarvesNobody|HungCollectorsHoldUpNobody|Siege)$' -attempts 10000
run ./testnet/virtual -run '^Test(Slander|HostileCollectors|Replays|Malformed|Spoofed|Flood|Privacy)$' -faults
run ./store -run '^Test(Kill|PowerCut|NoSyncIsCaught|FailingDisk)$' -kills 1000 -cuts 300
run ./testnet -run '^Test(DiskFails|NoDescriptors|PowerCutWhileFounding)$' -faults
run ./testnet/virtual -run '^TestClocks$' -faults
run ./block -run '^TestClockIsSet$'
run ./testnet/virtual -run '^Test(HalfDestroyed|Partition|PartitionedEvidence|HungCollector|ComingAndGoing|Loss)$' -faults
run ./testnet/lab -run '^TestLossyWires$' -losses 10

printf '| fault | target | measured |\n| --- | --- | --- |\n'
sed -n 's/^.*: fault | \(.*\)$/| \1 |/p' "$log"
if ((failed)); then
	printf '\n' >&2
	cat "$log" >&2
	exit 1
fi
grep -- '--- SKIP' "$log" || true
