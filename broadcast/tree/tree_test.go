package tree

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestShare(t *testing.T) {
	var s Share
	for i, c := range []struct {
		depth, from, to int
		first           bool
	}{
		{3, 3, Depth, true}, {3, 3, 3, false}, {5, 5, 3, false}, {1, 1, 3, false}, {-1, 0, 1, false}, {0, 0, 0, false},
	} {
		from, to, first := s.Claim(c.depth)
		if from != c.from || to != c.to || first != c.first {
			t.Errorf("%d: Claim(%d) gives %d, %d, %v, want %+v", i, c.depth, from, to, first, c)
		}
	}
	var leaf Share
	if from, to, _ := leaf.Claim(Depth); from < to {
		t.Errorf("a frame of the last depth asks for buckets %d to %d", from, to)
	}
	if _, to, first := leaf.Claim(0); to != Depth || !first {
		t.Errorf("after a frame that asks for nothing all is left to do, got up to %d, %v", to, first)
	}
}

// Each bucket is served once, whatever the copies ask for in whatever order.
func TestEachBucketOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var s Share
		var times [Depth]int
		lowest := Depth
		for range 10 {
			depth := r.IntN(Depth)
			lowest = min(lowest, depth)
			for b, to, _ := s.Claim(depth); b < to; b++ {
				times[b]++
			}
		}
		for b, n := range times {
			if want := map[bool]int{true: 1, false: 0}[b >= lowest]; n != want {
				t.Fatalf("bucket %d was served %d times, want %d", b, n, want)
			}
		}
	}
}

func TestDelegates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	firsts := map[int]int{}
	for range 3000 {
		contacts := []int{0, 1, 2}
		if n := Delegates(r, contacts, 2); n != 2 {
			t.Fatalf("%d delegates of three contacts, want 2", n)
		}
		firsts[contacts[0]]++
		slices.Sort(contacts)
		if !slices.Equal(contacts, []int{0, 1, 2}) {
			t.Fatalf("contacts %v", contacts)
		}
	}
	for c, n := range firsts {
		if n < 800 || n > 1200 {
			t.Errorf("contact %d was first %d of 3000 times", c, n)
		}
	}
	if n := Delegates(r, []int{7}, 2); n != 1 {
		t.Errorf("%d delegates of one contact", n)
	}
	if n := Delegates(nil, []int(nil), 2); n != 0 {
		t.Errorf("%d delegates of no contact", n)
	}
}
