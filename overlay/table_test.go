package overlay

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Who has answered kad-dht's look-up and is cut off before kad-dht has taken that in
// comes into the table after its end was noticed. So is a member that has died while
// there was no connection with it.
func TestDeadNewcomerIsFound(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, tn *testNet) {
		n, gone := tn.nodes[1], tn.nodes[2]
		tn.kill(gone)
		time.Sleep(time.Second)
		if slices.Contains(n.contacts(), gone.ID()) {
			t.Fatal("the end of a connection was not noticed")
		}
		if _, err := n.dht.RoutingTable().TryAddPeer(gone.ID(), true, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if slices.Contains(n.contacts(), gone.ID()) {
			t.Error("a dead member stays in the table")
		}
		if n, others := len(n.contacts()), len(tn.nodes)-1; n != others {
			t.Errorf("%d contacts, want all the %d others", n, others)
		}
	})
}

// A question that gets no answer is reason enough to see whether anybody is there.
func TestSilentMemberIsFound(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, tn *testNet) {
		n, silent := tn.nodes[1], tn.nodes[2]
		ask := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := n.Ask(ctx, silent.ID(), nil); err == nil {
				t.Error("an answer of who keeps silent")
			}
			time.Sleep(rpcTimeout + time.Second)
		}
		hang := func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() }
		silent.host.SetStreamHandler(askProtocol, hang)
		ask()
		if !slices.Contains(n.contacts(), silent.ID()) {
			t.Error("who answers look-ups has lost its place")
		}
		silent.host.SetStreamHandler(kadProtocol, hang)
		ask()
		if slices.Contains(n.contacts(), silent.ID()) {
			t.Error("who answers nothing has kept its place")
		}
	})
}
