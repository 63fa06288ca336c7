package virtual

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
)

// crowded is the rule that finds crowds: of 80 points over the federation.
const crowded = "subnet-brute-force"

// crowd is sources of one subnet that try a password now and then, each too seldom for its own rule.
type crowd struct {
	subnet netip.Prefix
	points int // of all its tries
	// decided says that no try but the last can take it over the threshold, and that this one
	// comes two minutes after the others: all of them have met by then.
	decided bool
}

// deal makes a crowd up, of which no node sees enough for its rule at home.
func deal(chance *rand.Rand, all []*Node, subnet netip.Prefix) (c crowd, acts []act) {
	c = crowd{subnet: subnet, decided: chance.IntN(2) == 0}
	tries, at := 80+chance.IntN(31), 8
	if c.decided {
		if tries, at = 40, 4+chance.IntN(4); chance.IntN(4) == 0 {
			tries-- // one too few
		}
	}
	c.points = 2 * tries
	block := 32 << chance.IntN(4)
	first, some := chance.IntN(256/block)*block, chance.Perm(len(all))[:at]
	var sources []string
	for _, host := range chance.Perm(block)[:14+chance.IntN(10)] {
		b := subnet.Addr().As4()
		source := netip.AddrFrom4([4]byte{b[0], b[1], b[2], byte(first + host)}).String()
		sources = append(sources, slices.Repeat([]string{source}, 9)...) // 18 points at the most
	}
	chance.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
	for i, source := range sources[:tries] {
		when := time.Duration(chance.Int64N(int64(lasts)))
		if c.decided {
			when = time.Duration(chance.Int64N(int64(lasts - 2*time.Minute)))
			if i == tries-1 {
				when = lasts
			}
		}
		acts = append(acts, act{when, func() { ProbedBy(source)(all[some[i%at]]) }})
	}
	return c, acts
}

// explanation is what alerts say of one crowd together.
type explanation struct {
	scope    string // the widest
	prefixes []netip.Prefix
}

func (x explanation) String() string { return fmt.Sprint(x.scope, " ", x.prefixes) }

// explain is what alerts say of crowds, by their subnets.
func explain(crowds []crowd, alerts []control.Alert) map[netip.Prefix]explanation {
	all := map[netip.Prefix]explanation{}
	for _, a := range alerts {
		subnet, err := netip.ParsePrefix(a.Key.Value)
		if a.Rule != crowded || err != nil || !slices.ContainsFunc(crowds, func(c crowd) bool { return c.subnet == subnet }) {
			continue
		}
		x := all[subnet]
		if x.scope != string(correlate.Federation) {
			x.scope = a.Scope
		}
		x.prefixes = append(x.prefixes, a.Offenders...)
		slices.SortFunc(x.prefixes, netip.Prefix.Compare)
		x.prefixes = slices.Compact(x.prefixes)
		all[subnet] = x
	}
	return all
}

// agrees reports whether two say the same of a crowd. Which prefixes explain it changes while it grows,
// and each has told of those of the moments at which it judged. But where a prefix has crossed
// the threshold there is one within it that does, for as long as no source becomes loud. So they
// are the same where all evidence had met when the crowd was found, and otherwise each of one
// overlaps one of the other's.
func (x explanation) agrees(other explanation, decided bool) bool {
	if decided {
		return x.scope == other.scope && slices.Equal(x.prefixes, other.prefixes)
	}
	return x.scope == other.scope && x.within(other) && other.within(x)
}

func (x explanation) within(other explanation) bool {
	return !slices.ContainsFunc(x.prefixes, func(p netip.Prefix) bool { return !slices.ContainsFunc(other.prefixes, p.Overlaps) })
}

// standing is what of a crowd has met at a node, if it is a collector of the subnet.
func (n *Node) standing(c crowd) (s control.Standing, collects bool) {
	x, err := n.Product().Explain(n.net.t.Context(), c.subnet.Addr())
	if err != nil {
		n.net.t.Fatal(err)
	}
	i := slices.IndexFunc(x.Rules, func(s control.Standing) bool {
		return s.Rule == crowded && s.Scope == string(correlate.Federation) && s.Organisations > 0
	})
	if i < 0 {
		return s, false
	}
	return x.Rules[i], true
}
