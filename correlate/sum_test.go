package correlate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/komondor/komondor/event"
)

// What is credited is a maximum matching: compared with trying everything.
func TestCredited(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		c := Condition{AtLeast: 1 + random.IntN(6), Quorum: 1 + random.IntN(3)}
		s := newSum(Rule{Type: ValueCount}, c)
		holders := make([][]int, 6) // of each value
		for organisation := range 3 {
			for v := range holders {
				if random.IntN(2) == 0 {
					holders[v] = append(holders[v], organisation)
					s.add(fmt.Sprint(organisation), 0, event.Sketch{uint32(v)}, +1)
				}
			}
		}
		var best func(v int, load [3]int) int
		best = func(v int, load [3]int) int {
			if v == len(holders) {
				return 0
			}
			most := best(v+1, load)
			for _, organisation := range holders[v] {
				if load[organisation] < c.share() {
					load[organisation]++
					most = max(most, 1+best(v+1, load))
					load[organisation]--
				}
			}
			return most
		}
		if got, want := s.credited(), min(best(0, [3]int{}), c.AtLeast); got != want {
			t.Fatalf("%+v, values of %v: %d credited, want %d", c, holders, got, want)
		}
	}
}

// What is taken out leaves no trace.
func TestSumTakesOut(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	for _, kind := range []Type{ValueSum, ValueCount} {
		s := newSum(Rule{Type: kind}, Condition{AtLeast: 10, Quorum: 2})
		type entered struct {
			organisation string
			points       int
			values       event.Sketch
		}
		var in []entered
		for range 200 {
			e := entered{fmt.Sprint(random.IntN(4)), random.IntN(9), event.Sketch{random.Uint32N(20), 20 + random.Uint32N(20)}}
			in = append(in, e)
			s.add(e.organisation, e.points, e.values, +1)
		}
		if s.total == 0 || s.voters != 4 {
			t.Errorf("%s: total %d of %d voters", kind, s.total, s.voters)
		}
		for _, i := range random.Perm(len(in)) {
			s.add(in[i].organisation, in[i].points, in[i].values, -1)
		}
		if s.total != 0 || s.voters != 0 || len(s.union) != 0 {
			t.Errorf("%s: total %d of %d voters after all is taken out", kind, s.total, s.voters)
		}
	}
}
