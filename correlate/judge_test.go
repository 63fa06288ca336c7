package correlate

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

const failed = event.SSHLoginFailed // 2 points

func TestJudge(t *testing.T) {
	const home, federation = Home, Federation
	none := []string{}
	ports := func(n uint32, first, last int, names ...string) event.Tally {
		return values(proven(event.ScanPort, n, first, last), names...)
	}
	target := func(source string, name string, second int) event.Tally {
		return of(source, values(proven(event.IDSLow, 1, second, second), name))
	}
	var scanners []event.Tally // of one port, on twelve targets, each its own
	for i := range 12 {
		scanners = append(scanners, target(fmt.Sprint("203.0.113.", 20+i), fmt.Sprint("host", i), i))
	}
	for _, c := range []struct {
		name  string
		scope Scope
		key   event.Key
		rule  string
		said  []Testimony
		want  []string // the offenders; nil where there is no verdict
	}{
		// At home: 10 points in 10 minutes.
		{"at the threshold", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 5, 0, 50))}, []string{"203.0.113.9"}},
		{"below it", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 4, 0, 50), proven(event.SSHPreauthClosed, 1, 9, 9))}, nil},
		{"kinds add up", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 3, 0, 50), proven(event.SSHUserInvalid, 1, 9, 9), proven(event.SSHPreauthClosed, 1, 9, 9))}, []string{"203.0.113.9"}},
		{"in exactly ten minutes", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 4, 0, 0), proven(failed, 1, 600, 600))}, []string{"203.0.113.9"}},
		{"in a second more", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 4, 0, 0), proven(failed, 1, 601, 601))}, nil},
		{"half inside is outside", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 4, 0, 50), proven(failed, 1, 601, 601))}, nil},
		{"wider than the timespan", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 100, 0, 601))}, nil},
		{"an earlier window", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 5, 0, 50), proven(failed, 1, 3000, 3000))}, []string{"203.0.113.9"}},
		{"other rules' kinds", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(event.IDSHigh, 100, 0, 50))}, nil},
		{"an organisation's members together", home, bySource, "ssh-brute-force", []Testimony{
			{Organisation: "o", Member: "a", Tallies: []event.Tally{proven(failed, 3, 0, 50)}}, {Organisation: "o", Member: "b", Tallies: []event.Tally{proven(failed, 2, 0, 50)}}}, []string{"203.0.113.9"}},
		{"spoofable evidence names nobody", home, bySource, "ssh-brute-force", []Testimony{say("a", spoofable(failed, 1000, 0, 50), proven(failed, 4, 0, 50))}, none},

		// Over the federation: 20 points in an hour, two organisations, each worth half.
		{"two organisations", federation, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 5, 3540, 3600))}, []string{"203.0.113.9"}},
		{"a point less", federation, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 4, 0, 50), proven(event.SSHPreauthClosed, 1, 0, 0))}, nil},
		{"a second more", federation, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 5, 3540, 3601))}, nil},
		{"one liar", federation, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, math.MaxUint32, 0, 50), proven(event.SSHUserInvalid, math.MaxUint32, 0, 50))}, nil},
		{"one liar and an honest typo", federation, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, math.MaxUint32, 0, 50)), say("b", proven(failed, 1, 0, 0))}, nil},
		{"a liar of many members", federation, bySource, "ssh-brute-force", []Testimony{
			{Organisation: "o", Member: "a", Tallies: []event.Tally{proven(failed, 99, 0, 50)}}, {Organisation: "o", Member: "b", Tallies: []event.Tally{proven(failed, 99, 0, 50)}}}, nil},
		{"credit takes nothing from others", federation, bySource, "ssh-brute-force", []Testimony{
			say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 5, 0, 50)), say("c", proven(event.SSHLoginAccepted, math.MaxUint32, 0, 50))}, []string{"203.0.113.9"}},
		{"a source named under another's key", federation, bySource, "ssh-brute-force", []Testimony{
			say("a", of("203.0.113.8", proven(failed, 5, 0, 50))), say("b", of("203.0.113.8", proven(failed, 5, 0, 50)))}, []string{"203.0.113.9"}},
		{"times beyond all reason", federation, bySource, "ssh-brute-force", []Testimony{
			say("a", event.Tally{Kind: failed, First: math.MinInt64, Last: math.MaxInt64, Proven: 99}, event.Tally{Kind: failed, First: math.MinInt64, Last: math.MinInt64, Proven: 99}),
			say("b", event.Tally{Kind: failed, First: 5, Last: 4, Proven: 99}, proven(failed, 5, 0, 50)),
			say("c", event.Tally{Kind: failed, First: math.MaxInt64, Last: math.MaxInt64, Proven: 99})}, nil},

		// A vertical scan: 10 distinct ports.
		{"ten ports", home, bySource, "vertical-scan", []Testimony{say("a", ports(10, 0, 50, names("p", 10)...))}, []string{"203.0.113.9"}},
		{"nine ports, often", home, bySource, "vertical-scan", []Testimony{say("a", ports(1000, 0, 50, names("p", 9)...))}, nil},
		{"the same ports again", home, bySource, "vertical-scan", []Testimony{say("a", ports(5, 0, 50, names("p", 5)...), ports(5, 60, 90, names("p", 5)...))}, nil},
		{"ports of several slots", home, bySource, "vertical-scan", []Testimony{say("a", ports(5, 0, 50, names("p", 5)...), ports(5, 60, 90, names("q", 5)...))}, []string{"203.0.113.9"}},
		{"ports of two organisations", federation, bySource, "vertical-scan", []Testimony{say("a", ports(5, 0, 50, names("p", 5)...)), say("b", ports(5, 0, 50, names("q", 5)...))}, []string{"203.0.113.9"}},
		{"the same five ports at both", federation, bySource, "vertical-scan", []Testimony{say("a", ports(5, 0, 50, names("p", 5)...)), say("b", ports(5, 0, 50, names("p", 5)...))}, nil},
		{"the same ten ports at both: they share them out", federation, bySource, "vertical-scan", []Testimony{say("a", ports(10, 0, 50, names("p", 10)...)), say("b", ports(10, 0, 50, names("p", 10)...))}, []string{"203.0.113.9"}},
		{"five of the other's ten", federation, bySource, "vertical-scan", []Testimony{say("a", ports(10, 0, 50, names("p", 10)...)), say("b", ports(5, 0, 50, names("p", 5)...))}, []string{"203.0.113.9"}},
		{"one with all ports, others with the same one", federation, bySource, "vertical-scan", []Testimony{
			say("a", ports(16, 0, 50, names("p", 16)...)), say("b", ports(1, 0, 50, "p0")), say("c", ports(1, 0, 50, "p0")), say("d", ports(1, 0, 50, "p0")), say("e", ports(1, 0, 50, "p0")), say("f", ports(1, 0, 50, "p0"))}, nil},
		{"faked ports beside a proven packet", home, bySource, "vertical-scan", []Testimony{
			say("a", values(spoofable(event.ScanPort, 20, 0, 50), names("p", 12)...), ports(1, 0, 0, "p0"))}, none},
		{"faked ports mixed with proven ones", home, bySource, "vertical-scan", []Testimony{
			say("a", event.Tally{Kind: event.ScanPort, First: at(0).Unix(), Last: at(0).Unix(), Proven: 1, Spoofable: 11, Values: values(event.Tally{}, names("p", 12)...).Values})}, none},

		// A horizontal scan: 10 distinct targets; who scans must cross by himself.
		{"one source, many targets", federation, byPort, "horizontal-scan", []Testimony{
			say("a", of("203.0.113.9", ports(5, 0, 50, names("h", 5)...))), say("b", of("203.0.113.9", ports(5, 0, 50, names("i", 5)...)))}, []string{"203.0.113.9"}},
		{"many sources, a target each", home, byPort, "horizontal-scan", []Testimony{say("a", scanners...)}, none},
		{"the scanner among others", home, byPort, "horizontal-scan", []Testimony{
			say("a", append(slices.Clone(scanners), of("2001:db8:1:2:3::", ports(10, 0, 50, names("h", 10)...)))...)}, []string{"2001:db8:1:2::/64"}},
		{"a source that one organisation accuses", federation, byPort, "horizontal-scan", []Testimony{
			say("a", of("203.0.113.8", ports(16, 0, 50, names("h", 16)...))), say("b", scanners...)}, none},
		{"evidence that names no source accuses none", home, byPort, "horizontal-scan", []Testimony{
			say("a", ports(16, 0, 50, names("h", 16)...), of("203.0.113.8", ports(1, 0, 0, "h0")))}, none},

		// A mixed scan informs.
		{"twelve sources", home, bySubnet, "mixed-scan", []Testimony{say("a", scanners...)}, none},
		{"eleven sources", home, bySubnet, "mixed-scan", []Testimony{say("a", scanners[:11]...)}, nil},
		{"one of them without a name", home, bySubnet, "mixed-scan", []Testimony{say("a", append(scanners[:11:11],
			event.Tally{Kind: event.ScanPort, First: at(0).Unix(), Last: at(0).Unix(), Spoofable: 1, Values: event.Sketch{sourceHash(netip.MustParsePrefix("203.0.113.99/32"))}})...)}, none},

		{"nothing said", home, bySource, "ssh-brute-force", nil, nil},
		{"nothing seen", home, bySource, "ssh-brute-force", []Testimony{say("a", proven(failed, 0, 0, 0))}, nil},
		{"a key that names nobody", home, event.Key{Selector: event.BySource, Value: "everybody"}, "ssh-brute-force", []Testimony{say("a", proven(failed, 99, 0, 50))}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, ok := builtin(t).JudgeRule(c.rule, c.scope, c.key, c.said)
			if ok != (c.want != nil) || !slices.Equal(offenders(v), c.want) {
				t.Errorf("verdict %v, offenders %v, want %v", ok, offenders(v), c.want)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	said := []Testimony{
		say("b", proven(failed, 4, 0, 50), proven(event.SSHUserInvalid, 1, 30, 30), proven(failed, 1, -7200, -7200)),
		say("a", spoofable(failed, 6, 1200, 1250), proven(event.IDSLow, 1, 3000, 3000)),
		say("c", proven(failed, 0, 100, 100)),
	}
	v, ok := builtin(t).JudgeRule("ssh-brute-force", Federation, bySource, said)
	rule, _ := builtin(t).Named("ssh-brute-force")
	want := Verdict{Rule: rule, Scope: Federation, Key: bySource, Score: 23, Level: rule.Level, Count: 11, Members: []string{"a", "b"}, First: at(0), Last: at(1250), Agreed: at(50)}
	if !ok || !reflect.DeepEqual(v, want) {
		t.Errorf("%v\n got %+v\nwant %+v", ok, v, want)
	}
	if v.Episode() != at(50).Unix()/3600 {
		t.Errorf("episode %d", v.Episode())
	}
	alert := v.Alert("f", []event.Sealed{{Signer: "a"}})
	if alert.Federation != "f" || alert.Rule != rule.Name || alert.Key != bySource || alert.Episode != v.Episode() || len(alert.Evidence) != 1 {
		t.Errorf("alert %+v", alert)
	}
	if got := builtin(t).Judge(Federation, bySource, said); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("by all rules: %+v", got)
	}
	if _, ok := builtin(t).JudgeRule("ssh-brute-force", Federation, byPort, said); ok {
		t.Error("a rule judged a key of another selector")
	}
	if _, ok := builtin(t).JudgeRule("no-such-rule", Federation, bySource, said); ok {
		t.Error("a rule that does not exist judged")
	}
}

