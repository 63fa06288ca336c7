package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

func load(t testing.TB, text string) Rules {
	t.Helper()
	list, err := Load("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := NewRules(list, event.Kind.Severity)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// correlation is a rule's file with a correlation section of the given lines.
func correlation(lines ...string) string {
	return "title: T\nname: test\ncorrelation:\n  " + strings.Join(lines, "\n  ")
}

// What is wrong in a file is said with its place and what to write instead.
func TestLoadErrors(t *testing.T) {
	good := []string{"type: event_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 3}"}
	with := func(i int, line string) string {
		lines := append([]string(nil), good...)
		lines[i] = line
		return correlation(lines...)
	}
	if _, err := Load("test.yml", []byte(correlation(good...))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"title: [", "test.yml:1:1: did not find expected node content: this is no YAML"}, {"title: T\nname: x\n  y: z", "test.yml:3:1: mapping values are not allowed"},
		{"- a", "test.yml:1:1: want a mapping"},
		{"title: T\nnmae: x", `test.yml:2:1: there is no "nmae" here: want one of`},
		{"title: T\ntitle: U\nname: x", `test.yml:2:1: "title" is there twice`},
		{"title: T\nname: x", "test.yml:1:1: want `detection:`"},
		{"name: x\ncorrelation: {}", "title: is missing"},
		{"title: T\ncorrelation: {}", "name: is missing"},
		{"title: T\nname: Bad Name\ncorrelation: {type: event_count, rules: [ssh.*], group-by: kind, timespan: 1h, condition: {gte: 1}}", `name "Bad Name"`},
		{correlation(), "test.yml:3:13: want a mapping"},
		{with(0, "typ: event_count"), `test.yml:4:3: there is no "typ" here`},
		{with(0, "type: event_sum"), `test.yml:4:9: type "event_sum": want one of`},
		{with(1, "rules: [shh.*]"), `test.yml:5:11: rules: "shh.*" is neither a base rule of this file nor a kind`},
		{with(1, "rules: []"), "rules: the list is empty"},
		{with(2, "group-by: [source.host]"), "test.yml:6:14: group-by:"},
		{with(2, "group-by: [kind, kind]"), "each once"},
		{with(3, "timespan: 10 minutes"), `test.yml:7:13: timespan "10 minutes": want a number with s, m, h or d`},
		{with(3, "timespan: 10s"), "test.yml:4:3: rule test: want a timespan of a minute to 30 days"},
		{with(3, "timespan: 31d"), "want a timespan of a minute to 30 days"},
		{with(4, "condition: {lte: 3}"), "test.yml:8:20: lte: evidence still comes from others"},
		{with(4, "condition: {gte: 3, gt: 2}"), "want one of gte and gt"},
		{with(4, "condition: {gte: no}"), `test.yml:8:20: "no": want a whole number`},
		{with(4, "condition: {field: user, gte: 3}"), "a field does not go with event_count"},
		{correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: shoe, gte: 3}"), `test.yml:8:22: condition: field "shoe"`},
		{correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: target.ip, gte: 17}"), "exact up to 16"},
		{correlation("type: value_sum", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 3}"), "want severity"},
		{correlation("type: temporal_ordered", "rules: [ssh.*, http.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 1}"), "all 2 rules of a temporal_ordered rule must be met"},
		{correlation("type: temporal", "rules: [ssh.*, http.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 3}"), "3 of 2 rules"},
		{correlation(good...) + "\nkomondor: {quorum: 2}", `test.yml:9:12: there is no "quorum" here: want one of ["levels" "federation" "blocks" "local" "prefix"]`},
		{correlation(good...) + "\nkomondor: {prefix: {sources: 3}}", "belongs to rules with group-by: [source.subnet]"},
		{with(2, "group-by: [source.subnet]") + "\nkomondor: {blocks: true, prefix: {sources: 1}}", "whole number of 2 or more"},
		{with(2, "group-by: [source.subnet]") + "\nkomondor: {blocks: true, prefix: {sources: 65}}", "want up to 64"},
		{with(2, "group-by: [source.subnet, kind]") + "\nkomondor: {blocks: true}", "groups by source.subnet alone"},
		{correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.subnet]", "timespan: 10m", "condition: {field: target.ip, gte: 3}") + "\nkomondor: {blocks: true}", "want value_sum or event_count"},
		{correlation(good...) + "\nkomondor: {federation: {quorum: 0}}", "whole number of 1 or more"},
		{correlation(good...) + "\nlevel: loud", `level "loud": want one of`},
		{"name: base\ndetection: {a: {kind: x}}", "condition: is missing"},
		{"name: base\ndetection: {a: {shoe: x}, condition: a}", `test.yml:2:23: events have no field "shoe"`},
		{"name: base\ndetection: {a: {kind|re: x}, condition: a}", `there is no modifier "re"`},
		{"name: base\ndetection: {a: {kind: x}, condition: a and b}", `there is no search "b"`},
		{"name: base\ndetection: {a: {kind: x}, condition: (a}", "a ) is missing"},
		{"name: base\ndetection: {a: {kind: x}, condition: a a}", `"a" is too much`},
		{"name: base\ndetection: {a: {source.ip|cidr: x}, condition: a}", "want a prefix"},
		{"name: base\ndetection: {a: {kind: x}, condition: a}\nkomondor: {blocks: true}", "belongs to correlation rules only"},
	} {
		if _, err := Load("test.yml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		} else if strings.Count(err.Error(), c.want) > 1 {
			t.Errorf("%s\nis told more than once:\n%v", c.text, err)
		}
	}
}

// sees runs one member's events through views and a ledger, and judges what a key holds.
func sees(t *testing.T, rules Rules, scope Scope, key event.Key, members ...[]event.Event) (Verdict, bool) {
	t.Helper()
	var said []Testimony
	for i, events := range members {
		l := NewLedger(rules, 1000, hash)
		for _, e := range events {
			for view := range rules.Views(e) {
				if rules.All()[0].Counts(view.Kind) {
					l.Add(key, Change{view, 1})
				}
			}
		}
		var shared []event.Tally
		for _, tally := range l.Tallies(key) {
			if scope == Home || rules.Leaves(tally.Kind) {
				shared = append(shared, tally)
			}
		}
		said = append(said, say(fmt.Sprint("m", i), shared...))
	}
	verdicts := rules.Judge(scope, key, said)
	if len(verdicts) == 0 {
		return Verdict{}, false
	}
	return verdicts[0], true
}

func login(user string, seconds int) event.Event {
	e := seen(event.SSHLoginFailed, seconds)
	e.User, e.Target.Port = user, 22
	return e
}

const rootLogins = `
name: root-login
detection:
  root: {kind: ssh.login.failed, user: [root, toor]}
  known: {source.ip|cidr: 198.51.100.0/24}
  condition: root and not known
---
`

func TestTypes(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		scope  Scope
		saw    [][]event.Event
		want   int // the score; 0: no verdict
		before int // events of the last member without which there is none; 0: not tried
	}{
		"event_count": {correlation("type: event_count", "rules: [ssh.login.failed]", "group-by: [source.ip]", "timespan: 10m", "condition: {gt: 2}"), Home,
			[][]event.Event{{login("a", 0), login("b", 10), login("c", 20)}}, 3, 1},
		"event_count of two": {correlation("type: event_count", "rules: [ssh.login.failed]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 4}"), Federation,
			[][]event.Event{{login("a", 0), login("b", 10), login("c", 20)}, {login("a", 0), login("a", 1)}}, 5, 2},
		"base rule": {rootLogins + correlation("type: event_count", "rules: [root-login]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 2}"), Home,
			[][]event.Event{{login("root", 0), login("ann", 10), login("TOOR", 20)}}, 2, 1},
		"users": {correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: user, gte: 3}"), Home,
			[][]event.Event{{login("a", 0), login("a", 10), login("b", 20), login("c", 30)}}, 3, 1},
		"users leave no host": {correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: user, gte: 2}"), Federation,
			[][]event.Event{{login("a", 0), login("b", 20)}, {login("c", 0), login("d", 20)}}, 0, 0},
		"value_avg": {correlation("type: value_avg", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: severity, gte: 3}"), Home,
			[][]event.Event{{login("a", 0), seen(event.SSHTriesExceeded, 5), seen(event.SSHUserInvalid, 6)}}, 3, 2},
		"temporal": {correlation("type: temporal", "rules: [ssh.*, http.scan, ids.*]", "group-by: [source.ip]", "timespan: 10m"), Federation,
			[][]event.Event{{seen(event.IDSHigh, 0), login("a", 1)}, {seen(event.HTTPScan, 2)}}, 3, 1},
		"temporal, two of three": {correlation("type: temporal", "rules: [ssh.*, http.scan, ids.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 2}"), Home,
			[][]event.Event{{seen(event.IDSHigh, 0), login("a", 1)}}, 2, 1},
		"in order": {correlation("type: temporal_ordered", "rules: [connection.refused, ssh.login.failed, ssh.login.accepted]", "group-by: [source.ip]", "timespan: 1h"), Home,
			[][]event.Event{{seen(event.ConnectionRefused, 0), login("a", 200), {Time: at(500), Kind: event.HTTPScan, Count: 1, Source: login("", 0).Source, Proof: event.Handshake}, login("a", 600)}}, 0, 0},
		"scan then login": {correlation("type: temporal_ordered", "rules: [connection.refused, ssh.login.failed]", "group-by: [source.ip]", "timespan: 1h"), Home,
			[][]event.Event{{seen(event.ConnectionRefused, 0), login("a", 200)}}, 2, 1},
		"login then scan": {correlation("type: temporal_ordered", "rules: [connection.refused, ssh.login.failed]", "group-by: [source.ip]", "timespan: 1h"), Home,
			[][]event.Event{{login("a", 0), seen(event.ConnectionRefused, 200)}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rules := load(t, c.text)
			v, ok := sees(t, rules, c.scope, bySource, c.saw...)
			if ok != (c.want > 0) || v.Score != c.want {
				t.Errorf("crossed %v with score %d, want %d", ok, v.Score, c.want)
			}
			if c.before > 0 {
				last := len(c.saw) - 1
				c.saw[last] = c.saw[last][:len(c.saw[last])-c.before]
				if _, ok := sees(t, rules, c.scope, bySource, c.saw...); ok && c.want > 0 {
					t.Error("crossed with less")
				}
			}
		})
	}
}

