package scenario

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func builtinMeeting(t testing.TB) *Meeting {
	t.Helper()
	all, err := NewLibrary(Builtin()...)
	if err != nil {
		t.Fatal(err)
	}
	return NewMeeting(all)
}

// What one member tells under a key is the same action to who reads it there.
func TestMeeting(t *testing.T) {
	m, at := builtinMeeting(t), time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	n1, n2 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	seen := Observation{ID: "1", Time: at, Kind: event.DNSFloodReply, Source: event.Endpoint{Addr: n1}, Target: event.Endpoint{Addr: n2}, Count: 30, Protocol: "udp"}
	want := []Place{{event.Key{Selector: ByScenario, Value: "bind-birthday|H2=203.0.113.1"}, "source.ip"}, {event.Key{Selector: ByScenario, Value: "bind-birthday|H1=203.0.113.2"}, "target.ip"}}
	places := m.Places("bind-birthday", seen)
	for _, p := range want {
		if !slices.Contains(places, p) {
			t.Errorf("%v are without %v", places, p)
		}
	}
	if len(m.Places("no-such-thing", seen)) > 0 || len(m.Places("bind-birthday", Observation{Kind: event.SSHLoginFailed, Target: seen.Target})) > 0 {
		t.Error("a place of what is no action of the scenario")
	}
	tally := event.Tally{Kind: event.DNSFloodReply, First: at.Unix() - 5, Last: at.Unix(), Spoofable: 30}
	ids := map[string]bool{}
	for _, p := range want {
		o, ok := m.Read(p.Key, tally, "somebody")
		if !ok || o.Kind != seen.Kind || o.Count != 30 || !o.Time.Equal(at) || o.Own || o.Cell != "somebody" || o.field(p.Field) != seen.field(p.Field) {
			t.Errorf("%v reads as %+v, %v", p, o, ok)
		}
		ids[o.ID] = true
	}
	if later, _ := m.Read(want[0].Key, event.Tally{Kind: tally.Kind, First: tally.First, Last: tally.Last + 60, Spoofable: 60}, "somebody"); !ids[later.ID] || len(ids) != 2 {
		t.Errorf("a newer version of the same evidence is another observation")
	}
	for what, key := range map[string]event.Key{
		"another selector":         {Selector: event.BySource, Value: "203.0.113.1"},
		"no scenario of ours":      {Selector: ByScenario, Value: "no-such-thing|H2=203.0.113.1"},
		"no variable that joins":   {Selector: ByScenario, Value: "bind-birthday|Ns=5"},
		"more than there is":       {Selector: ByScenario, Value: "bind-birthday|N=5|6"},
		"no address":               {Selector: ByScenario, Value: "bind-birthday|H2=example.org"},
		"an address spelled oddly": {Selector: ByScenario, Value: "bind-birthday|H2=::ffff:203.0.113.1"},
		"nothing":                  {Selector: ByScenario},
	} {
		if o, ok := m.Read(key, tally, "somebody"); ok {
			t.Errorf("%s: %s reads as %+v", what, key, o)
		}
	}
}

// Whatever a member signs, what is read of it is an observation that the engine takes, and that
// would be told under the same key.
func FuzzMeeting(f *testing.F) {
	f.Add("bind-birthday|H2=203.0.113.1", "flood.syn", uint32(100))
	f.Add("ssh-takeover|A=2001:db8::1", "ssh.login.failed", uint32(1))
	f.Add("bind-birthday|%7C=%25", "dns.flood.reply", uint32(0))
	m := builtinMeeting(f)
	f.Fuzz(func(t *testing.T, value, kind string, count uint32) {
		key := event.Key{Selector: ByScenario, Value: value}
		o, ok := m.Read(key, event.Tally{Kind: event.Kind(kind), First: 1, Last: 1, Proven: count, Spoofable: count}, "somebody")
		if !ok {
			return
		}
		name, _, _, _ := parseKey(key)
		o.Protocol, o.Direction = "udp", Out // what a report does not say, and bindings ask for
		for _, direction := range []Direction{In, Out, Unknown} {
			o.Direction = direction
			if slices.ContainsFunc(m.Places(name, o), func(p Place) bool { return p.Key == key }) {
				return
			}
		}
		t.Errorf("%s of %s reads as %+v, which has no such place", kind, key, o)
	})
}

// What was seen here is acted on; but whom to act on others must not say.
func TestHearsay(t *testing.T) {
	text := `scenario take-over "A stranger comes in, and something is sent out" within 1h
action come-in(A, H) {
  pre:  remote-access(A, H)
  post: inside(A, H)
  binds: ssh.login.accepted {A: source.ip, H: target.ip}
}
action send-out(H, T) {
  pre:  inside(A, H)
  post: sends(H, T)
  binds: connection.chain {H: source.ip, T: target.ip}
}
objective lost(H) { state: sends(H, T) }
countermeasure shut(A, H) {
  pre:  inside(A, H), sends(H, T)
  post: not(sends(H, T))
  do:   block-source {address: A}
}`
	s, err := Parse("take-over.lambda", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLibrary(s...)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	stranger, host, target := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	for _, own := range []bool{true, false} {
		e := New(l, Limits{})
		outcomes := e.Observe(now, Observation{ID: "1", Time: now, Kind: event.SSHLoginAccepted, Source: event.Endpoint{Addr: stranger}, Target: event.Endpoint{Addr: host}, Cell: "a", Own: own})
		outcomes = append(outcomes, e.Observe(now, Observation{ID: "2", Time: now, Kind: event.ConnectionChain, Source: event.Endpoint{Addr: host}, Target: event.Endpoint{Addr: target}, Cell: "b", Own: true})...)
		i := slices.IndexFunc(outcomes, func(o Outcome) bool { _, ok := o.(Assessment); return ok })
		if i < 0 {
			t.Fatalf("own %v: no assessment in %+v", own, outcomes)
		}
		if a := outcomes[i].(Assessment); a.Do.Arguments["address"] != stranger.String() || (len(a.Hearsay) == 0) != own {
			t.Errorf("own %v: %+v", own, a)
		}
	}
}
