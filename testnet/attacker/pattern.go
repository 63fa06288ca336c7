package attacker

import (
	"net/netip"
	"time"
)

// Pattern is one way to attack, or to be mistaken for an attacker.
type Pattern struct {
	Name, About string
	// Sources are the last bytes of the addresses that it comes from. No two
	// patterns share one, so that they do not disturb each other.
	Sources []byte
	// Missing is what it would take to see the pattern where it is Blind.
	Missing string
	steps   func(sources, hosts []netip.Addr) []Step
	expect  func(hosts int) Expectation
}

// Expectation is what the participants must make of a pattern.
type Expectation string

const (
	Block Expectation = "block" // an alert of the federation, and a block at every participant
	Quiet Expectation = "quiet" // no alert: nobody attacks
	// Blind: an attack of which logs of sshd show too little, or nothing.
	Blind Expectation = "blind"
)

// Steps are the connections that the pattern makes to these hosts, from sources
// of the network's prefix.
func (p Pattern) Steps(network netip.Prefix, hosts []netip.Addr) []Step {
	return p.steps(p.From(network), hosts)
}

// From are the addresses that the pattern comes from.
func (p Pattern) From(network netip.Prefix) []netip.Addr {
	var sources []netip.Addr
	for _, last := range p.Sources {
		a := network.Masked().Addr().As4()
		a[3] = last
		sources = append(sources, netip.AddrFrom4(a))
	}
	return sources
}

// Expect says what must come of the pattern against so many hosts, by the
// points of the design's section 4: 20 within an hour over the federation.
func (p Pattern) Expect(hosts int) Expectation { return p.expect(hosts) }

const (
	federation = 20 // points at which the federation blocks
	unknown    = 3  // points of a login to an account that does not exist
	hungUp     = 1  // points of a connection without a login
)

func always(e Expectation) func(int) Expectation { return func(int) Expectation { return e } }

// fromPoints expects a block where each host's points together reach the threshold.
func fromPoints(each int) func(int) Expectation {
	return func(hosts int) Expectation {
		if hosts*each >= federation {
			return Block
		}
		return Blind
	}
}

const packets = "a packet probe"

// Patterns are those of paper 002, section IV, and its scans of section III C.
func Patterns() []Pattern {
	return []Pattern{
		{
			Name: "worm", Sources: []byte{66}, steps: worm, expect: always(Block),
			About: "three logins at every host in turn, then round again: 8 points a host, too few for any host alone",
		},
		{
			Name: "typos", Sources: []byte{200, 201}, steps: typos, expect: always(Quiet),
			About: "alice mistypes and then gets in, at two hosts; bob mistypes and gives up",
		},
		{
			Name: "slow", Sources: []byte{67}, steps: slow, expect: fromPoints(unknown), Missing: "seven hosts",
			About: "one login at each host, 3 points: seven hosts make 21; then, where that was noticed, once more",
		},
		{
			Name: "horizontal", Sources: []byte{68}, steps: horizontal, expect: fromPoints(hungUp), Missing: packets,
			About: "port 22 of every host is opened and closed: 1 point a host in sshd's log",
		},
		{
			Name: "vertical", Sources: []byte{69}, steps: vertical, expect: always(Blind), Missing: packets,
			About: "ports 1 to 100 of one host: sshd logs the one that is its own",
		},
		{
			Name: "mixed", Sources: []byte{70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81}, steps: mixed, expect: always(Blind), Missing: packets,
			About: "12 sources, each at ports 22 and 3306 of two hosts",
		},
	}
}

func port(a netip.Addr, n uint16) netip.AddrPort { return netip.AddrPortFrom(a, n) }

func worm(from, hosts []netip.Addr) []Step {
	const pause = 200 * time.Millisecond
	tries := []Step{
		{User: "root", Passwords: []string{"root", "123456"}},
		{User: "admin", Passwords: []string{"admin"}},
		{User: "oracle", Passwords: []string{"oracle"}},
		{User: "root", Passwords: []string{"toor"}},
		{User: "test", Passwords: []string{"test", "test123"}},
		{User: "ubuntu", Passwords: []string{"ubuntu"}},
	}
	var steps []Step
	for i, host := range hosts {
		for _, s := range tries[3*(i%2):][:3] {
			s.Round, s.Source, s.Target, s.Pause = 1, from[0], port(host, 22), pause
			steps = append(steps, s)
		}
	}
	for _, host := range hosts {
		steps = append(steps, Step{Round: 2, Source: from[0], Target: port(host, 22), User: "pi", Passwords: []string{"raspberry"}, Pause: pause})
	}
	return steps
}

func typos(from, hosts []netip.Addr) []Step {
	const typing = time.Second
	alice, bob := from[0], from[1]
	second, third := hosts[1%len(hosts)], hosts[2%len(hosts)]
	return []Step{
		{Source: alice, Target: port(hosts[0], 22), User: "alice", Passwords: []string{"correct hrose", "correct horse"}, Pause: typing},
		{Source: alice, Target: port(second, 22), User: "alice", Passwords: []string{"Correct horse"}, Pause: typing},
		{Source: alice, Target: port(second, 22), User: "alice", Passwords: []string{"correct horse"}, Pause: typing},
		{Source: bob, Target: port(third, 22), User: "bob", Passwords: []string{"battery stable"}, Pause: typing},
	}
}

func slow(from, hosts []netip.Addr) []Step {
	users := []string{"admin", "test", "oracle", "ubuntu", "postgres", "git", "ftp", "deploy", "pi"}
	var steps []Step
	rounds := 1
	if len(hosts)*unknown >= federation {
		rounds = 2 // the next hour's attempts, which must not come through
	}
	for round := 1; round <= rounds; round++ {
		for i, host := range hosts {
			user := users[i%len(users)]
			steps = append(steps, Step{Round: round, Source: from[0], Target: port(host, 22), User: user, Passwords: []string{user}, Pause: time.Second})
		}
	}
	return steps
}

func horizontal(from, hosts []netip.Addr) []Step {
	var steps []Step
	for _, host := range hosts {
		steps = append(steps, Step{Source: from[0], Target: port(host, 22), Pause: 50 * time.Millisecond})
	}
	return steps
}

func vertical(from, hosts []netip.Addr) []Step {
	var steps []Step
	for n := uint16(1); n <= 100; n++ {
		steps = append(steps, Step{Source: from[0], Target: port(hosts[0], n)})
	}
	return steps
}

func mixed(from, hosts []netip.Addr) []Step {
	var steps []Step
	for i, source := range from {
		for j := range 2 {
			host := hosts[(i+j)%len(hosts)]
			steps = append(steps, Step{Source: source, Target: port(host, 22)}, Step{Source: source, Target: port(host, 3306)})
		}
	}
	return steps
}
