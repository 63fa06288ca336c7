package paper

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The ring of the Chord paper's figures 2 to 4, with its 6-bit places in the upper
// bits of ours.
func ring(places ...uint64) *Chord {
	c := &Chord{}
	for _, p := range places {
		c.places = append(c.places, p<<58)
	}
	for _, p := range c.places {
		var fingers []int32
		for bit := range 64 {
			fingers = append(fingers, int32(c.Successor(p+1<<bit)))
		}
		c.fingers = append(c.fingers, slices.Compact(fingers))
	}
	return c
}

func TestChordsOwnExample(t *testing.T) {
	c := ring(1, 8, 14, 21, 32, 38, 42, 48, 51, 56)
	node := func(p uint64) int { return slices.Index(c.places, p<<58) }
	for key, want := range map[uint64]uint64{10: 14, 24: 32, 30: 32, 38: 38, 54: 56, 60: 1} {
		if got := c.Successor(key << 58); got != node(want) {
			t.Errorf("key %d belongs to node %d, want %d", key, c.places[got]>>58, want)
		}
	}
	// Figure 4: from N8 by N42 and N51 to N56, the owner of K54.
	if owner, messages := c.Route(node(8), 54<<58); owner != node(56) || messages != 3 {
		t.Errorf("K54 reaches node %d in %d messages, want 56 in 3", c.places[owner]>>58, messages)
	}
	if owner, messages := c.Route(node(56), 54<<58); owner != node(56) || messages != 0 {
		t.Errorf("the owner's own key: node %d, %d messages", c.places[owner]>>58, messages)
	}
}

func TestChordRoutesToTheSuccessor(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 7, 100} {
		c := NewChord(n, chance)
		for from := range n {
			keys := []uint64{chance.Uint64(), 0, math.MaxUint64, c.places[from], c.places[from] + 1, c.places[from] - 1}
			for _, key := range keys {
				owner, messages := c.Route(from, key)
				if owner != c.Successor(key) {
					t.Errorf("%d nodes: key %d ends at %d, want %d", n, key, owner, c.Successor(key))
				}
				if messages == 0 != (owner == from) || messages > n {
					t.Errorf("%d nodes: %d messages from %d to %d", n, messages, from, owner)
				}
			}
		}
	}
}

// Stoica and others, section 6.3 and figure 10: the mean path is half of log2 N.
func TestChordsPathsAreHalfALogarithm(t *testing.T) {
	for _, n := range []int{128, 1024, 8192} {
		chance := rand.New(rand.NewPCG(uint64(n), 3))
		c, sum := NewChord(n, chance), 0
		const lookups = 20_000
		for range lookups {
			_, messages := c.Route(chance.IntN(n), chance.Uint64())
			sum += messages
		}
		mean, want := float64(sum)/lookups, math.Log2(float64(n))/2
		t.Logf("%d nodes: %.2f messages, half of log2 N is %.2f", n, mean, want)
		if mean < want || mean > want+1 { // the last step, to the successor, is a message, too
			t.Errorf("%d nodes: %.2f messages on average, want %.2f and at most one more", n, mean, want)
		}
	}
}
