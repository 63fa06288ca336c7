package attacker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/komondor/komondor/testnet/sshd"
)

var network = netip.MustParsePrefix("203.0.113.0/24")

func hosts(n int) []netip.Addr {
	var list []netip.Addr
	for i := range n {
		list = append(list, netip.AddrFrom4([4]byte{203, 0, 113, byte(11 + i)}))
	}
	return list
}

func TestPatterns(t *testing.T) {
	owner := map[netip.Addr]string{}
	for _, p := range Patterns() {
		for _, s := range p.From(network) {
			if owner[s] != "" || s.As4()[3] < 64 {
				t.Errorf("%s comes from %s, which is %s's or a participant's", p.Name, s, owner[s])
			}
			owner[s] = p.Name
		}
		for _, n := range []int{3, 7, 40} {
			steps := p.Steps(network, hosts(n))
			if len(steps) == 0 || len(steps) > 200 {
				t.Errorf("%s makes %d connections to %d hosts", p.Name, len(steps), n)
			}
			for _, s := range steps {
				if owner[s.Source] != p.Name || !slices.Contains(hosts(n), s.Target.Addr()) {
					t.Errorf("%s: %+v", p.Name, s)
				}
			}
		}
	}
}

// TestWormIsTooLittleForAnyHost: what one host sees in the first round is below
// the 10 points at which it would block alone, and three hosts see 20.
func TestWormIsTooLittleForAnyHost(t *testing.T) {
	points, total := map[netip.Addr]int{}, 0
	for _, s := range Patterns()[0].Steps(network, hosts(3)) {
		if s.Round > 1 {
			break
		}
		n := unknown
		if s.User == "root" {
			n = 2 // a failed login to an account that exists
		}
		points[s.Target.Addr()] += n
		total += n
	}
	for host, n := range points {
		if n >= 10 {
			t.Errorf("%s sees %d points", host, n)
		}
	}
	if total < federation {
		t.Errorf("three hosts see %d points together", total)
	}
}

func TestExpectations(t *testing.T) {
	tests := []struct {
		pattern string
		hosts   int
		want    Expectation
	}{
		{"worm", 3, Block}, {"worm", 7, Block}, {"typos", 7, Quiet},
		{"slow", 6, Blind}, {"slow", 7, Block},
		{"horizontal", 7, Blind}, {"horizontal", 20, Block},
		{"vertical", 40, Blind}, {"mixed", 40, Blind},
	}
	for _, test := range tests {
		i := slices.IndexFunc(Patterns(), func(p Pattern) bool { return p.Name == test.pattern })
		if got := Patterns()[i].Expect(test.hosts); got != test.want {
			t.Errorf("%s against %d hosts: %s, want %s", test.pattern, test.hosts, got, test.want)
		}
	}
}

func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := sshd.Server{Users: map[string]string{"root": "", "alice": "secret"}, Log: func([]byte) error { return nil }}
	go func() { done <- server.Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	up, off := netip.MustParseAddrPort(l.Addr().String()), netip.MustParseAddrPort(unused.Addr().String())
	self := netip.MustParseAddr("127.0.0.1")
	steps := []Step{
		{Source: self, Target: up, User: "root", Passwords: []string{"root", "toor"}},
		{Source: self, Target: up, User: "alice", Passwords: []string{"sceret", "secret"}},
		{Source: self, Target: up},
		{Source: self, Target: off},
	}
	var got []Outcome
	err = Run(ctx, steps, func(a Attempt) error { got = append(got, a.Outcome); return nil })
	if want := []Outcome{Refused, LetIn, Open, Closed}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	steps[0].Source = netip.MustParseAddr("203.0.113.66") // which this host does not have
	if err := Run(ctx, steps, func(Attempt) error { return nil }); err == nil {
		t.Error("an attack from another's address succeeded")
	}
}

func TestSilentHostsAreLeftAloneForARound(t *testing.T) {
	three := hosts(2)
	deaf := three[1]
	var steps []Step
	for round := range 2 {
		for _, host := range three {
			for range 3 {
				steps = append(steps, Step{Round: round, Target: netip.AddrPortFrom(host, 22)})
			}
		}
	}
	tried := map[netip.Addr]int{}
	pretend := func(_ context.Context, s Step) (Outcome, error) {
		if tried[s.Target.Addr()]++; s.Target.Addr() == deaf {
			return NoAnswer, nil
		}
		return Open, nil
	}
	err := run(t.Context(), steps, pretend, func(Attempt) error { return nil })
	if err != nil || tried[three[0]] != 6 || tried[deaf] != 2 {
		t.Errorf("tried %v, %v", tried, err)
	}
	broken := errors.New("standard output is gone")
	if err := run(t.Context(), steps, pretend, func(Attempt) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
