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

var (
	neighbours4 = event.Key{Selector: event.BySourceSubnet, Value: "203.0.113.0/24"}
	neighbours6 = event.Key{Selector: event.BySourceSubnet, Value: "2001:db8:1::/48"}
)

// fails is that many failed logins, of 2 points each, by each of the sources.
func fails(n uint32, sources ...string) (tallies []event.Tally) {
	for i, source := range sources {
		tallies = append(tallies, of(source, proven(failed, n, i, i)))
	}
	return tallies
}

// hosts are n addresses of 203.0.113.0/24 from first on.
func hosts(first, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("203.0.113.", first+i))
	}
	return all
}

// At home 40 points make a crowd, over the federation 80; none of the sources may reach a quarter.
func TestCrowds(t *testing.T) {
	rules := builtin(t)
	sites := func(n int, format string) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return all
	}
	loud := func(n uint32) []event.Tally { return fails(n, "203.0.113.200") }
	for _, c := range []struct {
		name  string
		scope Scope
		key   event.Key
		said  []Testimony
		want  []string // nil where there is no verdict
	}{
		{"four failures each", Home, neighbours4, []Testimony{say("a", fails(4, hosts(16, 5)...)...)}, []string{"203.0.113.16/29"}},
		{"a failure less", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 4)...), fails(3, "203.0.113.20")...)...)}, nil},
		{"one source with four failures", Home, neighbours4, []Testimony{say("a", fails(4, "203.0.113.9")...)}, nil},
		{"one loud source", Home, neighbours4, []Testimony{say("a", loud(1000)...)}, nil},
		{"one loud source and innocents", Home, neighbours4, []Testimony{say("a", append(loud(1000), fails(1, hosts(1, 19)...)...)...)}, nil},
		{"as loud as its own rule asks for, and innocents", Home, neighbours4, []Testimony{say("a", append(loud(5), fails(1, hosts(1, 19)...)...)...)}, nil},
		{"a loud one beside a crowd", Home, neighbours4, []Testimony{say("a", append(loud(1000), fails(4, hosts(16, 5)...)...)...)}, []string{"203.0.113.16/29"}},
		{"four loud ones are no crowd", Home, neighbours4, []Testimony{say("a", fails(5, hosts(16, 4)...)...)}, nil},
		{"two crowds", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 5)...), fails(4, hosts(128, 5)...)...)...)}, []string{"203.0.113.16/29", "203.0.113.128/29"}},
		{"what a smaller one leaves", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 5)...), fails(4, "203.0.113.1", "203.0.113.70", "203.0.113.130", "203.0.113.200", "203.0.113.250")...)...)},
			[]string{"203.0.113.0/24", "203.0.113.16/29"}},
		{"a whole /24", Home, neighbours4, []Testimony{say("a", fails(4, "203.0.113.1", "203.0.113.70", "203.0.113.130", "203.0.113.200", "203.0.113.250")...)}, []string{"203.0.113.0/24"}},
		{"spoofable", Home, neighbours4, []Testimony{say("a", func() (all []event.Tally) {
			for _, h := range hosts(16, 20) {
				all = append(all, of(h, spoofable(failed, 4, 0, 0)))
			}
			return all
		}()...)}, nil},
		{"sources of another subnet", Home, neighbours4, []Testimony{say("a", fails(4, "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5")...)}, nil},
		{"not at the same time", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 4)...), of("203.0.113.20", proven(failed, 4, 700, 700)))...)}, nil},
		{"once quiet, and loud now", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 5)...), func() (all []event.Tally) {
			for _, h := range hosts(16, 5) {
				all = append(all, of(h, proven(failed, 5, 700, 700)))
			}
			return all
		}()...)...)}, nil},
		{"in an earlier window", Home, neighbours4, []Testimony{say("a", append(fails(4, hosts(16, 5)...), of("203.0.113.90", proven(failed, 1, 3000, 3000)))...)}, []string{"203.0.113.16/29"}},

		{"many /64 of one /56", Home, neighbours6, []Testimony{say("a", fails(1, sites(20, "2001:db8:1:4%02x::9")...)...)}, []string{"2001:db8:1:400::/56"}},
		{"few /64, close to one another", Home, neighbours6, []Testimony{say("a", fails(4, sites(5, "2001:db8:1:40%x::9")...)...)}, []string{"2001:db8:1:400::/56"}},
		{"of one /48", Home, neighbours6, []Testimony{say("a", fails(1, sites(20, "2001:db8:1:%02x00::9")...)...)}, []string{"2001:db8:1::/48"}},

		{"two organisations", Federation, neighbours4, []Testimony{say("a", fails(4, hosts(16, 5)...)...), say("b", fails(4, hosts(16, 5)...)...)}, []string{"203.0.113.16/29"}},
		{"each sees other sources", Federation, neighbours4, []Testimony{
			say("a", fails(4, "203.0.113.16", "203.0.113.20")...), say("b", fails(4, "203.0.113.17", "203.0.113.21")...), say("c", fails(4, "203.0.113.18", "203.0.113.22")...),
			say("d", fails(4, "203.0.113.19", "203.0.113.23")...), say("e", fails(4, "203.0.113.16", "203.0.113.22")...)}, []string{"203.0.113.16/29"}},
		{"one organisation", Federation, neighbours4, []Testimony{say("a", fails(9, hosts(0, 256)...)...)}, nil},
		{"one liar and an honest typo", Federation, neighbours4, []Testimony{say("a", fails(9, hosts(0, 256)...)...), say("b", fails(1, "203.0.113.16")...)}, nil},
		{"one liar and an honest loud source", Federation, neighbours4, []Testimony{say("a", fails(9, hosts(0, 256)...)...), say("b", fails(1000, "203.0.113.16")...)}, nil},
		{"one liar makes a crowd no wider", Federation, neighbours4, []Testimony{
			say("a", fails(9, "203.0.113.16", "203.0.113.17", "203.0.113.200", "203.0.113.201", "203.0.113.240")...), say("b", fails(9, hosts(16, 5)...)...)}, nil},
		{"two members of one organisation make no source loud", Federation, neighbours4, []Testimony{
			{Organisation: "a", Member: "a1", Tallies: fails(5, hosts(16, 5)...)}, say("b", fails(4, hosts(16, 5)...)...), {Organisation: "a", Member: "c", Tallies: fails(5, hosts(16, 5)...)}},
			[]string{"203.0.113.16/29"}},
		{"no vote by a second member", Federation, neighbours4, []Testimony{
			{Organisation: "a", Member: "a1", Tallies: fails(4, hosts(16, 5)...)}, {Organisation: "a", Member: "a2", Tallies: fails(4, hosts(16, 5)...)}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, ok := rules.JudgeRule("subnet-brute-force", c.scope, c.key, c.said)
			if got := offenders(v); ok != (c.want != nil) || !slices.Equal(got, c.want) {
				t.Fatalf("%v, offenders %v, want %v", ok, got, c.want)
			}
			if !ok {
				return
			}
			for _, o := range v.Offenders {
				if v.AgreedOn(o).IsZero() || v.AgreedOn(o).After(v.Agreed) {
					t.Errorf("%s agreed on at %s, all at %s", o, v.AgreedOn(o), v.Agreed)
				}
			}
			chosen := rules.Smallest(v, c.said)
			if again, ok := rules.JudgeRule("subnet-brute-force", c.scope, c.key, chosen); !ok || !slices.Equal(again.Offenders, v.Offenders) {
				t.Errorf("the evidence that was chosen names %v", again.Offenders)
			}
		})
	}
}