// Fewer organisations than the quorum keep no attack alive, neither the alert on
// it nor the block of an offender.
func TestAgreed(t *testing.T) {
	hosts := func(source string, second int) event.Tally {
		return of(source, values(proven(event.ScanPort, 5, second, second), names(fmt.Sprint("h", second), 5)...))
	}
	for _, c := range []struct {
		name   string
		quorum int
		scope  Scope
		key    event.Key
		said   []Testimony
		want   int            // Agreed, in seconds
		on     map[string]int // AgreedOn of the offenders
	}{
		{"the second newest of two", 2, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50)), say("b", proven(failed, 9, 0, 10))}, 10, map[string]int{"203.0.113.9": 10}},
		{"one liar", 2, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50)), say("b", proven(failed, 9, 0, 10)), say("liar", proven(failed, 1, 3000, 3000))}, 50, map[string]int{"203.0.113.9": 50}},
		{"a liar of two members", 2, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50)), {Organisation: "liar", Member: "x", Tallies: []event.Tally{proven(failed, 9, 3000, 3000)}},
				{Organisation: "liar", Member: "y", Tallies: []event.Tally{proven(failed, 9, 3000, 3000)}}}, 50, map[string]int{"203.0.113.9": 50}},
		{"two liars below a quorum of three", 3, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50)), say("b", proven(failed, 9, 0, 60)), say("liar", proven(failed, 9, 3000, 3000)), say("liar2", proven(failed, 9, 3000, 3000))}, 60, map[string]int{"203.0.113.9": 60}},
		{"evidence that weighs nothing", 2, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50)), say("b", proven(failed, 9, 0, 60)), say("c", proven(failed, 0, 3000, 3000), proven(event.IDSHigh, 9, 3000, 3000)), say("d", proven(event.SSHLoginAccepted, 9, 3000, 3000))}, 50, map[string]int{"203.0.113.9": 50}},
		{"what anybody could have sent", 2, Federation, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50), spoofable(failed, 9, 3000, 3000)), say("b", proven(failed, 9, 0, 60), spoofable(failed, 9, 3000, 3000))}, 50, map[string]int{"203.0.113.9": 50}},
		{"it alone", 2, Federation, bySource,
			[]Testimony{say("a", spoofable(failed, 9, 0, 50)), say("b", spoofable(failed, 9, 0, 60))}, 50, nil},
		{"at home, the newest", 2, Home, bySource,
			[]Testimony{say("a", proven(failed, 9, 0, 50), proven(failed, 1, 300, 300))}, 300, map[string]int{"203.0.113.9": 300}},
		{"evidence against others", 2, Federation, byPort,
			[]Testimony{say("a", hosts("203.0.113.8", 10), hosts("203.0.113.7", 3000)), say("b", hosts("203.0.113.8", 20), hosts("203.0.113.7", 3010)), say("liar", hosts("203.0.113.8", 3020))},
			3000, map[string]int{"203.0.113.8": 20, "203.0.113.7": 3000}},
	} {
		v, ok := Verdict{}, false
		for _, found := range builtin(t).WithQuorum(c.quorum).Judge(c.scope, c.key, c.said) {
			v, ok = found, true
		}
		on := map[string]int{}
		for _, o := range v.Offenders {
			on[event.SourceValue(o)] = int(v.AgreedOn(o).Sub(start).Seconds())
		}
		if !ok || !v.Agreed.Equal(at(c.want)) || len(on) != len(c.on) || !maps.Equal(on, c.on) {
			t.Errorf("%s: %v, agreed until %s and on %v, want %s and %v", c.name, ok, v.Agreed, on, at(c.want), c.on)
		}
	}
}

