package scenario

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

var start = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

func addr(s string) event.Endpoint { return event.Endpoint{Addr: netip.MustParseAddr(s)} }

func observe(id string, after time.Duration, kind event.Kind, source, target string) Observation {
	o := Observation{ID: id, Time: start.Add(after), Kind: kind, Count: 1, Protocol: "udp"}
	if source != "" {
		o.Source = addr(source)
	}
	if target != "" {
		o.Target = addr(target)
	}
	return o
}

func own(o Observation, cell string) Observation {
	o.Own, o.Cell = true, cell
	return o
}

func engine(t testing.TB, limits Limits, scenarios ...*Scenario) *Engine {
	t.Helper()
	library, err := NewLibrary(scenarios...)
	if err != nil {
		t.Fatal(err)
	}
	return New(library, limits)
}

func parse(t testing.TB, text string) *Scenario {
	t.Helper()
	scenarios, err := Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return scenarios[0]
}

// The hosts of Figure 4(b): three of a corporate network, each with a prevention cell, and two of
// victim.org.
const (
	host1, host2, host3 = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	n1, n2              = "198.51.100.1", "198.51.100.2"
)

// TestFigure4b has the sequence of alerts of paper 000, section V, raised in three cells that tell one
// another of what they see: t1 to t9.
func TestFigure4b(t *testing.T) {
	cells := []string{"pcell1", "pcell2", "pcell3"}
	engines := map[string]*Engine{}
	for _, c := range cells {
		engines[c] = engine(t, Limits{}, birthday(t))
	}
	var sequence []string
	next := func(cell, text string) {
		sequence = append(sequence, fmt.Sprintf("t%d %s %s", len(sequence)+1, cell, text))
	}
	var reached []string
	keys := map[string][]event.Key{} // where each step's evidence would meet
	var hand func(cell string, outcomes []Outcome)
	hand = func(cell string, outcomes []Outcome) {
		for _, outcome := range outcomes {
			switch o := outcome.(type) {
			case Assessment:
				next(cell, "assessment: "+o.Countermeasure+": "+o.Do.String())
			case Cooperative:
				told := "cooperative: " + o.Step
				if o.Reached {
					told += ", and the objective is reached"
				}
				next(cell, told)
				keys[o.Step] = o.Keys
				for _, other := range cells {
					for _, e := range o.Evidence {
						hand(other, engines[other].Observe(e.Time, e)) // to itself, too: it must make no difference
					}
				}
			case Reached:
				reached = append(reached, cell+" "+o.Objective)
			}
		}
	}
	local := func(cell string, o Observation) {
		next(cell, "local: "+string(o.Kind))
		hand(cell, engines[cell].Observe(o.Time, own(o, cell)))
	}
	local("pcell1", observe("a", 0, event.FloodSYN, host1, n1))
	local("pcell2", observe("b", time.Minute, event.DNSFloodQuery, host2, n2))
	local("pcell3", observe("c", 2*time.Minute, event.SpoofEgress, host3, n2))
	local("pcell3", observe("d", 2*time.Minute+time.Second, event.DNSFloodReply, n1, n2))

	want := []string{
		"t1 pcell1 local: flood.syn",
		"t2 pcell1 assessment: undo-deny-of-service: reset-half-open {target: 198.51.100.1}",
		"t3 pcell1 cooperative: syn-flood",
		"t4 pcell2 local: dns.flood.query",
		"t5 pcell2 cooperative: flooding-queries",
		"t6 pcell3 local: spoof.egress",
		"t7 pcell3 local: dns.flood.reply",
		"t8 pcell3 assessment: block-spoofed-connection: block-flow {protocol: udp, source: 198.51.100.1, target: 198.51.100.2}",
		"t9 pcell3 cooperative: flooding-spoofed-replies, and the objective is reached",
	}
	if !slices.Equal(sequence, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(sequence, "\n"), strings.Join(want, "\n"))
	}
	for step, want := range map[string][]string{
		"syn-flood": {"H2=" + n1}, "flooding-queries": {"H1=" + n2}, "flooding-spoofed-replies": {"H2=" + n1, "H1=" + n2},
	} {
		var got []string
		for _, k := range keys[step] {
			got = append(got, strings.TrimPrefix(k.Value, "bind-birthday|"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("keys of %s: %q, want %q", step, got, want)
		}
	}
	slices.Sort(reached)
	for i, cell := range cells {
		if len(reached) != 3 || reached[i] != cell+" illegal-recursive-query("+n2+", N, IP)" {
			t.Fatalf("reached %q: want each cell to know of it, once", reached)
		}
	}
	p := engines["pcell3"].Partials(start.Add(3*time.Minute), 10)
	if len(p) != 1 || len(p[0].Steps) != 3 || p[0].Steps[2].Says != fmt.Sprintf("flooding-spoofed-replies(%s, %s, %s, N, IP, Nr)", host3, n2, n1) {
		t.Errorf("what pcell3 knows: %+v", p)
	}
}

// TestHypotheses has what a beginning makes expect, with the values that are known.
func TestHypotheses(t *testing.T) {
	e := engine(t, Limits{}, birthday(t))
	outcomes := e.Observe(start, own(observe("a", 0, event.FloodSYN, host1, n1), "x"))
	a, ok := outcomes[0].(Assessment)
	if !ok || !slices.Equal(a.Against, []string{"flooding-spoofed-replies(A, H1, " + n1 + ", N, IP, Nr)"}) {
		t.Fatalf("%+v", outcomes)
	}
	want := []Hypothesis{
		{"flooding-queries", "flooding-queries(A, H1, " + n1 + ", Nq)", true},
		{"flooding-spoofed-replies", "flooding-spoofed-replies(A, H1, " + n1 + ", N, IP, Nr)", false},
	}
	if !slices.Equal(a.Partial.Hypotheses, want) {
		t.Errorf("got %+v, want %+v", a.Partial.Hypotheses, want)
	}
	c, ok := outcomes[1].(Cooperative)
	if !ok || !slices.Equal(c.Keys, []event.Key{{Selector: ByScenario, Value: "bind-birthday|H2=" + n1}}) {
		t.Errorf("%+v", outcomes[1])
	}
}

// TestOthersAlone: what only others have seen lets nobody act here.
func TestOthersAlone(t *testing.T) {
	e := engine(t, Limits{}, birthday(t))
	for i, o := range attack("") {
		for _, outcome := range e.Observe(start.Add(time.Hour/2), o) {
			if _, ok := outcome.(Reached); !ok {
				t.Errorf("after %d: %+v", i, outcome)
			}
		}
	}
}

// attack is a whole one, of the cell.
func attack(cell string) (all []Observation) {
	for _, o := range []Observation{
		observe("a", 0, event.FloodSYN, host1, n1),
		observe("b", time.Minute, event.DNSFloodQuery, host2, n2),
		observe("c", 2*time.Minute, event.SpoofEgress, host3, n2),
		observe("d", 2*time.Minute+time.Second, event.DNSFloodReply, n1, n2),
	} {
		if cell != "" {
			o = own(o, cell)
		}
		all = append(all, o)
	}
	return all
}

// TestOrder: in whatever order observations arrive, and however often, the partial scenarios in the end
// are the same, and each countermeasure is asked for once.
func TestOrder(t *testing.T) {
	noise := []Observation{
		observe("e", 0, event.FloodSYN, host1, "198.51.100.77"),
		observe("f", time.Minute, event.DNSFloodQuery, host3, "198.51.100.78"),
		observe("g", 3*time.Minute, event.DNSFloodReply, "198.51.100.77", "198.51.100.79"),
		observe("h", 90*time.Second, event.FloodSYN, host2, n1),
		observe("i", 25*time.Minute, event.FloodSYN, host2, n1), // once more
		observe("j", 30*time.Minute, event.FloodSYN, host1, "198.51.100.80"),
		observe("k", 4*time.Minute, event.DNSFloodReply, "198.51.100.80", n2), // before the flood that it would need
	}
	all := slices.Concat(attack("x"), noise)
	now := start.Add(40 * time.Minute)
	s := birthday(t)
	run := func(seed uint64) ([]Partial, []string) {
		random := rand.New(rand.NewPCG(seed, 0))
		in := slices.Concat(all, all)
		random.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		e := engine(t, Limits{}, s)
		var orders []string
		for _, o := range in {
			for _, outcome := range e.Observe(now, o) {
				switch a := outcome.(type) {
				case Assessment:
					orders = append(orders, a.Do.String())
				case Reached:
					orders = append(orders, a.Objective)
				}
			}
		}
		slices.Sort(orders)
		partials := e.Partials(now, 100)
		for i := range partials { // ids come in the order of their arrival, which is told, and not counted
			for j := range partials[i].Steps {
				slices.Sort(partials[i].Steps[j].Because)
			}
		}
		return partials, orders
	}
	partials, orders := run(0)
	if len(slices.Compact(slices.Clone(orders))) != len(orders) {
		t.Errorf("%q: want each once", orders)
	}
	if len(partials) != 6 || len(partials[0].Steps) != 3 || len(partials[1].Steps) != 3 || len(partials[2].Steps) != 2 {
		t.Errorf("%d partial scenarios: %+v", len(partials), partials)
	}
	for seed := range uint64(200) {
		p, _ := run(seed + 1)
		if !reflect.DeepEqual(p, partials) {
			t.Fatalf("seed %d:\n%+v\nwant:\n%+v", seed+1, p, partials)
		}
	}
}

// TestOwnAndBroadcast: an observation that also comes back from the others is one, and an own one is not
// hidden by somebody who tells its name first.
func TestOwnAndBroadcast(t *testing.T) {
	e := engine(t, Limits{}, birthday(t))
	o := observe("a", 0, event.FloodSYN, host1, n1)
	if outcomes := e.Observe(start, o); len(outcomes) != 0 {
		t.Errorf("%+v", outcomes)
	}
	if outcomes := e.Observe(start, own(o, "x")); len(outcomes) != 2 {
		t.Errorf("an own observation that others have told: %+v", outcomes)
	}
	for range 3 {
		if outcomes := e.Observe(start, o); len(outcomes) != 0 {
			t.Errorf("%+v", outcomes)
		}
	}
	if s := e.Stats(); s.Steps != 1 || s.Duplicates != 3 {
		t.Errorf("%+v", s)
	}
}

// TestNoConclusionIsItsOwnCause: two scenarios that take each other's conclusion for a step come to rest.
func TestNoConclusionIsItsOwnCause(t *testing.T) {
	one := parse(t, `scenario one "T"
action a(H) { post: p(H) binds: flood.syn {H: target.ip}, scenario.two {H: V} }
objective o(H) { state: p(H) }`)
	two := parse(t, `scenario two "T"
action b(V) { post: q(V) binds: scenario.one {V: H}, scenario.two {V: V} }
objective o(V) { state: q(V) }`)
	e := engine(t, Limits{}, one, two)
	var reached []string
	for _, outcome := range e.Observe(start, own(observe("a", 0, event.FloodSYN, host1, n1), "x")) {
		if r, ok := outcome.(Reached); ok {
			reached = append(reached, r.Partial.Scenario+" "+r.Objective)
		}
	}
	if want := []string{"one o(" + n1 + ")", "two o(" + n1 + ")"}; !slices.Equal(reached, want) {
		t.Errorf("got %q, want %q", reached, want)
	}
}

// TestTimes: what happened too early, in the wrong order or in the future is no step, what is late is.
func TestTimes(t *testing.T) {
	reached := func(first, second time.Duration, now time.Duration) bool {
		e := engine(t, Limits{}, parse(t, `scenario s "T" within 10m
action a(H) { post: p(H) binds: flood.syn {H: target.ip} }
action b(H) { pre: p(H) post: q(H) binds: flood.udp {H: target.ip} }
objective o(H) { state: q(H) }`))
		found := false
		for _, o := range []Observation{observe("b", second, event.FloodUDP, "", n1), observe("a", first, event.FloodSYN, "", n1)} {
			for _, outcome := range e.Observe(start.Add(now), o) {
				_, ok := outcome.(Reached)
				found = found || ok
			}
		}
		return found
	}
	tests := []struct {
		first, second, now time.Duration
		want               bool
	}{
		{0, time.Minute, time.Minute, true},
		{0, time.Minute, 9 * time.Minute, true},
		{0, time.Minute, 10*time.Minute + time.Second, false},   // the first is too old
		{time.Minute, 0, 2 * time.Minute, true},                 // by clocks that differ
		{3 * time.Minute, 0, 4 * time.Minute, false},            // in the wrong order
		{0, 5 * time.Minute, time.Minute, false},                // in the future
		{0, time.Minute + time.Second, -time.Hour, false},       // both are
		{-time.Hour, time.Minute, 2 * time.Minute, false},       // older than the scenario takes
		{0, 9 * time.Minute, 9*time.Minute + time.Second, true}, // at the edge
	}
	for _, test := range tests {
		if got := reached(test.first, test.second, test.now); got != test.want {
			t.Errorf("at %v and %v, told at %v: %v", test.first, test.second, test.now, got)
		}
	}
}

// TestAtLeast: a step that needs several observations is none before.
func TestAtLeast(t *testing.T) {
	e := engine(t, Limits{}, parse(t, `scenario s "T"
action a(A, N) { post: p(A) binds: ssh.login.failed {A: source.ip, N: count} where user != git at least 3, alert.ssh-brute-force {A: source.ip} }
objective o(A) { state: p(A) }`))
	counts := []int{}
	for i, user := range []string{"root", "git", "root", "", "root"} {
		o := own(observe(fmt.Sprint(i), time.Duration(i)*time.Second, event.SSHLoginFailed, host1, ""), "x")
		o.User = user
		counts = append(counts, len(e.Observe(o.Time, o)))
	}
	if want := []int{0, 0, 0, 0, 2}; !slices.Equal(counts, want) {
		t.Errorf("outcomes %v, want %v: one that does not say its user is not counted", counts, want)
	}
	if got := e.Observe(start.Add(time.Minute), own(observe("x", 0, "alert.ssh-brute-force", host2, ""), "x")); len(got) != 2 {
		t.Errorf("an alert: %+v", got)
	}
}

// TestAlternatives: of steps that exclude one another each makes a partial scenario.
func TestAlternatives(t *testing.T) {
	s := parse(t, `scenario s "T"
action a(X, Y) { post: p(X, Y) binds: flood.syn {X: source.ip, Y: target.ip} }
action b(X, Z) { post: q(X, Z) binds: flood.udp {X: source.ip, Z: target.ip} }
action c(X, Y, Z) { pre: p(X, Y), q(X, Z), r(Y, Z) post: end(X) binds: flood.icmp {X: source.ip, Y: target.ip} }
objective o(X) { state: end(X) }`)
	e := engine(t, Limits{}, s)
	x, y1, y2 := "203.0.113.1", "203.0.113.2", "203.0.113.3"
	for i, o := range []Observation{
		observe("1", 0, event.FloodSYN, x, y1), observe("2", 0, event.FloodSYN, x, y2), observe("3", 0, event.FloodUDP, x, y1),
		observe("4", 0, event.FloodICMP, x, y1), observe("5", 0, event.FloodICMP, x, y2),
	} {
		e.Observe(start.Add(time.Duration(i)), o)
	}
	var got []string
	for _, p := range e.Partials(start, 10) {
		var steps []string
		for _, step := range p.Steps {
			steps = append(steps, step.Says)
		}
		got = append(got, strings.Join(steps, " "))
	}
	slices.Sort(got)
	want := []string{
		fmt.Sprintf("a(%[1]s, %[2]s) b(%[1]s, %[2]s) c(%[1]s, %[2]s, %[2]s)", x, y1),
		fmt.Sprintf("a(%[1]s, %[3]s) b(%[1]s, %[2]s) c(%[1]s, %[3]s, %[2]s)", x, y1, y2),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestRoom: whatever others make up, memory is bounded, what is more complete stays, and of one's own
// nothing is lost.
func TestRoom(t *testing.T) {
	e := engine(t, Limits{Steps: 128, Seen: 256}, birthday(t))
	e.Observe(start, own(observe("mine", 0, event.FloodSYN, host1, n1), "x"))
	honest := observe("honest", time.Second, event.DNSFloodQuery, host2, n2)
	honest.Cell = "honest"
	e.Observe(start.Add(time.Second), honest)
	for i := range 10000 {
		o := observe(fmt.Sprint(i), time.Minute, event.FloodSYN, host2, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
		o.Cell = "liar"
		e.Observe(start.Add(time.Minute), o)
	}
	s := e.Stats()
	if s.Steps > 129 || s.Evicted < 9800 || len(e.seen.at) > 256 || len(e.told.at) > 256 {
		t.Errorf("%+v, %d remembered", s, len(e.seen.at))
	}
	o := own(observe("last", 2*time.Minute, event.DNSFloodReply, n1, n2), "x")
	for _, outcome := range e.Observe(o.Time, o) {
		if r, ok := outcome.(Reached); ok && len(r.Partial.Steps) == 3 {
			return
		}
	}
	t.Error("what was seen here, or by an honest participant, has been lost")
}

// TestManyCandidates: a thousand sources of one flood cost a bounded time, and the loss is counted.
func TestManyCandidates(t *testing.T) {
	e := engine(t, Limits{}, birthday(t))
	for i := range 1000 {
		e.Observe(start, observe(fmt.Sprint(i), 0, event.FloodSYN, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), n1))
	}
	o := own(observe("replies", time.Minute, event.DNSFloodReply, n1, n2), "x")
	assessments := 0
	for _, outcome := range e.Observe(o.Time, o) {
		if _, ok := outcome.(Assessment); ok {
			assessments++
		}
	}
	if assessments != 1 {
		t.Errorf("%d assessments, want the one", assessments)
	}
}

// TestRefused: what no probe makes is not taken in.
func TestRefused(t *testing.T) {
	e := engine(t, Limits{}, birthday(t))
	good := observe("a", 0, event.FloodSYN, host1, n1)
	for _, spoil := range []func(*Observation){
		func(o *Observation) { o.ID = "" },
		func(o *Observation) { o.Time = time.Time{} },
		func(o *Observation) { o.Count = -1 },
		func(o *Observation) { o.User = strings.Repeat("x", maxText+1) },
		func(o *Observation) { o.Values = map[string]string{"X": strings.Repeat("x", maxText+1)} },
		func(o *Observation) { o.Time = o.Time.Add(time.Hour) },
	} {
		bad := good
		spoil(&bad)
		e.Observe(start, own(bad, "x"))
	}
	if s := e.Stats(); s.Refused != 6 || s.Steps != 0 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkObserve(b *testing.B) {
	library, err := NewLibrary(Builtin()...)
	if err != nil {
		b.Fatal(err)
	}
	kinds := []event.Kind{event.FloodSYN, event.DNSFloodQuery, event.DNSFloodReply, event.SSHLoginFailed, event.Worm}
	b.Run("attacks", func(b *testing.B) {
		e := New(library, Limits{})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			x, y := byte(i/len(kinds)%200), byte(i/len(kinds)%31)
			o := observe(fmt.Sprint(i), time.Duration(i)*time.Millisecond, kinds[i%len(kinds)],
				netip.AddrFrom4([4]byte{192, 0, 2, x}).String(), netip.AddrFrom4([4]byte{198, 51, 100, y}).String())
			e.Observe(o.Time, own(o, "x"))
		}
	})
	b.Run("unbound", func(b *testing.B) {
		e := New(library, Limits{})
		o := observe("", 0, event.MailProtocol, host1, n1)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			o.ID = fmt.Sprint(i)
			e.Observe(o.Time, o)
		}
	})
}

func TestPatterns(t *testing.T) {
	e := engine(t, Limits{}, parse(t, `scenario s "T"
action a(A) { post: p(A) binds: ssh.* {A: source.ip}, flood.syn {A: source.ip}, scan.* {A: source.ip} }
objective o(A) { state: p(A) }`))
	found := map[event.Kind]int{}
	for _, k := range []event.Kind{"ssh.login.failed", "flood.syn", "flood.udp", "scan.port", "scan", "scandal.port"} {
		found[k] = len(e.bound(k))
	}
	want := map[event.Kind]int{"ssh.login.failed": 1, "flood.syn": 1, "flood.udp": 0, "scan.port": 1, "scan": 0, "scandal.port": 0}
	if !maps.Equal(found, want) {
		t.Errorf("got %v, want %v", found, want)
	}
}
