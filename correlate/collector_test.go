package correlate

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/komondor/komondor/event"
)

func members(said []Testimony) []string {
	var all []string
	for _, t := range said {
		all = append(all, t.Member)
	}
	return all
}

func always(Verdict) bool { return true }

func TestSmallest(t *testing.T) {
	rules := builtin(t)
	many := func(n int, organisation string, tally event.Tally) []Testimony {
		var all []Testimony
		for i := range n {
			all = append(all, Testimony{Organisation: organisation, Member: fmt.Sprintf("%s%02d", organisation, i), Tallies: []event.Tally{tally}})
		}
		return all
	}
	ports := func(names ...string) event.Tally { return values(proven(event.ScanPort, 20, 0, 50), names...) }
	for _, c := range []struct {
		name string
		rule string
		said []Testimony
		want []string
	}{
		{"of three that would do, the newest two", "ssh-brute-force",
			[]Testimony{say("a", proven(failed, 5, 0, 10)), say("b", proven(failed, 5, 0, 50)), say("c", proven(failed, 5, 0, 30))}, []string{"b", "c"}},
		{"the heaviest first", "ssh-brute-force",
			[]Testimony{say("a", proven(failed, 1, 0, 50)), say("b", proven(failed, 4, 0, 50)), say("c", proven(failed, 5, 0, 30)), say("d", proven(failed, 2, 0, 50))}, []string{"c", "b", "d"}},
		{"weight beyond the share is none", "ssh-brute-force",
			[]Testimony{say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 5, 0, 50)), say("liar", proven(failed, math.MaxUint32, 0, 0))}, []string{"a", "b"}},
		{"an organisation of many liars crowds nobody out", "ssh-brute-force",
			append(many(40, "liar", proven(failed, math.MaxUint32, 0, 50)), say("x", proven(failed, 5, 0, 10))), []string{"liar00", "x"}},
		{"nor do liars about another time", "ssh-brute-force",
			append([]Testimony{say("x", proven(failed, 5, 0, 10)), say("y", proven(failed, 5, 0, 10))}, many(40, "liar", proven(failed, math.MaxUint32, -9000, -9000))...), []string{"x", "y"}},
		{"proven evidence, where it names the offender", "ssh-brute-force",
			[]Testimony{say("a", spoofable(failed, 99, 0, 50)), say("b", spoofable(failed, 99, 0, 50)), say("c", proven(failed, 5, 0, 30)), say("d", proven(failed, 5, 0, 20))}, []string{"c", "d"}},
		{"a sum of many", "ssh-brute-force", append(many(16, "o", proven(event.SSHPreauthClosed, 1, 0, 50)), many(20, "p", proven(event.SSHPreauthClosed, 1, 0, 50))...),
			append(members(many(10, "o", event.Tally{})), members(many(10, "p", event.Tally{}))...)},
		{"the newest too, where the heaviest are old", "ssh-brute-force",
			[]Testimony{say("liar", proven(failed, 99, -3000, -3000)), say("a", proven(failed, 5, 0, 50)), say("b", proven(failed, 4, 0, 40)), say("c", proven(failed, 3, 0, 30))}, []string{"liar", "a", "b"}},
		{"values shared out", "vertical-scan", []Testimony{say("a", ports(names("p", 5)...)), say("b", ports(names("p", 5)...)), say("c", ports(names("q", 5)...))}, []string{"a", "c"}},
	} {
		v, _ := rules.JudgeRule(c.rule, Federation, bySource, c.said)
		got := members(rules.Smallest(v, c.said))
		slices.Sort(got)
		want := slices.Clone(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
	// A threshold that takes more reports than an alert may carry.
	ssh, _ := builtin(t).Named("ssh-brute-force")
	list := []Rule{ssh}
	list[0].Federation.AtLeast = 2 * (event.MaxEvidence + 2)
	strict, err := NewRules(list, event.Kind.Severity)
	if err != nil {
		t.Fatal(err)
	}
	said := append(many(40, "o", proven(failed, 1, 0, 0)), many(40, "p", proven(failed, 1, 0, 0))...)
	v, ok := strict.JudgeRule("ssh-brute-force", Federation, bySource, said)
	if got := strict.Smallest(v, said); !ok || got != nil {
		t.Errorf("crossed %v, proved by %v", ok, members(got))
	}
}

// covers reports whether v accuses all that other does, up to the same times.
func covers(v, other Verdict) bool {
	for _, o := range other.Offenders {
		if v.AgreedOn(o).Before(other.AgreedOn(o)) {
			return false
		}
	}
	return !v.Agreed.Before(other.Agreed)
}

// Whatever crosses is proved by a set that crosses, names all offenders up to the
// same time, and has nobody too many.
func TestSmallestProves(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	rules, proved := builtin(t), 0
	for range 300 {
		key := []event.Key{bySource, byPort}[random.IntN(2)]
		said := make([]Testimony, 2+random.IntN(8))
		for i := range said {
			said[i] = Testimony{Organisation: fmt.Sprint("o", i/2), Member: fmt.Sprint("m", i)}
			for range 1 + random.IntN(6) {
				second := random.IntN(5400)
				tally := values(proven([]event.Kind{failed, event.ScanPort}[random.IntN(2)], uint32(random.IntN(4)), second, second), names("v", random.IntN(16))...)
				if key == byPort {
					tally = of([]string{"203.0.113.8", "203.0.113.9"}[random.IntN(2)], tally)
				}
				said[i].Tallies = append(said[i].Tallies, tally)
			}
		}
		for _, v := range rules.Judge(Federation, key, said) {
			set := rules.Smallest(v, said)
			again, ok := rules.JudgeRule(v.Rule.Name, Federation, key, set)
			if !ok || len(set) > event.MaxEvidence || again.Last.After(v.Last) {
				t.Fatalf("%v of %v: crossed %v, until %s", members(set), members(said), ok, again.Last)
			}
			found := len(v.Offenders) == 0 && len(again.Offenders) > 0 // in an older window
			if !covers(again, v) && !found {
				t.Fatalf("%v of %v: accuses %v up to %s, want %v up to %s", members(set), members(said), again.Offenders, again.Agreed, v.Offenders, v.Agreed)
			}
			for i := range set {
				fewer, ok := rules.JudgeRule(v.Rule.Name, Federation, key, slices.Delete(slices.Clone(set), i, i+1))
				if ok && covers(fewer, v) && !fewer.First.Before(v.First) { // not in an older window
					t.Fatalf("%v: %s is not needed", members(set), set[i].Member)
				}
			}
			proved++
		}
	}
	if proved < 100 {
		t.Errorf("only %d verdicts proved", proved)
	}
}

// report is a report as it comes in, verified.
func report(t testing.TB, member string, key event.Key, version uint64, tallies ...event.Tally) (event.Report, event.Sealed) {
	r := event.Report{Federation: "test", Member: member, Key: key, Version: version, Tallies: tallies}
	body, err := event.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, event.Sealed{Body: body, Signer: member}
}

func TestCollectorVersions(t *testing.T) {
	c := NewCollector(builtin(t), roomFor(t, 100))
	for _, step := range []struct {
		name     string
		member   string
		version  uint64
		failures uint32
		fresh    bool
		caught   bool     // in a contradiction
		counted  []uint32 // what counts under the key afterwards, by member
	}{
		{"a first report", "b", 5, 1, true, false, []uint32{1}},
		{"a duplicate", "b", 5, 1, false, false, []uint32{1}},
		{"a newer one takes its place", "b", 7, 3, true, false, []uint32{3}},
		{"a replay", "b", 5, 1, false, false, []uint32{3}},
		{"another member", "a", 1, 9, true, false, []uint32{9, 3}},
		{"evidence that was forgiven", "a", 2, 0, true, false, []uint32{0, 3}},
		{"a contradiction", "b", 7, 4, false, true, []uint32{0}},
		{"who contradicts himself no longer counts", "b", 8, 4, false, false, []uint32{0}},
	} {
		r, sealed := report(t, step.member, bySource, step.version, proven(failed, step.failures, 0, 0))
		fresh, err := c.Put(r, Author{Organisation: step.member}, sealed)
		var proof *Contradiction
		caught := errors.As(err, &proof) && proof.First.Signer == step.member && !bytes.Equal(proof.First.Body, proof.Second.Body)
		var counted []uint32
		for _, said := range c.Testimonies(bySource) {
			counted = append(counted, said.Tallies[0].Proven)
		}
		if fresh != step.fresh || caught != step.caught || caught != (err != nil) || !slices.Equal(counted, step.counted) {
			t.Errorf("%s: fresh %v, error %v, counted %v, want %v, caught %v, %v", step.name, fresh, err, counted, step.fresh, step.caught, step.counted)
		}
	}
}

func TestCollectorJudge(t *testing.T) {
	put := func(c *Collector, organisation, member string, tallies ...event.Tally) {
		r, sealed := report(t, member, bySource, 1, tallies...)
		if _, err := c.Put(r, Author{Organisation: organisation, Mute: organisation == "mute"}, sealed); err != nil {
			t.Fatal(err)
		}
	}
	type finding struct {
		scope   Scope
		members []string
	}
	for _, c := range []struct {
		name string
		put  func(c *Collector)
		want []finding
	}{
		{"below", func(c *Collector) { put(c, "o", "a", proven(failed, 4, 0, 50)) }, nil},
		{"two organisations", func(c *Collector) {
			put(c, "o", "a", proven(failed, 5, 0, 50))
			put(c, "p", "b", proven(failed, 5, 0, 50))
		}, []finding{{Federation, []string{"a", "b"}}}},
		{"one organisation's members together", func(c *Collector) {
			put(c, "o", "a", proven(failed, 3, 0, 50))
			put(c, "o", "b", proven(failed, 2, 0, 50))
			put(c, "p", "c", proven(failed, 1, 0, 50))
		}, []finding{{Home, []string{"a", "b"}}}},
		{"an organisation without a vote counts at home only", func(c *Collector) {
			put(c, "mute", "a", proven(failed, 5, 0, 50))
			put(c, "o", "b", proven(failed, 5, 0, 50))
		}, []finding{{Home, []string{"a"}}, {Home, []string{"b"}}}},
		{"each organisation its own, though another cries first", func(c *Collector) {
			put(c, "liar", "a", proven(failed, 99, -7000, -7000))
			put(c, "o", "b", proven(failed, 5, 0, 50))
		}, []finding{{Home, []string{"a"}}, {Home, []string{"b"}}}},
	} {
		collector := NewCollector(builtin(t), roomFor(t, 100))
		c.put(collector)
		var got []finding
		for _, f := range collector.Judge(bySource, always) {
			got = append(got, finding{f.Scope, members(f.Evidence)})
			again, ok := builtin(t).JudgeRule(f.Rule.Name, f.Scope, f.Key, f.Evidence)
			if !ok || !reflect.DeepEqual(again, f.Verdict) {
				t.Errorf("%s: the evidence gives another verdict than is told", c.name)
			}
			slices.Sort(got[len(got)-1].members)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// bounded is a collector that is told of failures on any key.
type bounded struct {
	*Collector
	t testing.TB
}

func (c bounded) put(organisation, member string, key event.Key, version uint64) error {
	r, sealed := report(c.t, member, key, version, proven(failed, 1, 0, 0))
	_, err := c.Put(r, Author{Organisation: organisation}, sealed)
	return err
}

// roomFor is how much n reports of a bounded collector take, at the most.
func roomFor(t testing.TB, n int) int {
	_, sealed := report(t, "member1000", madeUp(1<<24-1), math.MaxUint16, proven(failed, 1, 0, 0))
	s := statement{sealed: sealed.Body}
	return n * s.size(madeUp(1<<24-1))
}

func madeUp(i int) event.Key {
	return event.Key{Selector: event.BySource, Value: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff)}
}

// One organisation floods the collector, with keys that it makes up and with
// those of others: whoever stays within its share loses nothing.
func TestFloodTakesNobodysRoom(t *testing.T) {
	const limit, honest = 1000, 24
	share := limit / (honest + 1)
	for name, invent := range map[string]func(i int) event.Key{
		"made-up keys":   func(i int) event.Key { return madeUp(1<<16 + i) },
		"others' keys":   func(i int) event.Key { return madeUp(i % (honest * share)) },
		"both":           func(i int) event.Key { return madeUp(i/2%(honest*share) + i%2<<16) },
		"the same again": func(i int) event.Key { return madeUp(1<<16 + i%(2*limit)) },
	} {
		c := bounded{NewCollector(builtin(t), roomFor(t, limit)), t}
		flood := 0
		for i := range honest * share {
			for range 10 {
				if err := c.put("liar", fmt.Sprint("liar", flood%3), invent(flood), uint64(flood)); err != nil {
					t.Fatal(err)
				}
				flood++
			}
			if err := c.put(fmt.Sprint("o", i%honest), fmt.Sprint("m", i%(2*honest)), madeUp(i), 1); err != nil {
				t.Fatal(err)
			}
		}
		for i := range honest * share {
			if !slices.ContainsFunc(c.Testimonies(madeUp(i)), func(t Testimony) bool { return t.Organisation == fmt.Sprint("o", i%honest) }) {
				t.Fatalf("%s: report %d of %d is lost", name, i, honest*share)
			}
		}
		if held, bytes := held(c.Collector); bytes > roomFor(t, limit) || c.Bytes() != bytes || held < limit || c.Evicted() == 0 {
			t.Errorf("%s: %d reports of %d bytes held, %d counted, limit %d reports, evicted %d times", name, held, bytes, c.Bytes(), limit, c.Evicted())
		}
	}
}

// held is how many reports a collector has, and their size.
func held(c *Collector) (n, bytes int) {
	for key, on := range c.keys {
		for _, s := range on.all() {
			n++
			bytes += s.size(key)
		}
	}
	return n, bytes
}

func (q *queue) len() (n int) {
	for w := q.front; w != nil; w = w.behind {
		n++
	}
	return n
}

// Who floods gives up what it says alone before what others say too.
func TestFloodKeepsWhatOthersConfirm(t *testing.T) {
	c := bounded{NewCollector(builtin(t), roomFor(t, 10)), t}
	for _, organisation := range []string{"a", "b"} {
		if err := c.put(organisation, organisation, bySource, 1); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if err := c.put("a", "a", madeUp(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := members(c.Testimonies(bySource)); !slices.Equal(got, []string{"a", "b"}) || c.Len() != 9 || c.Evicted() != 92 {
		t.Errorf("%v speak of it, %d keys, evicted %d times", got, c.Len(), c.Evicted())
	}
	if c.Testimonies(madeUp(91)) != nil || c.Testimonies(madeUp(92)) == nil {
		t.Error("not the oldest words went first")
	}
	c.Expel(func(member string) bool { return member == "b" })
	for i := range 10 {
		if err := c.put("a", "a", madeUp(1000+i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if c.Testimonies(bySource) != nil {
		t.Error("what nobody confirms any more was kept before newer words")
	}
}

func TestCollectorIsBounded(t *testing.T) {
	const limit = 200
	c := bounded{NewCollector(builtin(t), roomFor(t, limit)), t}
	random := rand.New(rand.NewPCG(21, 22))
	for i := range 5000 {
		organisation := random.IntN(1 + i/200)
		err := c.put(fmt.Sprint("o", organisation), fmt.Sprint("m", organisation, random.IntN(3)), madeUp(random.IntN(300)), uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if random.IntN(100) == 0 {
			out := fmt.Sprint("m", random.IntN(25), random.IntN(3))
			c.Expel(func(member string) bool { return member == out })
		}
		n, bytes := held(c.Collector)
		if bytes > roomFor(t, limit) || bytes != c.Bytes() {
			t.Fatalf("step %d: %d reports of %d bytes on %d keys held, %d counted", i, n, bytes, c.Len(), c.Bytes())
		}
		on, alone, shared := map[string]int{}, map[string]int{}, map[string]int{}
		names := map[string]int{}
		for key, g := range c.keys {
			for w, s := range g.all() {
				on[w.by.organisation] += s.size(key)
				names[s.by.id]++
			}
			for w := g.words; w != nil; w = w.next {
				if g.words.next == nil {
					alone[w.by.organisation]++
				} else {
					shared[w.by.organisation]++
				}
			}
		}
		if len(names) != len(c.members) {
			t.Fatalf("step %d: %d members speak, %d are known", i, len(names), len(c.members))
		}
		for organisation, h := range c.room.holders {
			if h.bytes != on[organisation] || h.bytes > c.room.ranking[0].bytes || h.alone.len() != alone[organisation] || h.shared.len() != shared[organisation] {
				t.Fatalf("step %d: %s holds %d bytes, want %d; %d and %d words, want %d and %d", i, organisation, h.bytes, on[organisation],
					h.alone.len(), h.shared.len(), alone[organisation], shared[organisation])
			}
		}
	}
	c.Sweep(at(3600))
	if c.Len() == 0 {
		t.Error("swept what counts")
	}
	c.Sweep(at(3600 + 61))
	if c.Len() != 0 || c.Bytes() != 0 || len(c.members) != 0 || len(c.room.ranking) != 0 || len(c.room.holders) != 0 {
		t.Errorf("%d keys, %d bytes after all is over", c.Len(), c.Bytes())
	}
}

// A key with many reporters has a bound of its own, and one organisation's
// reports on one key are kept together.
func TestKeyIsBounded(t *testing.T) {
	c := bounded{NewCollector(builtin(t), roomFor(t, 200)), t}
	for i := range maxMembers {
		if err := c.put("o", fmt.Sprint("member", i), byPort, 1); err != nil {
			t.Fatal(err)
		}
	}
	err := c.put("o", "one more", byPort, 1)
	if n, _ := held(c.Collector); !errors.Is(err, ErrTooMany) || n != maxMembers {
		t.Errorf("%v, %d reports", err, n)
	}
	err = c.put("p", "p", bySource, 1)
	if n, _ := held(c.Collector); err != nil || n != 1 {
		t.Errorf("%v, %d reports: one organisation's take no room from another's", err, n)
	}
}

// A flood in a full collector.
func BenchmarkCollectorPutFull(b *testing.B) {
	c := bounded{NewCollector(builtin(b), roomFor(b, 30_000)), b}
	for i := 0; b.Loop(); i++ {
		if err := c.put(fmt.Sprint("o", i%1000), fmt.Sprint("o", i%1000), madeUp(i%100_000), uint64(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// Evidence is chosen for news only, and what was found over the federation is
// not looked for in each organisation.
func TestCollectorJudgesNews(t *testing.T) {
	c := NewCollector(builtin(t), roomFor(t, 100))
	for _, member := range []string{"a", "b"} {
		r, sealed := report(t, member, bySource, 1, proven(failed, 6, 0, 50))
		if _, err := c.Put(r, Author{Organisation: member}, sealed); err != nil {
			t.Fatal(err)
		}
	}
	for _, news := range []bool{false, true} {
		var asked []Scope
		found := c.Judge(bySource, func(v Verdict) bool {
			asked = append(asked, v.Scope)
			return news
		})
		if !slices.Equal(asked, []Scope{Federation}) || (len(found) == 1) != news {
			t.Errorf("news %v: asked about %v, found %+v", news, asked, found)
		}
	}
}

// However many offenders there are, the newest are proved.
func TestSmallestProvesTheNewest(t *testing.T) {
	rules := builtin(t)
	var said []Testimony
	for i := range 40 { // each with a source of its own, and one of its two neighbours'
		tally := func(source, second int) event.Tally {
			return of(fmt.Sprint("203.0.113.", source%40), values(proven(event.ScanPort, 5, second, second), names(fmt.Sprint("h", i), 5)...))
		}
		said = append(said, say(fmt.Sprintf("m%02d", i), tally(i, 60*i), tally(i+1, 60*i)))
	}
	v, _ := rules.JudgeRule("horizontal-scan", Federation, byPort, said)
	set := rules.Smallest(v, said)
	proved, ok := rules.JudgeRule("horizontal-scan", Federation, byPort, set)
	if !ok || len(v.Offenders) != 40 || len(set) != maxGoals+1 || len(proved.Offenders) != maxGoals || !proved.Agreed.Equal(v.Agreed) {
		t.Fatalf("%d of %d offenders proved by %d, up to %s of %s", len(proved.Offenders), len(v.Offenders), len(set), proved.Agreed, v.Agreed)
	}
	for _, o := range v.Offenders {
		if v.AgreedOn(o).Before(at(60*(39-maxGoals))) == slices.Contains(proved.Offenders, o) {
			t.Errorf("%s of %s: proved %v", o, v.AgreedOn(o), slices.Contains(proved.Offenders, o))
		}
	}
}

func BenchmarkCollectorPutJudge(b *testing.B) {
	for _, n := range []int{3, 10, 30} {
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			c := NewCollector(builtin(b), roomFor(b, 1<<16))
			reports, sealed := make([]event.Report, n), make([]event.Sealed, n)
			for i := range n {
				var tallies []event.Tally
				for slot := range 12 {
					tallies = append(tallies, proven(failed, 1, slot*300+i, slot*300+i+200), proven(event.SSHUserInvalid, 1, slot*300+i, slot*300+i+100))
				}
				reports[i], sealed[i] = report(b, fmt.Sprint("m", i), bySource, 1, tallies...)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := reports[i%n]
				r.Version = uint64(1 + i)
				if _, err := c.Put(r, Author{Organisation: r.Member}, sealed[i%n]); err != nil {
					b.Fatal(err)
				}
				if found := c.Judge(bySource, always); i > n && len(found) == 0 {
					b.Fatal("nothing found")
				}
			}
		})
	}
}

func TestCollectorExpels(t *testing.T) {
	c := NewCollector(builtin(t), roomFor(t, 100))
	for _, member := range []string{"a", "b"} {
		r, sealed := report(t, member, bySource, 1, proven(failed, 1, 0, 0))
		if _, err := c.Put(r, Author{Organisation: member}, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if poorer := c.Expel(func(member string) bool { return member == "a" }); !slices.Equal(poorer, []event.Key{bySource}) {
		t.Errorf("poorer are %v", poorer)
	}
	if poorer := c.Expel(func(member string) bool { return member == "a" }); poorer != nil {
		t.Errorf("poorer are %v, when nobody was expelled", poorer)
	}
	if said := c.Testimonies(bySource); len(said) != 1 || said[0].Member != "b" || c.Len() != 1 {
		t.Errorf("%d keys, and %v speak, want b alone", c.Len(), members(said))
	}
	if poorer := c.Expel(func(string) bool { return true }); c.Len() != 0 || poorer != nil {
		t.Errorf("%d keys are left, of nobody, and %v poorer", c.Len(), poorer)
	}
}