// Measure tells how far evidence is from a verdict.
func TestMeasure(t *testing.T) {
	rule, _ := builtin(t).Named("ssh-brute-force")
	for _, c := range []struct {
		said           []Testimony
		score, members int
	}{
		{nil, 0, 0},
		{[]Testimony{say("a", proven(failed, 3, 0, 50))}, 6, 1},
		{[]Testimony{say("a", proven(failed, 3, 0, 50)), say("b", proven(failed, 9, 60, 60))}, 24, 2},
		{[]Testimony{say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 1, 1000, 1000))}, 2, 1}, // the newest window
	} {
		if v := builtin(t).Measure(rule, Home, bySource, c.said); v.Score != c.score || len(v.Members) != c.members {
			t.Errorf("%v: score %d of %d members, want %d of %d", c.said, v.Score, len(v.Members), c.score, c.members)
		}
	}
}

// With any quorum, one organisation fewer changes nothing, whatever it claims.
func TestColludersBelowTheQuorum(t *testing.T) {
	all := names("p", 16)
	for quorum := 2; quorum <= 7; quorum++ {
		rules := builtin(t).WithQuorum(quorum)
		var logins, scans []Testimony
		for i := range quorum {
			member := fmt.Sprint("colluder", i)
			logins = append(logins, say(member, proven(failed, math.MaxUint32, 0, 50)))
			scans = append(scans, say(member, values(proven(event.ScanPort, math.MaxUint32, 0, 50), all...)))
		}
		for rule, said := range map[string][]Testimony{"ssh-brute-force": logins, "vertical-scan": scans} {
			if _, ok := rules.JudgeRule(rule, Federation, bySource, said[:quorum-1]); ok {
				t.Errorf("%s: %d organisations met a quorum of %d", rule, quorum-1, quorum)
			}
			if v, ok := rules.JudgeRule(rule, Federation, bySource, said); !ok || len(v.Offenders) != 1 {
				t.Errorf("%s: %d organisations did not meet their quorum", rule, quorum)
			}
		}
	}
}