// What counts for a verdict on a prefix is the evidence that it explains.
func TestCrowdVerdict(t *testing.T) {
	rules := builtin(t)
	said := []Testimony{say("a", append(fails(4, hosts(16, 5)...), of("203.0.113.200", proven(failed, 1000, 9, 90)))...)}
	v, ok := rules.JudgeRule("subnet-brute-force", Home, neighbours4, said)
	if !ok || v.Score != 40 || v.Count != 20 || v.Last != at(4) || v.Agreed != at(4) {
		t.Errorf("%v, %+v", ok, v)
	}
}

// crossesByDefinition is what explainer.crosses says, worked out the slow way.
func crossesByDefinition(c crowd, of []neighbour) bool {
	byOrganisation, bySource := map[int]int{}, 0
	for _, n := range of {
		sum := 0
		for _, own := range n.points {
			p := min(own.value, c.share())
			byOrganisation[own.voice] += p
			sum += p
		}
		bySource += min(sum, c.share())
	}
	total := 0
	for _, p := range byOrganisation {
		total += min(p, c.condition.share())
	}
	// Each source is credited to one of the organisations that saw it, in every possible way.
	perOrganisation := (c.sources + c.condition.Quorum - 1) / c.condition.Quorum
	var credit func(at int, held map[int]int) int
	credit = func(at int, held map[int]int) int {
		if at == len(of) {
			return 0
		}
		best := credit(at+1, held)
		for _, own := range of[at].points {
			if held[own.voice] < perOrganisation {
				held[own.voice]++
				best = max(best, 1+credit(at+1, held))
				held[own.voice]--
			}
		}
		return best
	}
	return len(byOrganisation) >= c.condition.Quorum && total >= c.condition.AtLeast && bySource >= c.condition.AtLeast && credit(0, map[int]int{}) >= c.sources
}

