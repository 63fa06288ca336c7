package detect

import (
	"net/netip"
	"time"
)

// Config says whose network is watched and what is too much. The zero value of each
// field stands for its default.
type Config struct {
	// Home is the watched networks. Without it nothing has a direction: forged sources
	// are recognised only where they are nobody's, and refused connections are reported
	// whoever was called.
	Home []netip.Prefix
	// MemoryMiB bounds all tables together. Default 64, at least 1.
	MemoryMiB int

	// Window is how long a try is remembered: a scan that is slower than its threshold
	// in this time is not seen here. Default 6 hours.
	Window time.Duration
	// Hosts is at how many hosts a port must be tried in vain for a horizontal scan. Default
	// 15: more than a host that mistypes or has an outdated list, fewer than Zeek's 25.
	Hosts int
	// Ports is how many ports of a host must be tried in vain for a vertical scan. Default 10.
	Ports int
	// Pairs is how many ports of hosts (five hosts and five ports at least) must be
	// tried in vain for a mixed scan; only ports of well-known services count. Default 25.
	Pairs int
	// Swept is how many hosts must be asked by ICMP for a sweep. Default 10.
	Swept int
	// Stealth is how many packets with impossible flags make a stealth scan. Default 3.
	Stealth int

	// SYN limits the connections to a port of a host that are begun and not completed.
	// Default 20 a second and a burst of 150.
	SYN Limit
	// UDP limits the datagrams to a host that answers none of them. Default 1,000 a
	// second and a burst of 2,000.
	UDP Limit
	// ICMP limits the requests to a host, and replies it did not ask for. Default 100 a
	// second and a burst of 500.
	ICMP Limit
	// Queries limits what one client asks of a name server beyond what is answered.
	// Default 100 a second and a burst of 1,000.
	Queries Limit
	// Names limits the different names of one zone that a name server is asked for
	// beyond those that exist. Default 20 a second and a burst of 200.
	Names Limit
	// Repeats limits the same question of one client to a name server. Default 10 a
	// second and a burst of 100.
	Repeats Limit
	// Replies limits the answers to one name that a client did not ask for. Default 2 a
	// second and a burst of 30.
	Replies Limit
	// Sessions limits the short sessions of like size of one client with SSH or a remote
	// desktop. Default one a minute and a burst of 8. Encrypted mail, which clients
	// fetch often, may have four times both.
	Sessions Limit
}

// Limit is a leaky bucket: Burst observations at once, and Rate a second for ever, are
// nothing out of the ordinary.
type Limit struct{ Rate, Burst float64 }

func (l *Limit) orElse(rate, burst float64) {
	if *l == (Limit{}) {
		*l = Limit{rate, burst}
	}
}

func orElse[N int | time.Duration](n *N, otherwise N) {
	if *n <= 0 {
		*n = otherwise
	}
}

func (c *Config) complete() {
	orElse(&c.MemoryMiB, 64)
	orElse(&c.Window, 6*time.Hour)
	orElse(&c.Hosts, 15)
	orElse(&c.Ports, 10)
	orElse(&c.Pairs, 25)
	orElse(&c.Swept, 10)
	orElse(&c.Stealth, 3)
	c.SYN.orElse(20, 150)
	c.UDP.orElse(1000, 2000)
	c.ICMP.orElse(100, 500)
	c.Queries.orElse(100, 1000)
	c.Names.orElse(20, 200)
	c.Repeats.orElse(10, 100)
	c.Replies.orElse(2, 30)
	c.Sessions.orElse(1./60, 8)
}