// The order of arrival decides nothing.
func TestJudgeAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	kinds := []event.Kind{failed, event.SSHUserInvalid, event.ScanPort, event.IDSHigh, event.SSHLoginAccepted}
	sources := []string{"203.0.113.9", "203.0.113.8", "2001:db8::1"}
	crossed := 0
	for range 300 {
		key := []event.Key{bySource, byPort, bySubnet}[random.IntN(3)]
		said := make([]Testimony, 1+random.IntN(5))
		for i := range said {
			said[i] = Testimony{Organisation: fmt.Sprint("o", i/2), Member: fmt.Sprint("m", i)}
			for range random.IntN(12) {
				first := random.IntN(5400)
				tally := values(proven(kinds[random.IntN(len(kinds))], uint32(random.IntN(4)), first, first+random.IntN(60)), names("v", random.IntN(12))...)
				tally.Spoofable = uint32(random.IntN(2))
				if key != bySource {
					tally = of(sources[random.IntN(len(sources))], tally)
				}
				said[i].Tallies = append(said[i].Tallies, tally)
			}
		}
		for scope, said := range map[Scope][]Testimony{Home: said[:min(2, len(said))], Federation: said} { // at home, one organisation's two
			want := builtin(t).Judge(scope, key, said)
			crossed += len(want)
			shuffled := slices.Clone(said)
			random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for i := range shuffled {
				tallies := slices.Clone(shuffled[i].Tallies)
				random.Shuffle(len(tallies), func(i, j int) { tallies[i], tallies[j] = tallies[j], tallies[i] })
				shuffled[i].Tallies = tallies
			}
			if got := builtin(t).Judge(scope, key, shuffled); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, %s: another order, another verdict\n got %+v\nwant %+v", scope, key, got, want)
			}
		}
	}
	if crossed < 100 {
		t.Errorf("only %d verdicts compared", crossed)
	}
}