// A host that is attacked and then attacks has one key, under an alias.
func TestAliases(t *testing.T) {
	rules := load(t, `
name: hit
detection: {s: {kind: ids.alert.high}, condition: s}
---
name: hits
detection: {s: {kind|startswith: scan.}, condition: s}
---
title: A host that was hit and then scans
name: turned
correlation:
  type: temporal_ordered
  rules: [hit, hits]
  group-by: [host]
  aliases: {host: {hit: target.ip, hits: source.ip}}
  timespan: 1h
`)
	if r, _ := rules.Named("turned"); !r.Local {
		t.Error("whole addresses of targets may leave the host")
	}
	hit, scan := seen(event.IDSHigh, 0), seen(event.ScanVertical, 300)
	hit.Target.Addr, scan.Source.Addr = attacker, attacker
	hit.Source.Addr = netip.MustParseAddr("198.51.100.7")
	if v, ok := sees(t, rules, Home, bySource, []event.Event{hit, scan}); !ok || v.Score != 2 {
		t.Errorf("crossed %v, score %d", ok, v.Score)
	}
	views := 0
	for view := range rules.Views(hit) {
		if views++; views == 2 && (view.Source.Addr != attacker || view.Kind.Plain() != event.IDSHigh || rules.Leaves(view.Kind)) {
			t.Errorf("view %+v", view)
		}
	}
	if views != 2 {
		t.Errorf("%d views", views)
	}
}

