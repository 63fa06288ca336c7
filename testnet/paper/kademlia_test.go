package paper

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestKademliaFindsTheNearest(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 4))
	for _, n := range []int{1, 2, 7, 15, 100, 2000} {
		o := NewKademlia(n, 20, chance)
		wrong := 0
		for range 200 {
			from, key := chance.IntN(n), chance.Uint64()
			want := make([]int32, n)
			for i := range want {
				want[i] = int32(i)
			}
			slices.SortFunc(want, func(a, b int32) int { return cmp.Compare(o.places[a]^key, o.places[b]^key) })
			got, requests := o.Collectors(from, key, 5)
			if !slices.Equal(got, want[:min(5, n)]) {
				wrong++
			}
			if nearest, _ := o.Lookup(from, key); nearest != want[0] {
				t.Errorf("%d nodes: a lookup ends at %d, want %d", n, nearest, want[0])
			}
			if n <= 20 && requests > 2 {
				t.Errorf("%d nodes: %d requests where everybody knows everybody", n, requests)
			}
		}
		if wrong > 0 {
			t.Errorf("%d nodes: %d of 200 lookups miss one of the five nearest", n, wrong)
		}
	}
}

// With buckets of one, each step fixes one bit that is wrong, and half are.
func TestPathsAreHalfALogarithmWithBucketsOfOne(t *testing.T) {
	for _, n := range []int{128, 1024, 8192} {
		chance := rand.New(rand.NewPCG(uint64(n), 5))
		o, sum := NewKademlia(n, 1, chance), 0
		const lookups = 4000
		for range lookups {
			_, requests := o.Lookup(chance.IntN(n), chance.Uint64())
			sum += requests
		}
		mean, want := float64(sum)/lookups, math.Log2(float64(n))/2
		t.Logf("%d nodes: %.2f requests, half of log2 N is %.2f", n, mean, want)
		if math.Abs(mean-want) > 0.6 {
			t.Errorf("%d nodes: %.2f requests on average, want %.2f", n, mean, want)
		}
	}
}