// Evidence divided over members and judged over the federation with a quorum of
// one decides as if one member had seen all of it.
func TestEvidenceAddsUpOverMembers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	rules := builtin(t).WithQuorum(1)
	decided := map[bool]int{}
	for range 400 {
		one, many := ledger(t, 10_000), make([]*Ledger, 1+random.IntN(8))
		for i := range many {
			many[i] = ledger(t, 10_000)
		}
		for range 4 + random.IntN(26) {
			e := seen([]event.Kind{failed, event.SSHPreauthClosed, event.ScanPort}[random.IntN(3)], random.IntN(3661)/60*60) // on the slots' edges, none of it forgotten
			e.Target = event.Endpoint{Port: uint16(random.IntN(40))}
			one.Add(bySource, Change{e, +1})
			many[random.IntN(len(many))].Add(bySource, Change{e, +1})
		}
		var said []Testimony
		for i, l := range many {
			said = append(said, say(fmt.Sprint("m", i), l.Tallies(bySource)...))
		}
		for _, rule := range []string{"ssh-brute-force", "vertical-scan"} {
			want, ok := rules.JudgeRule(rule, Federation, bySource, []Testimony{say("all", one.Tallies(bySource)...)})
			got, also := rules.JudgeRule(rule, Federation, bySource, said)
			want.Members, got.Members = nil, nil
			if decided[ok]++; ok != also || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s over %d members: %v %+v\nat one: %v %+v", rule, len(many), also, got, ok, want)
			}
		}
	}
	if decided[true] < 100 || decided[false] < 100 {
		t.Errorf("a one-sided sample: %v", decided)
	}
}