// Each base rule of a rule that says generate is a rule by itself.
func TestGenerate(t *testing.T) {
	rules := load(t, rootLogins+"generate: true\n"+correlation("type: event_count", "rules: [root-login]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 5}"))
	if r, ok := rules.Named("root-login"); !ok || r.Home.AtLeast != 1 || r.Blocks {
		t.Errorf("%+v, %v", r, ok)
	}
	if v, ok := sees(t, rules, Home, bySource, []event.Event{login("root", 0)}); !ok || v.Rule.Name != "root-login" {
		t.Errorf("%+v, %v", v, ok)
	}
}

// No organisation alone has the stages of a temporal rule met over the federation, whatever it
// makes up.
func TestTemporalNeedsTheQuorum(t *testing.T) {
	rules := load(t, correlation("type: temporal", "rules: [ssh.*, http.scan, ids.*, ftp.*]", "group-by: [source.ip]", "timespan: 10m"))
	all := []event.Event{login("a", 0), seen(event.HTTPScan, 1), seen(event.IDSHigh, 2), seen(event.FTPLoginFailed, 3)}
	if _, ok := sees(t, rules, Federation, bySource, all, nil); ok {
		t.Error("one organisation is enough")
	}
	if _, ok := sees(t, rules, Federation, bySource, all, all[:1]); ok {
		t.Error("three stages are one organisation's alone")
	}
	if _, ok := sees(t, rules, Federation, bySource, all, all[:2]); !ok {
		t.Error("two organisations with two stages each are not enough")
	}
}

