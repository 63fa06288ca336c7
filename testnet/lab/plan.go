// Package lab is the test network: participants with addresses and firewalls of
// their own, each with a real SSH service, and an attacker. It runs in
// containers or, where no Docker engine answers, in network namespaces.
package lab

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// project names all that the lab makes on a machine.
const project = "komondor-testnet"

// attackerName is the member that is no participant.
const attackerName = "attacker"

// Fewest and Most bound the participants: below the worm would be blocked by
// its victims alone, and above the machine is rather slow than tested.
const (
	Fewest = 3
	Most   = 40
)

// introductions is the TCP port at which the first participant shows the
// others, by `komondor join --http`, at which address it can be joined.
const introductions = 4080

// Network is one segment, with everybody on it: participants from .11 on, the
// attacker at .64 and, while it attacks, at the addresses of its patterns. It
// is a documentation range (RFC 5737), so no rule about private addresses needs
// bending. One range and not several, because Docker drops what crosses its
// internal networks with a source of another.
func Network() netip.Prefix { return netip.MustParsePrefix("203.0.113.0/24") }

func at(last int) netip.Addr {
	a := Network().Addr().As4()
	a[3] = byte(last)
	return netip.AddrFrom4(a)
}

// Address is where a member is: "node3" or "attacker".
func Address(member string) (netip.Addr, error) {
	if member == attackerName {
		return at(64), nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(member, "node"))
	if err != nil || n < 1 || n > Most || member != nodeName(n) {
		return netip.Addr{}, fmt.Errorf("%q is no member of the test network", member)
	}
	return at(10 + n), nil
}

func nodeName(n int) string { return "node" + strconv.Itoa(n) }

func members(nodes int) []string {
	names := []string{attackerName}
	for n := range nodes {
		names = append(names, nodeName(n+1))
	}
	return names
}

// users are the accounts of every participant; attackers do not know the
// passwords, and root has none.
func users() map[string]string {
	return map[string]string{"root": "", "alice": "correct horse", "bob": "battery staple"}
}
