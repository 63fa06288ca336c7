package scenario

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// What others say, and what anybody can send in another's name, makes nothing of what was seen here that would
// be acted on without a person: neither an ordinary login or program nor a mistyped password.
func TestDoubt(t *testing.T) {
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	innocent, host, far := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("198.51.100.8")
	in := func(kind event.Kind, proof event.Proof, count int) event.Event {
		return event.Event{Kind: kind, Source: event.Endpoint{Addr: innocent}, Target: event.Endpoint{Addr: host}, Count: count, Proof: proof, Protocol: "tcp", User: "ann"}
	}
	program := event.Event{Kind: event.ProcessExec, User: "ann", Count: 1, Detail: "scratch: /tmp/tool: -x, by /bin/bash"}
	infection := in(event.Worm, event.Spoofable, 1)
	infection.Vulnerability = "CVE-2002-0649"
	inside := in(event.ScanVertical, event.Spoofable, 1)
	inside.Source.Addr = netip.MustParseAddr("192.0.2.77")
	leaving := event.Event{Kind: event.DNSFloodReply, Source: event.Endpoint{Addr: innocent}, Target: event.Endpoint{Addr: far}, Count: 30}
	type seen struct {
		event event.Event
		own   bool
	}
	for what, test := range map[string]struct {
		scenario, does string
		seen           []seen
		doubt          bool
	}{
		"passwords are guessed here":                {"ssh-takeover", "block-source", []seen{{in(event.SSHLoginFailed, event.Handshake, 5), true}}, false},
		"one is mistyped, and others say many":      {"ssh-takeover", "block-source", []seen{{in(event.SSHLoginFailed, event.Handshake, 500), false}, {in(event.SSHLoginFailed, event.Handshake, 1), true}}, true},
		"a login after what was guessed here":       {"ssh-takeover", "run-hook", []seen{{in(event.SSHLoginFailed, event.Handshake, 5), true}, {in(event.SSHLoginAccepted, event.Handshake, 1), true}}, false},
		"a login after what others say":             {"ssh-takeover", "run-hook", []seen{{in(event.SSHTriesExceeded, event.Handshake, 1), false}, {in(event.SSHLoginAccepted, event.Handshake, 1), true}}, true},
		"a program after an exploit here":           {"call-home", "kill-process", []seen{{in(event.HTTPExploit, event.Handshake, 1), true}, {program, true}}, false},
		"a program after an exploit others tell":    {"call-home", "kill-process", []seen{{in(event.HTTPExploit, event.Handshake, 1), false}, {program, true}}, true},
		"a scan with an answered handshake":         {"call-home", "block-source", []seen{{in(event.ScanVertical, event.Handshake, 1), true}}, false},
		"a scan in any name":                        {"call-home", "block-source", []seen{{in(event.ScanVertical, event.Spoofable, 1), true}}, true},
		"a scan in a neighbour's name":              {"call-home", "block-source", []seen{{inside, true}}, true},
		"a datagram in any name":                    {"slammer", "run-hook", []seen{{infection, true}}, true},
		"forged replies that come in":               {"bind-birthday", "block-flow", []seen{{in(event.DNSFloodReply, event.Spoofable, 30), true}}, true},
		"forged replies that leave one's own hosts": {"bind-birthday", "block-flow", []seen{{leaving, true}}, false},
	} {
		t.Run(what, func(t *testing.T) {
			s, ok := must(NewLibrary(Builtin()...)).Named(test.scenario)
			if !ok {
				t.Fatal("there is no such scenario")
			}
			e := New(must(NewLibrary(s)), Limits{})
			var found []Assessment
			for i, x := range test.seen {
				x.event.Time = at.Add(time.Duration(i) * time.Second)
				o := FromEvent(x.event, strconv.FormatBool(x.own), host, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
				o.Own = x.own
				for _, outcome := range e.Observe(x.event.Time, o) {
					if a, ok := outcome.(Assessment); ok && a.Do.Name == test.does {
						found = append(found, a)
					}
				}
			}
			if len(found) == 0 {
				t.Fatalf("%s is not asked for", test.does)
			}
			for _, a := range found {
				if (a.Doubt() != "") != test.doubt {
					t.Errorf("%s: doubt %q", a.Do, a.Doubt())
				}
			}
		})
	}
}

func must(l Library, err error) Library {
	if err != nil {
		panic(err)
	}
	return l
}

// A program is not ended anew because its attacker scans once more, nor because others say that they saw it.
func TestEvidenceOfAMeasure(t *testing.T) {
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	host := netip.MustParseAddr("192.0.2.10")
	e := New(must(NewLibrary(Builtin()...)), Limits{Renew: time.Second})
	var kills []Assessment
	for i, kind := range []event.Kind{event.HTTPScan, event.HTTPExploit, event.ProcessExec, event.HTTPScan} {
		now := at.Add(time.Duration(i) * time.Minute)
		x := event.Event{Time: now, Kind: kind, Count: 1, Proof: event.Handshake, User: "www-data", Detail: "scratch: /tmp/tool: -x"}
		if kind != event.ProcessExec {
			x.Source.Addr, x.Target.Addr = netip.MustParseAddr("203.0.113.9"), host
		}
		o := FromEvent(x, "here", host, nil)
		o.Own = true
		for _, outcome := range e.Observe(now, o) {
			if a, ok := outcome.(Assessment); ok && a.Do.Name == "kill-process" {
				kills = append(kills, a)
			}
		}
	}
	if len(kills) != 2 { // the engine says so again, and the units know by its evidence that it is nothing new
		t.Fatalf("%d assessments: %+v", len(kills), kills)
	}
	for _, a := range kills {
		if want := at.Add(2 * time.Minute); !a.Evidence.Equal(want) {
			t.Errorf("evidence of %s, want %s", a.Evidence, want)
		}
	}
}

// What was proved here is not given up for packets under any number of names.
func TestRoomForWhatIsProved(t *testing.T) {
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	host, guesser := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("203.0.113.9")
	e := New(must(NewLibrary(Builtin()...)), Limits{Steps: 128})
	see := func(kind event.Kind, source netip.Addr, proof event.Proof, count int) (asked []string) {
		at = at.Add(time.Second)
		o := FromEvent(event.Event{Time: at, Kind: kind, Source: event.Endpoint{Addr: source}, Target: event.Endpoint{Addr: host}, Count: count, Proof: proof, User: "ann"}, "here", host, nil)
		o.Own = true
		for _, outcome := range e.Observe(at, o) {
			if a, ok := outcome.(Assessment); ok {
				asked = append(asked, a.Do.Name)
			}
		}
		return asked
	}
	see(event.SSHLoginFailed, guesser, event.Handshake, 5)
	for i := range 2000 {
		see(event.ScanVertical, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), event.Spoofable, 1)
	}
	if asked := see(event.SSHLoginAccepted, guesser, event.Handshake, 1); !slices.Contains(asked, "run-hook") {
		t.Errorf("the login is followed by %q only", asked)
	}
}