func FuzzLoad(f *testing.F) {
	for _, text := range Files() {
		f.Add(text)
	}
	f.Add([]byte(rootLogins + correlation("type: event_count", "rules: [root-login]", "group-by: [source.ip, kind]", "timespan: 10m", "condition: {gte: 5}")))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Load("fuzz.yml", text)
		if err != nil {
			return
		}
		rules, err := NewRules(list, event.Kind.Severity)
		if err != nil {
			return // two of one name
		}
		for view := range rules.Views(login("root", 0)) {
			_ = view
		}
		related, err := LoadRelations("fuzz.yml", text)
		if err != nil {
			t.Fatalf("Load reads it, and LoadRelations says %v", err)
		}
		if rules, err = rules.With(related...); err != nil {
			return // likewise
		}
		links, chains := NewLinks(rules), NewChains(rules)
		for i, kind := range event.Kinds() {
			links.Add(Change{by("sensor", kind, float64(i)), 1 - 2*(i%2)})
			chains.Add(at(i), by("sensor", kind, float64(i)))
		}
		chains.Tick(at(1<<20), func(e event.Event) {
			if e.Source.Addr.IsValid() {
				t.Fatalf("a consequence that is missing accuses somebody: %+v", e)
			}
		})
	})
}

// BenchmarkLoad loads a thousand rules from as many documents of one file.
func BenchmarkLoad(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "title: Rule %[1]d\nname: rule-%[1]d\ncorrelation:\n  type: value_sum\n  rules: [ssh.*, http.scan]\n  group-by: [source.ip]\n  timespan: 10m\n  condition: {field: severity, gte: %[2]d}\nkomondor:\n  federation: {timespan: 1h, gte: 20, quorum: 2}\n  blocks: true\n---\n", i, 10+i%5)
	}
	b.ReportAllocs()
	for b.Loop() {
		list, err := Load("many.yml", []byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := NewRules(list, event.Kind.Severity); err != nil {
			b.Fatal(err)
		}
	}
}

// Base rules belong to their file: one of the same name in another file picks out something else, and each
// rule counts what its own does, whichever is loaded first.
func TestBaseRulesOfOneName(t *testing.T) {
	file := func(user string) []Rule {
		rules, err := Load(user+".yml", []byte("name: a-login\ndetection: {who: {kind: ssh.login.failed, user: "+user+"}, condition: who}\n---\n"+
			strings.Replace(correlation("type: event_count", "rules: [a-login]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 1}"), "name: test", "name: guess-"+user, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return rules
	}
	for _, list := range [][]Rule{slices.Concat(file("root"), file("bob")), slices.Concat(file("bob"), file("root"))} {
		for range 2 { // what rules are made of is left as it is
			rules, err := NewRules(list, event.Kind.Severity)
			if err != nil {
				t.Fatal(err)
			}
			for _, user := range []string{"root", "bob"} {
				l := NewLedger(rules, 1000, hash)
				for view := range rules.Views(login(user, 0)) {
					l.Add(bySource, Change{view, 1})
				}
				v := rules.Judge(Home, bySource, []Testimony{say("m", l.Tallies(bySource)...)})
				if len(v) != 1 || v[0].Rule.Name != "guess-"+user {
					t.Errorf("%s first, a login as %s: %+v", list[0].Name, user, v)
				}
			}
		}
	}
}

// What a selection picks out leaves the host only where a rule is judged together that counts it.
func TestOwnSelectionsStay(t *testing.T) {
	for _, own := range []bool{false, true} {
		list, err := Load("test.yml", []byte(rootLogins+correlation("type: event_count", "rules: [root-login]", "group-by: [source.ip]", "timespan: 10m", "condition: {gte: 5}")))
		if err != nil {
			t.Fatal(err)
		}
		list[0].Local = own
		rules, err := NewRules(list, event.Kind.Severity)
		if err != nil {
			t.Fatal(err)
		}
		if kind := event.SSHLoginFailed.Selected("root-login"); rules.Leaves(kind) == own || !rules.Leaves(kind.Plain()) {
			t.Errorf("judged at home only: %t, what it counts leaves: %t", own, rules.Leaves(kind))
		}
	}
}