func TestSupersedes(t *testing.T) {
	old := Verdict{Scope: Federation, Score: 20, Agreed: at(0), Offenders: make([]netip.Prefix, 1)}
	for _, c := range []struct {
		name   string
		change func(*Verdict)
		want   bool
	}{
		{"itself", func(*Verdict) {}, false},
		{"much more, but not ten times", func(v *Verdict) { v.Score, v.Agreed = 199, at(299) }, false},
		{"ten times the score", func(v *Verdict) { v.Score = 200 }, true},
		{"five minutes newer", func(v *Verdict) { v.Agreed = at(300) }, true},
		{"another offender", func(v *Verdict) { v.Offenders = make([]netip.Prefix, 2) }, true},
		{"more, but an offender left out", func(v *Verdict) { v.Score, v.Offenders = 400, nil }, false},
		{"one organisation's own", func(v *Verdict) { v.Scope, v.Score = Home, 400 }, false},
	} {
		v := old
		c.change(&v)
		if got := v.Supersedes(old); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if home := (Verdict{Scope: Home, Score: 400}); !old.Supersedes(home) || home.Supersedes(old) {
		t.Error("the federation's verdict stands above one organisation's")
	}
}

func TestNewRules(t *testing.T) {
	if _, err := NewRules(Builtin(), event.Kind.Severity); err != nil {
		t.Errorf("the built-in rules: %v", err)
	}
	for name, change := range map[string]func(*Rule){
		"rules/vertical-scan.yml:1:1: rule vertical-scan: there are two of this name": func(r *Rule) { r.Name = "vertical-scan" },
		"a minute to 30 days":    func(r *Rule) { r.Home.Timespan = time.Second },
		"quorum of 1 or more":    func(r *Rule) { r.Federation.Quorum = 0 },
		"threshold 17 is above":  func(r *Rule) { r.Type, r.Home.AtLeast = ValueCount, 17 },
		"a threshold and quorum": func(r *Rule) { r.Home.AtLeast = 0 },
	} {
		list := Builtin()
		change(&list[0])
		if _, err := NewRules(list, event.Kind.Severity); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if r, _ := builtin(t).WithQuorum(0).Named("ssh-brute-force"); r.Federation.Quorum != 1 {
		t.Errorf("quorum %d", r.Federation.Quorum)
	}
}

// The path of one event at home.
func BenchmarkJudgeHome(b *testing.B) {
	rules := builtin(b)
	for _, c := range []struct {
		name string
		key  event.Key
		make func(i int) event.Event
	}{
		{"an attacker", bySource, func(i int) event.Event { return seen(failed, i/10) }},
		{"below the threshold", bySource, func(i int) event.Event { return seen(failed, i*600) }},
		{"a port, 1000 sources in an hour", byPort, func(i int) event.Event {
			e := seen(event.ScanPort, i*3)
			e.Source.Addr, e.Target = netip.AddrFrom4([4]byte{10, 0, byte(i % 1000 >> 8), byte(i)}), event.Endpoint{Addr: attacker, Port: 22}
			return e
		}},
		{"a subnet, 1000 sources in an hour", bySubnet, func(i int) event.Event {
			e := seen(event.ScanPort, i*3)
			e.Source.Addr = netip.AddrFrom4([4]byte{10, 0, byte(i % 1000 >> 8), byte(i)})
			return e
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var attempts Attempts
			l := ledger(b, 1<<16)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for _, change := range attempts.Add(c.make(i)) {
					l.Add(c.key, change)
					rules.Judge(Home, c.key, []Testimony{say("a", l.Tallies(c.key)...)})
				}
			}
		})
	}
}
