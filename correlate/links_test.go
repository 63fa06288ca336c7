package correlate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// relations are those that the file's text holds, with the links they make.
func relations(t testing.TB, text string) Rules {
	t.Helper()
	all, err := LoadRelations("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Rules{}.With(all...)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

const twoSensors = `
title: T
name: two-sensors
komondor:
  duplicate: {of: [ids.alert.*, http.*], same: [source.ip], same-if-known: [target.ip, target.port], within: 4s}
`

// by is what a sensor has seen of the attacker.
func by(sensor string, kind event.Kind, seconds float64) event.Event {
	e := seen(kind, 0)
	e.Time, e.Sensor, e.File = start.Add(time.Duration(seconds*float64(time.Second))), sensor, "/var/log/"+sensor
	return e
}

// counts adds up what changes leave: how often each kind counts.
func counts(changes []Change) map[event.Kind]int {
	n := map[event.Kind]int{}
	for _, c := range changes {
		if n[c.Event.Kind] += c.Delta; n[c.Event.Kind] == 0 {
			delete(n, c.Event.Kind)
		}
	}
	return n
}

func linked(rules Rules, events ...event.Event) (changes []Change, links []Link) {
	l := NewLinks(rules)
	l.Linked = func(link Link) { links = append(links, link) }
	for _, e := range events {
		changes = append(changes, l.Add(Change{e, +1})...)
	}
	return changes, links
}

func TestDuplicates(t *testing.T) {
	at := func(e event.Event, target string, port uint16) event.Event {
		e.Target = event.Endpoint{Port: port}
		if target != "" {
			e.Target.Addr = netip.MustParseAddr(target)
		}
		return e
	}
	other := by("web", event.HTTPExploit, 1)
	other.Source.Addr = netip.MustParseAddr("198.51.100.7")
	for _, c := range []struct {
		name string
		saw  []event.Event
		want string // kinds with their counts
	}{
		{"two sensors", []event.Event{by("ids", event.IDSHigh, 0), by("web", event.HTTPScan, 1)}, "map[ids.alert.high:1]"},
		{"the more severe one later", []event.Event{by("web", event.HTTPScan, 0), by("ids", event.IDSHigh, 1)}, "map[ids.alert.high:1]"},
		{"which happened before", []event.Event{by("web", event.HTTPScan, 3), by("ids", event.IDSHigh, 0)}, "map[ids.alert.high:1]"},
		{"three sensors", []event.Event{by("ids", event.IDSLow, 0), by("web", event.HTTPScan, 1), by("ids2", event.IDSHigh, 2)}, "map[ids.alert.high:1]"},
		{"one sensor repeats", []event.Event{by("ids", event.IDSHigh, 0), by("ids", event.IDSHigh, 1)}, "map[ids.alert.high:2]"},
		{"both repeat", []event.Event{by("ids", event.IDSHigh, 0), by("ids", event.IDSHigh, 1), by("web", event.HTTPScan, 1), by("web", event.HTTPScan, 2)}, "map[ids.alert.high:2]"},
		{"one tells of more", []event.Event{by("ids", event.IDSHigh, 0), by("web", event.HTTPScan, 1), by("web", event.HTTPScan, 2)}, "map[http.scan:1 ids.alert.high:1]"},
		{"four seconds apart", []event.Event{by("ids", event.IDSHigh, 0), by("web", event.HTTPScan, 4)}, "map[ids.alert.high:1]"},
		{"a little more", []event.Event{by("ids", event.IDSHigh, 0), by("web", event.HTTPScan, 4.1)}, "map[http.scan:1 ids.alert.high:1]"},
		{"another source", []event.Event{by("ids", event.IDSHigh, 0), other}, "map[http.exploit:1 ids.alert.high:1]"},
		{"other kinds", []event.Event{by("ids", event.IDSHigh, 0), by("sshd", event.SSHLoginFailed, 1)}, "map[ids.alert.high:1 ssh.login.failed:1]"},
		{"a target that one does not know", []event.Event{at(by("ids", event.IDSHigh, 0), "192.0.2.7", 80), at(by("web", event.HTTPScan, 1), "", 80)}, "map[ids.alert.high:1]"},
		{"another target", []event.Event{at(by("ids", event.IDSHigh, 0), "192.0.2.7", 80), at(by("web", event.HTTPScan, 1), "192.0.2.8", 80)}, "map[http.scan:1 ids.alert.high:1]"},
	} {
		changes, _ := linked(relations(t, twoSensors), c.saw...)
		if got := fmt.Sprint(counts(changes)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The one that counts has the proof of source that any record of the attack brings, and the links
// say which records they are.
func TestDuplicatesProveTogether(t *testing.T) {
	alert, request := by("ids", event.IDSHigh, 0), by("web", event.HTTPScan, 1)
	alert.Proof, request.Line = event.Spoofable, 99
	changes, links := linked(relations(t, twoSensors), alert, request)
	if last := changes[len(changes)-1]; last.Event.Kind != event.IDSHigh || last.Event.Proof != event.Handshake || last.Delta != 1 {
		t.Errorf("%+v", last)
	}
	if len(links) != 1 || links[0].First != alert || links[0].Then != request {
		t.Errorf("%+v", links)
	}
	// What is taken back is what counted, and then the other record counts.
	l := NewLinks(relations(t, twoSensors))
	all := l.Add(Change{alert, +1})
	all = append(all, l.Add(Change{request, +1})...)
	all = append(all, l.Add(Change{alert, -1})...)
	if got := fmt.Sprint(counts(all)); got != "map[http.scan:1]" {
		t.Errorf("without the alert: %s", got)
	}
	if all = append(all, l.Add(Change{request, -1})...); len(counts(all)) != 0 {
		t.Errorf("without both: %v", counts(all))
	}
}

// In whatever order several sensors' records of one moment come, and however often one repeats:
// there are as many attacks as the sensor tells of that tells of most.
func TestDuplicatesInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	rules := relations(t, twoSensors)
	for range 500 {
		var saw []event.Event
		most := 0
		for s := range 1 + random.IntN(groupMembers) {
			n := random.IntN(6)
			most = max(most, n)
			for i := range n {
				e := by(fmt.Sprint("sensor", s), event.IDSMedium, 4*random.Float64())
				e.Line = int64(i)
				saw = append(saw, e)
			}
		}
		random.Shuffle(len(saw), func(i, j int) { saw[i], saw[j] = saw[j], saw[i] })
		changes, _ := linked(rules, saw...)
		if got := counts(changes)[event.IDSMedium]; got != most {
			t.Fatalf("%d attacks, want %d", got, most)
		}
	}
}

const confirmed = `
name: answer
detection: {answer: {kind|startswith: ids.alert., detail|contains: ATTACK_RESPONSE}, condition: answer}
---
title: T
name: attack-answered
komondor:
  confirmation: {of: [ids.alert.*, http.exploit], by: answer, same: [source.ip=target.ip], same-if-known: [target.ip=source.ip], within: 25s, makes: ids.alert.success}
`

func TestConfirmations(t *testing.T) {
	host := netip.MustParseAddr("192.0.2.7")
	attack := func(seconds float64) event.Event {
		e := by("ids", event.IDSHigh, seconds)
		e.Target.Addr, e.Vulnerability = host, "CVE-2021-44228"
		return e
	}
	answer := func(seconds float64) event.Event {
		e := by("ids", event.IDSMedium, seconds)
		e.Source.Addr, e.Target.Addr, e.Detail = host, attacker, "GPL ATTACK_RESPONSE id check returned root"
		return e
	}
	elsewhere := answer(3)
	elsewhere.Source.Addr = netip.MustParseAddr("192.0.2.8")
	for _, c := range []struct {
		name string
		saw  []event.Event
		want string
	}{
		{"an attack that succeeds", []event.Event{attack(0), answer(3)}, "map[ids.alert.success:1]"},
		{"read in the other order", []event.Event{answer(3), attack(0)}, "map[ids.alert.success:1]"},
		{"an answer before", []event.Event{answer(0), attack(3)}, "map[ids.alert.high:1 ids.alert.medium:1]"},
		{"too late", []event.Event{attack(0), answer(26)}, "map[ids.alert.high:1 ids.alert.medium:1]"},
		{"of another host", []event.Event{attack(0), elsewhere}, "map[ids.alert.high:1 ids.alert.medium:1]"},
		{"one of three attacks", []event.Event{attack(0), attack(1), attack(2), answer(3)}, "map[ids.alert.high:2 ids.alert.success:1]"},
		{"answered twice", []event.Event{attack(0), answer(3), answer(4)}, "map[ids.alert.medium:1 ids.alert.success:1]"},
	} {
		changes, _ := linked(relations(t, confirmed), c.saw...)
		if got := fmt.Sprint(counts(changes)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// The nearest attack is the one that succeeded; whose it is and of what stays.
	changes, links := linked(relations(t, confirmed), attack(0), attack(2), answer(3))
	last := changes[len(changes)-1].Event
	if last.Source.Addr != attacker || last.Vulnerability != "CVE-2021-44228" || last.Severity != event.IDSSuccess.Severity() || !links[0].First.Time.Equal(attack(2).Time) {
		t.Errorf("%+v of %+v", last, links)
	}
	// Confirmed in whatever order it is read, as long as nothing comes a minute late.
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		saw := []event.Event{attack(0), answer(20), attack(50), answer(60), attack(62)}
		random.Shuffle(len(saw), func(i, j int) { saw[i], saw[j] = saw[j], saw[i] })
		if changes, _ := linked(relations(t, confirmed), saw...); fmt.Sprint(counts(changes)) != "map[ids.alert.high:1 ids.alert.success:2]" {
			t.Fatalf("%v of %v", counts(changes), saw)
		}
	}
}

// What relations say together: the pair that one makes is what the next one sees.
func TestRelationsInTurn(t *testing.T) {
	rules, err := builtin(t).With(BuiltinRelations()...)
	if err != nil {
		t.Fatal(err)
	}
	alert, other, answer := by("snort", event.IDSHigh, 0), by("suricata", event.IDSHigh, 1), by("snort", event.IDSMedium, 3)
	answer.Source.Addr, answer.Target.Addr, answer.Detail = netip.MustParseAddr("192.0.2.7"), attacker, "ET ATTACK_RESPONSE Output of id command"
	for _, saw := range [][]event.Event{{alert, other, answer}, {alert, answer, other}, {answer, other, alert}} {
		changes, _ := linked(rules, saw...)
		if got := counts(changes); got[event.IDSSuccess] != 1 {
			t.Errorf("%v", got)
		}
	}
	if changes, _ := linked(rules, alert, answer, other); fmt.Sprint(counts(changes)) != "map[ids.alert.success:1]" {
		t.Errorf("%v", counts(changes))
	}
	run := by("process", event.ProcessExec, 5)
	run.Source, run.User = event.Endpoint{}, "www-data"
	if changes, _ := linked(rules, by("web", event.HTTPExploit, 1), run); fmt.Sprint(counts(changes)) != "map[http.exploit.success:1]" {
		t.Errorf("%v", counts(changes))
	}
}

// What a kind rules out no event of it matches, however a base rule asks; and nothing else is ruled out.
func TestStagesByKind(t *testing.T) {
	const text = `
name: base
detection:
  ssh: {kind|startswith: ssh.}
  root: {user: root}
  nobody: {user: null}
  alert: [{kind: 'ids.*'}, {kind: http.exploit, user: [www, root]}]
  condition: %s
---
title: T
name: relation
komondor: {duplicate: {of: [base, honeypot.login], same: [source.ip], within: 4s}}
`
	for condition, kinds := range map[string][]event.Kind{ // of those below
		"ssh":                     {event.SSHLoginFailed},
		"root":                    {event.SSHLoginFailed, event.IDSHigh, event.HTTPExploit, event.HTTPScan},
		"alert":                   {event.IDSHigh, event.HTTPExploit},
		"alert and root":          {event.IDSHigh, event.HTTPExploit},
		"ssh and alert":           nil,
		"ssh and not nobody":      {event.SSHLoginFailed},
		"not ssh":                 {event.IDSHigh, event.HTTPExploit, event.HTTPScan},
		"not (ssh or alert)":      {event.HTTPExploit, event.HTTPScan}, // an exploit of neither user
		"not (ssh and root)":      {event.SSHLoginFailed, event.IDSHigh, event.HTTPExploit, event.HTTPScan},
		"not ssh and not (alert)": {event.HTTPExploit, event.HTTPScan},
		"1 of *":                  {event.SSHLoginFailed, event.IDSHigh, event.HTTPExploit, event.HTTPScan},
		"all of them":             nil,
	} {
		r := relations(t, fmt.Sprintf(text, condition)).Relations()[0]
		for _, kind := range []event.Kind{event.SSHLoginFailed, event.IDSHigh, event.HTTPExploit, event.HTTPScan} {
			matches := false
			for _, user := range []string{"", "root", "www", "toor"} {
				e := by("a", kind, 0)
				e.User = user
				matches = matches || r.Stages[0].Matches(e)
			}
			if may := len(r.stagesOf(kind)) > 0; may != slices.Contains(kinds, kind) || may != matches {
				t.Errorf("%s: %s may be one: %v; there is one: %v", condition, kind, may, matches)
			}
		}
		if len(r.stagesOf(event.HoneypotLogin)) == 0 {
			t.Errorf("%s: the kind beside the base rule", condition)
		}
	}
}

func TestLinksAreBounded(t *testing.T) {
	l := NewLinks(relations(t, twoSensors))
	flood := func(n int) {
		for i := range n {
			e := by("ids", event.IDSHigh, 0)
			e.Source.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			l.Add(Change{e, +1})
		}
	}
	flood(groupsKept + 500)
	if of := l.linkers[0]; len(of.queue) > groupsKept || len(of.groups) > groupsKept || l.Forgotten() < 400 {
		t.Errorf("%d in the queue, %d keys, %d forgotten", len(of.queue), len(of.groups), l.Forgotten())
	}
	for range 1000 {
		l.Add(Change{by("ids", event.IDSHigh, 0), +1})
	}
	alike, _ := l.linkers[0].relation.common(by("ids", event.IDSHigh, 0), true)
	if n := len(l.linkers[0].groups[alike]); n != groupsAlike {
		t.Errorf("%d groups alike", n)
	}
	l.Add(Change{by("ids", event.IDSHigh, 130), +1})
	if of := l.linkers[0]; len(of.queue) != 1 || len(of.groups) != 1 {
		t.Errorf("%d in the queue, %d keys after the lateness", len(of.queue), len(of.groups))
	}
}

func TestLoadRelationErrors(t *testing.T) {
	with := func(body string) string { return "title: T\nname: test\nkomondor:\n  " + body }
	for text, want := range map[string]string{
		with("federation: {}"): `test.yml:4:3: there is no "federation" here: want one of ["duplicate" "confirmation" "consequence"]`,
		with("{}"):             "want one of duplicate, confirmation and consequence",
		with("duplicate: {of: ids.*, same: [source.ip], within: 4s}\n  consequence: {}"):       "want one of duplicate",
		with("duplicate: {of: ids.*, within: 4s}"):                                             "test.yml:4:14: same: is missing",
		with("duplicate: {of: idx.*, same: [source.ip], within: 4s}"):                          `"idx.*" is neither a base rule of this file`,
		with("duplicate: {of: ids.*, same: [shoe], within: 4s}"):                               `same: "shoe": want one of`,
		with("duplicate: {of: ids.*, same: [source.ip=target.ip], within: 4s}"):                "duplicates have no order",
		with("duplicate: {of: ids.*, same: [source.ip], within: 2h}"):                          "want an hour or less",
		with("duplicate: {of: ids.*, same: [source.ip], within: soon}"):                        `timespan "soon"`,
		with("duplicate: {of: [], same: [source.ip], within: 4s}"):                             "the list is empty",
		with("duplicate: {of: ids.*, by: ssh.*, same: [source.ip], within: 4s}"):               `there is no "by" here`,
		with("confirmation: {of: ids.*, by: ssh.*, within: 4s}"):                               "makes: is missing",
		with("confirmation: {of: ids.*, by: ssh.*, within: 4s, makes: ids.success}"):           `makes "ids.success": want a kind of event`,
		with("consequence: {chain: [ids.*], within: 4s}"):                                      "chain: want two or more",
		with("consequence: {chain: [ids.*, http.*], same-if-known: [source.ip], within: 4s}"):  `there is no "same-if-known" here`,
		"name: test\nkomondor: {duplicate: {of: ids.*, same: [source.ip], within: 4s}}":        "title: is missing",
		"title: T\nname: t\nkomondor: {duplicate: {of: ids.*, same: [source.ip], within: 4s}}": `name "t"`,
	} {
		_, err := LoadRelations("test.yml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		if _, same := Load("test.yml", []byte(text)); fmt.Sprint(same) != fmt.Sprint(err) {
			t.Errorf("Load says %v", same)
		}
	}
	two := relations(t, twoSensors).Relations()
	if _, err := builtin(t).With(append(two, two...)...); err == nil {
		t.Error("two of one name")
	}
}

// What a node's own events cost that belong to nothing, and that belong together.
func BenchmarkLinks(b *testing.B) {
	rules, err := builtin(b).With(BuiltinRelations()...)
	if err != nil {
		b.Fatal(err)
	}
	for name, saw := range map[string][]event.Event{
		"no relation":        {by("sshd", event.SSHLoginFailed, 0)},
		"two sensors":        {by("snort", event.IDSHigh, 0), by("suricata", event.IDSHigh, 1)},
		"one source's flood": {by("ids", event.IDSHigh, 0)},
	} {
		b.Run(name, func(b *testing.B) {
			l := NewLinks(rules)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := saw[i%len(saw)]
				e.Time = at(0).Add(time.Duration(i) * time.Millisecond)
				if name != "one source's flood" {
					n := i / 2
					e.Source.Addr = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
				}
				l.Add(Change{e, +1})
			}
		})
	}
}