// cellsByDefinition tries every prefix, the longest first. Loud sources are among the neighbours.
func cellsByDefinition(c crowd, of []neighbour) (all []cell) {
	left := slices.DeleteFunc(slices.Clone(of), func(n neighbour) bool {
		total := 0
		for _, own := range n.points {
			total += min(own.value, (c.share()+c.condition.Quorum-1)/c.condition.Quorum)
		}
		return total >= c.share() && len(n.points) >= c.condition.Quorum
	})
	voters := func(of []neighbour) int {
		seen := map[int]bool{}
		for _, n := range of {
			for _, own := range n.points {
				seen[own.voice] = true
			}
		}
		return len(seen)
	}
	inside := func(p netip.Prefix) (all []neighbour) {
		for _, n := range left {
			if p.Contains(n.source.Addr()) {
				all = append(all, n)
			}
		}
		return all
	}
	for length := 31; length >= 24; length-- {
		for at := 0; at < 256; at += 1 << (32 - length) {
			base := netip.AddrFrom4([4]byte{203, 0, 113, byte(at)})
			other := netip.AddrFrom4([4]byte{203, 0, 113, byte(at + 1<<(31-length))})
			p := netip.PrefixFrom(base, length)
			lower, upper := inside(netip.PrefixFrom(base, length+1)), inside(netip.PrefixFrom(other, length+1))
			if voters(lower) < c.condition.Quorum || voters(upper) < c.condition.Quorum || !crossesByDefinition(c, inside(p)) {
				continue
			}
			found := cell{prefix: p}
			for _, n := range inside(p) {
				found.sources = append(found.sources, n.source)
			}
			all = append(all, found)
			left = slices.DeleteFunc(left, func(n neighbour) bool { return p.Contains(n.source.Addr()) })
		}
	}
	slices.SortFunc(all, func(a, b cell) int { return a.prefix.Compare(b.prefix) })
	return all
}

// The prefixes found are the smallest that explain: those that the definition gives, and none
// without as many sources as the rule asks for.
func TestSmallestPrefixesThatExplain(t *testing.T) {
	chance := rand.New(rand.NewPCG(11, 1))
	found, nested := 0, 0
	for round := range 20000 {
		c := crowd{Condition{AtLeast: 6 + chance.IntN(16), Quorum: 1 + chance.IntN(4)}, 2 + chance.IntN(5)}
		seen := map[netip.Prefix]bool{}
		var of []neighbour
		for range chance.IntN(12) {
			p := event.SourcePrefix(netip.AddrFrom4([4]byte{203, 0, 113, byte(chance.IntN(1 << (3 + chance.IntN(6))))}))
			if seen[p] {
				continue
			}
			seen[p] = true
			n := neighbour{source: p}
			for range 1 + chance.IntN(3) {
				*n.points.of(chance.IntN(5)) = 1 + chance.IntN(6)
			}
			of = append(of, n)
		}
		slices.SortFunc(of, func(a, b neighbour) int { return a.source.Compare(b.source) })
		var quiet []neighbour
		for _, n := range of {
			if n, loud := c.neighbour(n.source, slices.Clone(n.points)); !loud {
				quiet = append(quiet, n)
			}
		}
		got, want := c.cells(quiet), cellsByDefinition(c, of)
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: %+v of %v\n got %v\nwant %v", round, c, of, got, want)
		}
		for i, f := range got {
			found++
			if len(f.sources) < c.sources {
				t.Fatalf("round %d: %v has too few sources", round, f)
			}
			if i > 0 && got[i-1].prefix.Overlaps(f.prefix) {
				nested++
			}
		}
	}
	if found < 500 || nested < 5 {
		t.Errorf("%d found, %d within another: the evidence shows nothing", found, nested)
	}
}

// rumours is made-up evidence against the sources of one subnet.
func rumours(chance *rand.Rand) (reports []event.Report) {
	for m := range 2 + chance.IntN(6) {
		var tallies []event.Tally
		for range 1 + chance.IntN(14) {
			first := chance.IntN(2400)
			tally := proven(failed, uint32(1+chance.IntN(6)), first, first+chance.IntN(200))
			tally.Source = event.SourcePrefix(netip.AddrFrom4([4]byte{203, 0, 113, byte(chance.IntN(24))}))
			tallies = append(tallies, tally)
		}
		reports = append(reports, event.Report{Federation: "test", Member: fmt.Sprint("m", m), Key: neighbours4, Version: 1, Tallies: tallies})
	}
	return reports
}

