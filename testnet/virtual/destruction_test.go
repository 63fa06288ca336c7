package virtual

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// TestHalfDestroyed has one node of a hundred each see a little of many attackers,
// and destroys a half of the nodes at one moment: sources, collectors or both, as
// it happens. What is on the disks of the dead does not count.
func TestHalfDestroyed(t *testing.T) {
	var sum destruction
	seeds := long(1, 5)
	for i := range seeds {
		s := *seed + uint64(i)
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			bubble(t, 2*time.Hour, func(t *testing.T) { sum.add(destroyHalf(t, NewSeeded(t, fit(long(20, 100)), s), s)) })
		})
	}
	if sum.living == 0 || sum.dead == 0 {
		t.Fatal("no evidence")
	}
	what := fmt.Sprintf("half of %d nodes destroyed at once, %d times: ten seconds later, ", sum.nodes, seeds)
	Figure(t, what+"evidence of living sources that one of its new collectors lacks", "0",
		fmt.Sprintf("%d of %d", sum.incomplete, sum.living), sum.incomplete == 0)
	// Which nodes die together is a matter of chance: a share that is right on the
	// average may be under it in a few cases, by no more than three standard errors.
	share, bound := float64(sum.inherited)/float64(sum.dead), 1-math.Pow(2, -float64(sum.replicas))
	allowed := bound - 3*math.Sqrt(bound*(1-bound)/float64(sum.dead))
	Figure(t, what+"evidence of dead sources at all of its new collectors", fmt.Sprintf("1 − 2^−%d = %.1f %%", sum.replicas, 100*bound),
		fmt.Sprintf("%.1f %% of %d", 100*share, sum.dead), share >= allowed)
	Figure(t, what+"evidence of dead sources lost though one of its collectors lives", "0", sum.orphaned, sum.orphaned == 0)
	Figure(t, what+"attacks that the evidence of the dead tips, blocked by all within two seconds", "all",
		fmt.Sprintf("%d of %d", sum.blocked, sum.tipped), sum.blocked == sum.tipped && sum.tipped > 0)
}

// destruction is what is left of the evidence of living and of dead sources.
type destruction struct {
	nodes, replicas           int
	living, incomplete        int
	dead, inherited, orphaned int
	tipped, blocked           int
}

func (d *destruction) add(more destruction) {
	d.nodes, d.replicas = more.nodes, more.replicas
	d.living, d.incomplete = d.living+more.living, d.incomplete+more.incomplete
	d.dead, d.inherited, d.orphaned = d.dead+more.dead, d.inherited+more.inherited, d.orphaned+more.orphaned
	d.tipped, d.blocked = d.tipped+more.tipped, d.blocked+more.blocked
}

func destroyHalf(t *testing.T, net *Net, seed uint64) (d destruction) {
	dice := dice(t, seed)
	all := Everyone(net)
	attacks := long(40, 200)
	sources, before := make([]*Node, attacks), make([][]*Node, attacks)
	for i := range attacks {
		sources[i] = all[dice.IntN(len(all))]
		before[i] = net.collectors(criminal(i))
		AttackedBy(criminal(i), 1)(sources[i]) // 3 points of 20
	}
	time.Sleep(10 * time.Second)
	has := func(n *Node, i int) bool {
		if n == sources[i] {
			return true
		}
		member := sources[i].voice().Member()
		for _, s := range n.gathered(criminal(i)) {
			if s.Member == member {
				return true
			}
		}
		return false
	}
	for i := range attacks {
		for _, n := range before[i] {
			if !has(n, i) {
				t.Fatalf("%s, a collector of %s, lacks the evidence before anything has happened", n, criminal(i))
			}
		}
	}
	d.nodes, d.replicas = len(all), len(before[0])
	for _, i := range dice.Perm(len(all))[:len(all)/2] {
		all[i].Crash()
	}
	time.Sleep(10 * time.Second)

	tipped := map[int]bool{}
	var lost []int
	for i, source := range sources {
		complete, survives := true, slices.ContainsFunc(before[i], (*Node).runs)
		for _, n := range net.collectors(criminal(i)) {
			complete = complete && has(n, i)
		}
		switch {
		case source.runs():
			d.living++
			if !complete {
				d.incomplete++
			}
		default:
			d.dead++
			switch {
			case complete:
				d.inherited++
				if len(tipped) < long(5, 20) {
					tipped[i] = true
				}
			case survives:
				d.orphaned++
			default:
				lost = append(lost, i)
			}
		}
	}
	// Two nodes that live see 9 points each: with the 3 of the dead one it is enough,
	// and without them it is not.
	strike := func(i int) {
		for _, n := range pick(dice, Everyone(net), 2) {
			AttackedBy(criminal(i), 3)(n)
		}
	}
	for i := range tipped {
		strike(i)
	}
	for _, i := range lost {
		strike(i)
	}
	time.Sleep(2 * time.Second)
	for i := range tipped {
		d.tipped++
		if _, not, _ := Block(criminal(i)).split(Everyone(net)); len(not) == 0 {
			d.blocked++
		} else {
			t.Logf("%s: nodes %v do not block", criminal(i), not)
		}
	}
	for _, i := range lost {
		if do, _, _ := Block(criminal(i)).split(Everyone(net)); len(do) > 0 {
			t.Errorf("nodes %v block %s, of whom there is not enough evidence left", do, criminal(i))
		}
	}
	return d
}
