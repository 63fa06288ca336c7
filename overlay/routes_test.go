package overlay

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What a node's own table says of collectors is what a look-up finds, and a change is
// noticed by who would have to tell them.
func TestTableKnowsTheCollectors(t *testing.T) {
	inBubble(t, 16, func(t *testing.T, tn *testNet) {
		from := tn.nodes[0]
		from.Changes()
		before := map[[32]byte][]peer.ID{}
		for k := range 100 {
			key := testKey(k)
			got, near := from.Near(key, 3)
			if want := ids(tn.nearest(key, 3)); !near || !slices.Equal(got, want) {
				t.Errorf("key %d: %v near %v, want %v", k, got, near, want)
			}
			before[key] = got
		}
		gone := tn.nodes[1]
		tn.kill(gone)
		late := tn.add(from)
		tn.settle()
		came, went := from.Changes()
		if !slices.Contains(came, late.ID()) || !slices.Contains(went, gone.ID()) {
			t.Errorf("%v came and %v went, want %s and %s", came, went, late.ID(), gone.ID())
		}
		displaced := 0
		for key, told := range before {
			told = slices.DeleteFunc(told, func(p peer.ID) bool { return p == gone.ID() })
			want := slices.Contains(tn.nearest(key, 3), late)
			if got := from.Displaces(key, 3, told, []peer.ID{late.ID()}); got != want && len(told) == 3 {
				t.Errorf("displaces: %v, want %v", got, want)
			}
			if want {
				displaced++
			}
		}
		if displaced == 0 {
			t.Error("the new node is no collector of any key: nothing was tested")
		}
		if came, went := from.Changes(); len(came)+len(went) > 0 {
			t.Errorf("%v and %v told twice", came, went)
		}
	})
}

// Hand tells one collector, and gives up one that is gone.
func TestHand(t *testing.T) {
	inBubble(t, 8, func(t *testing.T, tn *testNet) {
		from, to, gone := tn.nodes[0], tn.nodes[1], tn.nodes[2]
		if err := from.Hand(t.Context(), to.ID(), testKey(1), []byte("other's")); err != nil {
			t.Fatal(err)
		}
		tn.wantAt("other's", []*testNode{to})
		to.mu.Lock()
		to.refuse = errors.New("not today")
		to.mu.Unlock()
		if err := from.Hand(t.Context(), to.ID(), testKey(1), []byte("other's")); !errors.Is(err, ErrRefused) {
			t.Errorf("refused: %v", err)
		}
		tn.kill(gone)
		if err := from.Hand(t.Context(), gone.ID(), testKey(1), []byte("other's")); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("gone: %v", err)
		}
		until(t, 5*time.Second, "eviction", func() bool { return from.dht.RoutingTable().Find(gone.ID()) == "" })
	})
}
