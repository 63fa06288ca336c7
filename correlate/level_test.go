package correlate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// graded is a rule of 10, 20 and 30 points at home, with what follows under komondor.
func graded(komondor string) string {
	return correlation("type: value_sum", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: severity, gte: 10}") +
		"\nkomondor: {levels: {warning: 10, minor: 20, critical: 30}" + komondor + "}"
}

func TestLoadLevels(t *testing.T) {
	for text, want := range map[string][]Level{
		graded(""):                        {{"warning", 10}, {"minor", 20}, {"critical", 30}},
		graded(", federation: {gte: 25}"): {{"warning", 25}, {"minor", 50}, {"critical", 75}},
		graded(", federation: {gte: 25, levels: {minor: 25, critical: 90}}"):                                                                {{"minor", 25}, {"critical", 90}},
		graded(", federation: {gte: 7, levels: {warning: 7, critical: 8}}"):                                                                 {{"warning", 7}, {"critical", 8}},
		correlation("type: value_sum", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: severity, gte: 10}"): nil,
	} {
		r := load(t, text).All()[0]
		if !reflect.DeepEqual(r.Federation.Levels, want) {
			t.Errorf("%s\n%v", text, r.Federation.Levels)
		}
	}
	for text, want := range map[string]string{
		strings.Replace(graded(""), "warning: 10", "warning: 11", 1):   "test.yml:9:30: level warning at 11 and a condition of 10",
		strings.Replace(graded(""), "critical: 30", "critical: 19", 1): "want each higher than the one before",
		strings.Replace(graded(""), "critical", "loud", 1):             `there is no "loud" here: want one of ["warning" "minor" "critical"]`,
		graded(", federation: {gte: 20, levels: {minor: 30}}"):         "level minor at 30 and a condition of 20",
		strings.Replace(graded(""), "value_sum", "temporal", 1):        "a field does not go with temporal",
		correlation("type: value_count", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: target.ip, gte: 10}") + "\nkomondor: {levels: {warning: 10, minor: 17}}": "exact up to 16, threshold 17",
	} {
		if _, err := Load("test.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// A level is reached as a threshold is: over the federation by the quorum, and by no organisation
// for more than its share.
func TestLevels(t *testing.T) {
	rules := load(t, graded(", federation: {gte: 20}"))
	logins := func(n uint32) event.Tally { return proven(event.SSHLoginFailed, n, 0, 50) } // 2 points each
	for _, c := range []struct {
		name  string
		scope Scope
		said  []Testimony
		want  string
	}{
		{"below all", Home, []Testimony{say("a", logins(4))}, ""},
		{"the lowest", Home, []Testimony{say("a", logins(5))}, "warning"},
		{"two points less", Home, []Testimony{say("a", logins(9))}, "warning"},
		{"the second", Home, []Testimony{say("a", logins(10))}, "minor"},
		{"far above the highest", Home, []Testimony{say("a", logins(1000))}, "critical"},
		{"outside the window", Home, []Testimony{say("a", logins(5), proven(event.SSHLoginFailed, 10, -900, -700))}, "warning"},
		{"each its share of the second", Federation, []Testimony{say("a", logins(10)), say("b", logins(10))}, "minor"},
		{"a liar and its share of the lowest", Federation, []Testimony{say("a", logins(math.MaxUint32)), say("b", logins(5))}, "warning"},
		{"a liar and nearly its share of the highest", Federation, []Testimony{say("a", logins(math.MaxUint32)), say("b", logins(14))}, "minor"},
		{"three for the highest", Federation, []Testimony{say("a", logins(10)), say("b", logins(10)), say("c", logins(10))}, "critical"},
	} {
		v, ok := rules.JudgeRule("test", c.scope, bySource, c.said)
		if ok != (c.want != "") || v.Level != c.want {
			t.Errorf("%s: crossed %v, level %q, want %q", c.name, ok, v.Level, c.want)
		}
	}
}

// A verdict of a higher level is told anew, and no two verdicts each take the other's place.
func TestALevelSupersedes(t *testing.T) {
	rule := load(t, graded("")).All()[0]
	verdict := func(level string, seconds int) Verdict {
		return Verdict{Rule: rule, Scope: Federation, Level: level, Score: 20, Agreed: at(seconds)}
	}
	for _, c := range []struct {
		name     string
		new, old Verdict
		want     bool
	}{
		{"higher", verdict("minor", 0), verdict("warning", 0), true},
		{"equal", verdict("minor", 10), verdict("minor", 0), false},
		{"lower", verdict("warning", 10), verdict("minor", 0), false},
		{"lower, much later", verdict("warning", 300), verdict("critical", 0), true},
		{"higher, long before", verdict("critical", 0), verdict("warning", 300), false},
		{"higher, a little before", verdict("critical", 0), verdict("warning", 299), true},
	} {
		if got := c.new.Supersedes(c.old); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.new.Supersedes(c.old) && c.old.Supersedes(c.new) {
			t.Errorf("%s: each supersedes the other", c.name)
		}
	}
}

// The evidence that an alert carries proves the level that all evidence reaches, where it fits in.
func TestEvidenceProvesTheLevel(t *testing.T) {
	for _, blocks := range []bool{false, true} {
		rules := load(t, graded(fmt.Sprint(", federation: {gte: 20, quorum: 3}, blocks: ", blocks)))
		random := rand.New(rand.NewPCG(1, 2))
		levels := map[string]int{}
		for range 2000 {
			var said []Testimony
			for m := range 3 + random.IntN(12) {
				at := random.IntN(3000)
				said = append(said, say(fmt.Sprint("m", m), proven(event.SSHLoginFailed, uint32(1+random.IntN(12)), at, at+random.IntN(50))))
			}
			v, ok := rules.JudgeRule("test", Federation, bySource, said)
			if !ok {
				continue
			}
			levels[v.Level]++
			evidence := rules.Smallest(v, said)
			if proved, ok := rules.JudgeRule("test", Federation, bySource, evidence); !ok || proved.Level != v.Level || len(proved.Offenders) != len(v.Offenders) {
				t.Fatalf("%s of all, %s of the evidence, %v", v.Level, proved.Level, members(evidence))
			}
			for i := range evidence { // and none of it can be left out
				fewer := append(append([]Testimony(nil), evidence[:i]...), evidence[i+1:]...)
				if less, ok := rules.JudgeRule("test", Federation, bySource, fewer); ok && less.Level == v.Level && !less.Agreed.Before(v.Agreed) && len(less.Offenders) == len(v.Offenders) {
					t.Fatalf("%s without %s as well", v.Level, evidence[i].Member)
				}
			}
		}
		for _, level := range WarningLevels() {
			if levels[level] < 50 {
				t.Errorf("a one-sided sample: %v", levels)
			}
		}
	}
}

// What takes a node's own evidence over a level is reported at once, and not when its turn comes.
func TestALevelIsReportedAtOnce(t *testing.T) {
	rules := load(t, graded(", federation: {gte: 20}"))
	r := NewReporter(rules)
	said := func(n uint32) []event.Tally { return []event.Tally{proven(event.SSHLoginFailed, n, 0, 50)} }
	now := at(60)
	for _, c := range []struct {
		logins uint32
		now    bool
	}{{1, true}, {5, true}, {8, false}, {9, false}, {10, true}, {14, false}, {15, true}, {20, false}} {
		due := r.Due(now, bySource, said(c.logins))
		if due.After(now) == c.now {
			t.Errorf("%d logins: due %s after now", c.logins, due.Sub(now))
		}
		if !due.After(now) {
			r.Told(now, bySource, said(c.logins))
		}
		now = now.Add(time.Millisecond)
	}
}

// A threshold for one host and one attack stands beside the general one, and both are judged
// (paper 003: generic and specific situations).
func TestGenericAndSpecific(t *testing.T) {
	specific := `
name: at-the-mail-server
detection: {host: {target.ip: 192.0.2.25, kind: ssh.login.failed}, condition: host}
---
title: Guessing at the mail server
name: situation-2-3-mail
correlation: {type: value_sum, rules: [at-the-mail-server], group-by: [source.ip, target.subnet], timespan: 10m, condition: {field: severity, gte: 5}}
komondor: {levels: {warning: 5, minor: 10, critical: 20}}
`
	list, err := Load("specific.yml", []byte(specific))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := NewRules(append(Situations(), list...), event.Kind.Severity)
	if err != nil {
		t.Fatal(err)
	}
	key := event.Key{Selector: "source.ip,target.subnet", Value: "203.0.113.9|192.0.2.0/24"}
	l := NewLedger(rules, 1000, hash)
	for i := range 12 {
		e := login("root", i)
		e.Target.Addr = subnetHost(25)
		for view := range rules.Views(e) {
			l.Add(key, Change{view, +1})
		}
		e.Target.Addr = subnetHost(26) // another host's are for the general one alone
		l.Add(key, Change{e, +1})
	}
	got := map[string]string{}
	for _, v := range rules.Judge(Home, key, []Testimony{say("a", l.Tallies(key)...)}) {
		got[v.Rule.Name] = fmt.Sprint(v.Level, " ", v.Score)
	}
	if want := map[string]string{"situation-2-3": "minor 48", "situation-2-3-mail": "critical 24"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
