package virtual

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestPartition parts a network in two halves for ten minutes, in which both see
// attacks of the same and of different sources, and heals it.
func TestPartition(t *testing.T) {
	seeds := long(1, 50)
	var late, doubled, missing, all int
	for i := range seeds {
		s := *seed + uint64(i)
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			bubble(t, 2*time.Hour, func(t *testing.T) {
				l, d, m, a := partition(t, NewSeeded(t, fit(long(20, 30)), s), s)
				late, doubled, missing, all = late+l, doubled+d, missing+m, all+a
			})
		})
	}
	Figure(t, fmt.Sprintf("partition into halves for ten minutes, %d seeds: nodes and alerts, not there 30 s after healing", seeds), "0", fmt.Sprintf("%d of %d", late, all), late == 0)
	Figure(t, "the same: evidence that a collector lacks then", "0", missing, missing == 0)
	Figure(t, "the same: evidence counted twice", "0", doubled, doubled == 0)
}

// partition returns how many nodes do not block what they must 30 s after healing,
// how many testimonies say more than was seen or are missing at a collector, and
// how many blocks there had to be.
func partition(t *testing.T, net *Net, seed uint64) (late, doubled, missing, all int) {
	dice := dice(t, seed)
	// The node by which all have joined dies before the halves meet again.
	everyone, first := But(Nodes(0))(net), net.nodes[0]
	dice.Shuffle(len(everyone), func(i, k int) { everyone[i], everyone[k] = everyone[k], everyone[i] })
	left, right := everyone[:len(everyone)/2], everyone[len(everyone)/2:]
	some := func(half []*Node, n int) []*Node { return pick(dice, half, n) }

	// What is seen of each source: in the left half, in the right one.
	var must, open []string // to be blocked by all in the end; below the threshold
	seenBy := map[string]map[*Node]int{}
	attack := func(source string, times int, by ...*Node) {
		if seenBy[source] == nil {
			seenBy[source] = map[*Node]int{}
		}
		for _, n := range by {
			AttackedBy(source, times)(n)
			seenBy[source][n] += times
		}
	}
	began := time.Now()
	until := func(at time.Duration) { time.Sleep(time.Until(began.Add(at))) }
	const minute = time.Minute

	split := criminal(0) // 9 points before the partition, 6 in each half
	attack(split, 3, left[0])
	must = append(must, split)
	until(30 * time.Second)
	net.Partition(append(slices.Clone(left), first), right)

	for i, at := range []time.Duration{1 * minute, 4 * minute, 7 * minute, 9*minute + 50*time.Second} {
		until(30*time.Second + at)
		ours, theirs, both, across, harmless := criminal(10*i+1), criminal(10*i+2), criminal(10*i+3), criminal(10*i+4), criminal(10*i+5)
		attack(ours, 3, some(left, 3)...) // 27 points
		attack(theirs, 3, some(right, 3)...)
		attack(both, 3, some(left, 3)...) // an alert in both, of different evidence
		attack(both, 3, some(right, 3)...)
		attack(across, 2, some(left, 2)...) // 12 points here and 9 there: 21
		attack(across, 3, some(right, 1)...)
		attack(harmless, 3, some(left, 1)...) // 18 points
		attack(harmless, 3, some(right, 1)...)
		must, open = append(must, ours, theirs, both, across), append(open, harmless)
		time.Sleep(5 * time.Second)
		for _, in := range []struct {
			half []*Node
			own  string
		}{{left, ours}, {right, theirs}} {
			for _, source := range []string{in.own, both} {
				if _, not, _ := Block(source).split(in.half); len(not) > 0 {
					t.Errorf("in their own half, nodes %v do not block %s within five seconds", not, source)
				}
			}
			if do, _, _ := Block(across).split(in.half); len(do) > 0 {
				t.Errorf("nodes %v block %s on evidence that they cannot have: this is no partition", do, across)
			}
		}
	}
	attack(split, 2, left[1])
	attack(split, 2, right[0])

	first.Crash()
	until(10*minute + 30*time.Second)
	net.Heal()
	time.Sleep(30 * time.Second)
	for _, source := range must {
		_, not, _ := Block(source).split(everyone)
		if len(not) > 0 {
			t.Errorf("nodes %v do not block %s 30 s after healing", not, source)
		}
		late, all = late+len(not), all+len(everyone)
	}
	for _, source := range open {
		if do, _, _ := Block(source).split(everyone); len(do) > 0 {
			t.Errorf("nodes %v block %s, of whom there is not enough evidence", do, source)
		}
	}
	for source, by := range seenBy {
		for _, collector := range net.collectors(source) {
			said := map[string]uint64{}
			for _, s := range collector.gathered(source) {
				for _, k := range s.Kinds {
					said[s.Member] += k.Count
				}
			}
			for n, times := range by {
				switch got := said[n.voice().Member()]; {
				case n == collector:
				case got < uint64(times):
					missing++
					t.Errorf("%s, a collector of %s, has %d of %d attempts that %s saw", collector, source, got, times, n)
				case got > uint64(times):
					doubled++
					t.Errorf("%s, a collector of %s, has %d for %d attempts that %s saw", collector, source, got, times, n)
				}
			}
		}
	}
	if late > 0 || missing > 0 {
		for _, n := range everyone {
			other := left
			if slices.Contains(left, n) {
				other = right
			}
			t.Logf("%s: %d contacts, %d connections across", n, len(n.Product().Contacts()), n.connected(other))
		}
	}
	return late, doubled, missing, all
}
