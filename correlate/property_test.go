package correlate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/komondor/komondor/event"
)

// made is evidence that a chance has made up: of some members, on one key.
func made(t *testing.T, chance *rand.Rand, key event.Key) []event.Report {
	t.Helper()
	kinds := []event.Kind{failed, event.SSHUserInvalid, event.HTTPScan, event.ScanPort, event.FTPLoginFailed, event.AnomalyRate, event.IDSHigh}
	var reports []event.Report
	for m := range 1 + chance.IntN(6) {
		var tallies []event.Tally
		for range 1 + chance.IntN(8) {
			first := chance.IntN(7200)
			tally := proven(kinds[chance.IntN(len(kinds))], uint32(1+chance.IntN(4)), first, first+chance.IntN(300))
			if chance.IntN(4) == 0 {
				tally.Proven, tally.Spoofable = 0, tally.Proven
			}
			tally = values(tally, names(fmt.Sprint("v", chance.IntN(20), "-"), chance.IntN(6))...)
			if !key.Selector.Has(event.BySource) && chance.IntN(3) > 0 {
				tally.Source = event.SourcePrefix(netip.AddrFrom4([4]byte{203, 0, 113, byte(chance.IntN(5))}))
			}
			tallies = append(tallies, tally)
		}
		reports = append(reports, event.Report{Federation: "test", Member: fmt.Sprint("m", m), Key: key, Version: 2, Tallies: tallies})
	}
	return reports
}

// gist is what a finding says, without the evidence that was chosen for it.
func gists(found []Finding) (all []string) {
	for _, f := range found {
		all = append(all, fmt.Sprint(f.Rule.Name, f.Scope, f.Key, f.Organisation, f.Score, f.Count, f.Offenders, f.Agreed, f.First, f.Last, members(f.Evidence)))
	}
	return all
}

// gathers is a collector that the reports have come to, in their order; those of a member at
// which stale says so after an older one.
func gathers(t *testing.T, rules Rules, reports []event.Report) *Collector {
	t.Helper()
	c := NewCollector(rules, 1<<20)
	for _, r := range reports {
		body, err := event.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		organisation := "o" + string(r.Member[1]&^1) // two members each
		if _, err := c.Put(r, Author{Organisation: organisation, Verified: true}, event.Sealed{Body: body, Signer: r.Member}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// What a collector finds does not depend on the order of the reports, on how often each comes, or
// on older ones that come before or after it.
func TestOrderAndDuplicatesChangeNothing(t *testing.T) {
	rules, chance := builtin(t), rand.New(rand.NewPCG(7, 1))
	found := 0
	for round := range 300 {
		key := []event.Key{bySource, byPort, bySubnet}[round%3]
		reports := made(t, chance, key)
		want := gists(gathers(t, rules, reports).Judge(key, always))
		found += len(want)
		var again []event.Report
		for _, r := range reports {
			old := r
			old.Version, old.Tallies = 1, r.Tallies[:len(r.Tallies)/2]
			again = append(again, r, r, old)
		}
		chance.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		c := gathers(t, rules, again)
		for range 2 { // nor on having been asked before
			if got := gists(c.Judge(key, always)); !slices.Equal(got, want) {
				t.Fatalf("round %d: found\n%q\nin another order\n%q", round, want, got)
			}
		}
	}
	if found < 100 {
		t.Errorf("%d findings: the evidence is too thin to show anything", found)
	}
}

// A key is passed over only where no rule is met, by anybody's evidence.
func TestNothingWithinReachIsPassedOver(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 2))
	rules, err := NewRules(append(Builtin(), load(t, correlation("type: value_avg", "rules: [ssh.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: severity, gte: 3}")).list...), event.Kind.Severity)
	if err != nil {
		t.Fatal(err)
	}
	met, passed := 0, 0
	for round := range 600 {
		key := []event.Key{bySource, byPort, bySubnet}[round%3]
		c := gathers(t, rules, made(t, chance, key))
		within := c.within(c.keys[key])
		said := c.Testimonies(key)
		var verdicts []Verdict
		verdicts = append(verdicts, rules.Judge(Federation, key, said)...)
		for _, s := range said {
			verdicts = append(verdicts, rules.Judge(Home, key, []Testimony{s})...)
		}
		for _, v := range verdicts {
			if !slices.ContainsFunc(within, func(r *Rule) bool { return r.Name == v.Rule.Name }) {
				t.Fatalf("round %d: %s is met %s, and out of reach", round, v.Rule.Name, v.Scope)
			}
		}
		met += len(verdicts)
		if len(within) == 0 {
			passed++
		}
	}
	if met < 100 || passed < 10 {
		t.Errorf("%d verdicts, %d keys passed over: the evidence shows nothing", met, passed)
	}
}

// Over the federation it is organisations that count: how one's evidence is spread over its
// members changes no verdict, but for who is named as having said it.
func TestSplittingOverMembersChangesNothing(t *testing.T) {
	rules, chance := builtin(t), rand.New(rand.NewPCG(7, 3))
	found := 0
	for round := range 300 {
		key := []event.Key{bySource, byPort, bySubnet}[round%3]
		var whole, split []Testimony
		for _, r := range made(t, chance, key) {
			whole = append(whole, Testimony{Organisation: r.Member, Member: r.Member, Tallies: r.Tallies})
			for i, tally := range r.Tallies {
				split = append(split, Testimony{Organisation: r.Member, Member: fmt.Sprint(r.Member, "-", i%3), Tallies: []event.Tally{tally}})
			}
		}
		chance.Shuffle(len(split), func(i, j int) { split[i], split[j] = split[j], split[i] })
		want, got := rules.Judge(Federation, key, whole), rules.Judge(Federation, key, split)
		for _, verdicts := range [][]Verdict{want, got} {
			for i := range verdicts {
				verdicts[i].Members, verdicts[i].Rule = nil, Rule{Name: verdicts[i].Rule.Name}
			}
		}
		if found += len(want); !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: %+v, and divided over members %+v", round, want, got)
		}
	}
	if found < 50 {
		t.Errorf("%d verdicts: the evidence is too thin to show anything", found)
	}
}

// However the keys and members are drawn, neither a ledger nor a collector grows beyond its bound.
func TestRandomKeysStayWithinBounds(t *testing.T) {
	rules, chance := builtin(t), rand.New(rand.NewPCG(7, 4))
	const tallies, room = 500, 200_000
	l, c := NewLedger(rules, tallies, hash), NewCollector(rules, room)
	for i := range 20_000 {
		key := madeUp(chance.IntN(1 << 24))
		l.Add(key, Change{seen(failed, chance.IntN(7200)), +1})
		r, sealed := report(t, fmt.Sprint("m", chance.IntN(1000)), key, uint64(i), proven(failed, 1, 0, 0))
		if _, err := c.Put(r, Author{Organisation: fmt.Sprint("o", chance.IntN(1000))}, sealed); err != nil {
			t.Fatal(err)
		}
		c.Judge(key, always)
		if l.held > tallies || c.Bytes() > room {
			t.Fatalf("after %d: %d tallies, %d bytes", i, l.held, c.Bytes())
		}
	}
	if l.Evicted() == 0 || c.Evicted() == 0 || len(l.pages) == 0 || c.Len() == 0 {
		t.Errorf("%d and %d given up, %d and %d kept", l.Evicted(), c.Evicted(), len(l.pages), c.Len())
	}
}