// The order of the evidence does not matter, and what is chosen of it to prove a finding does.
func TestCrowdEvidence(t *testing.T) {
	rules, chance := builtin(t), rand.New(rand.NewPCG(11, 2))
	found, federated := 0, 0
	for round := range 300 {
		reports := rumours(chance)
		findings := gathers(t, rules, reports).Judge(neighbours4, always)
		want := gists(findings)
		found += len(want)
		for _, r := range reports {
			chance.Shuffle(len(r.Tallies), func(i, j int) { r.Tallies[i], r.Tallies[j] = r.Tallies[j], r.Tallies[i] })
		}
		chance.Shuffle(len(reports), func(i, j int) { reports[i], reports[j] = reports[j], reports[i] })
		if got := gists(gathers(t, rules, reports).Judge(neighbours4, always)); !slices.Equal(got, want) {
			t.Fatalf("round %d: found\n%q\nin another order\n%q", round, want, got)
		}
		v, ok := rules.JudgeRule("subnet-brute-force", Federation, neighbours4, gathers(t, rules, reports).Testimonies(neighbours4))
		if !ok {
			continue
		}
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Scope == Federation })
		if i < 0 || !slices.Equal(findings[i].Offenders, v.Offenders) {
			t.Errorf("round %d: all of it names %v, what was chosen %v", round, v.Offenders, gists(findings))
		}
		federated++
	}
	if found < 100 || federated < 50 {
		t.Errorf("%d findings, %d of the federation: the evidence is too thin to show anything", found, federated)
	}
}

// Whatever one organisation makes up, over the federation it condemns no prefix: neither alone nor
// with what others have seen of single sources.
func TestOneOrganisationCondemnsNoPrefix(t *testing.T) {
	rules, chance := builtin(t), rand.New(rand.NewPCG(11, 3))
	for round := range 500 {
		var said []Testimony
		for _, r := range rumours(chance) {
			said = append(said, Testimony{Organisation: "liar", Member: r.Member, Tallies: r.Tallies})
		}
		for m := range chance.IntN(5) {
			said = append(said, say(fmt.Sprint("honest", m), fails(uint32(1+chance.IntN(100)), "203.0.113.7")...))
		}
		if v, ok := rules.JudgeRule("subnet-brute-force", Federation, neighbours4, said); ok {
			t.Fatalf("round %d: %v", round, v.Offenders)
		}
	}
}

// BenchmarkCrowd is what it takes to judge a subnet. At home, as is done for each event: of one
// loud source, and of 250 quiet ones. Over a federation of 1,000 organisations: of 250 sources that four
// of them have seen each, and all of them, in 40 slots of time, which is more than reports hold. And the worst
// that can be made up: as many sources as a thousand reports can name, all in each window; what looks like
// a crowd is half one organisation's and half another's, and so explained by no prefix.
func BenchmarkCrowd(b *testing.B) {
	rules := builtin(b)
	const organisations = 1000
	seenBy := func(each int) []Testimony {
		said := make([]Testimony, organisations)
		for i := range said {
			said[i] = say(fmt.Sprint("o", i))
		}
		for i := range 250 {
			for j := range each {
				on := &said[(i*each+j)%organisations]
				on.Tallies = append(on.Tallies, of(hosts(1+i, 1)[0], proven(failed, 1, 60*(i%40), 60*(i%40)+j%20)))
			}
		}
		return said
	}
	var madeUp []Testimony
	const inReport, half = 20, organisations / 2 * 20
	for i := range organisations {
		made := Testimony{Organisation: fmt.Sprint("o", 2*i/organisations), Member: fmt.Sprint("m", i)}
		for j := range inReport {
			n := i*inReport + j // in no order, but in its half
			n = n/half*half + n*7919%half
			made.Tallies = append(made.Tallies, of(fmt.Sprintf("2001:db8:1:%x::9", 2*n), proven(failed, 1, 0, n%maxWindows)))
		}
		madeUp = append(madeUp, made)
	}
	for _, c := range []struct {
		name  string
		scope Scope
		key   event.Key
		said  []Testimony
	}{
		{"one loud source", Home, neighbours4, []Testimony{say("a", fails(10_000, "203.0.113.9")...)}},
		{"250 sources", Home, neighbours4, []Testimony{say("a", fails(1, hosts(1, 250)...)...)}},
		{"1,000 organisations, 4 to a source", Federation, neighbours4, seenBy(4)},
		{"1,000 organisations, each of each source", Federation, neighbours4, seenBy(organisations)},
		{"made up", Federation, neighbours6, madeUp},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Judge(c.scope, c.key, c.said)
			}
		})
	}
}
