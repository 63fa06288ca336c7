package virtual

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// ear is a rogue that keeps what it is told, to tell it again.
type ear struct {
	rogue
	mu      sync.Mutex
	reports []letter
	alerts  [][]byte
}

type letter struct {
	key     [32]byte
	payload []byte
}

func listen() *ear {
	e := new(ear)
	e.collect = func(_ context.Context, _ peer.ID, key [32]byte, payload []byte) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.reports = append(e.reports, letter{key, bytes.Clone(payload)})
		return nil
	}
	e.hear = func(payload []byte) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if payload[0] == 'a' {
			e.alerts = append(e.alerts, bytes.Clone(payload[1:]))
		}
	}
	return e
}

// TestReplays has a collector tell again and again what it was told: reports
// before and after there are enough, the alert for as long as its block lasts and
// after, and alerts of the same id before the true one.
func TestReplays(t *testing.T) {
	inFederation(t, 2*time.Hour, long(12, 30), 12, func(t *testing.T, net *Net) {
		heard := listen()
		thief := net.AddTo("thieves", federation.TierMember)
		if err := thief.turn(&heard.rogue); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settling)
		attacker := net.Near(thief)
		w := Farthest(attacker, 3)(net)
		replays := long(200, 20_000)

		var burnt int
		reports := func(*Node) {
			for i := range replays {
				l := heard.reports[i%len(heard.reports)]
				if _, err := heard.Deliver(t.Context(), l.key, 5, l.payload); err != nil {
					t.Error(err)
				}
			}
		}
		burn := func(to *Node) {
			var evidence []event.Sealed
			for _, l := range heard.reports {
				var s event.Sealed
				if err := event.Decode(l.payload, &s); err != nil {
					t.Fatal(err)
				}
				evidence = append(evidence, s)
			}
			alert := (&forger{honest: net.nodes}).alert(attacker, slices.CompactFunc(evidence, func(a, b event.Sealed) bool { return a.Signer == b.Signer })...)
			data, err := event.Encode(alert)
			if err != nil {
				t.Fatal(err)
			}
			if err := thief.send(to, data); err == nil {
				burnt++
			}
		}
		net.Play("reports and ids are used in advance", Timetable{
			At(1*time.Second, Nodes(w[0].Number, w[1].Number), AttackedBy(attacker, 3)), // 18 points
			At(3*time.Second, Nodes(thief.Number), reports),
			At(4*time.Second, Everyone, burn),
			Never(Anyone, Block(attacker)),
		})
		twice := 0
		for _, n := range Everyone(net) {
			for _, said := range n.gathered(attacker) {
				if said.Kinds[0].Count != 3 {
					twice++
				}
			}
		}
		Figure(t, fmt.Sprintf("evidence counted twice, %d reports replayed", replays), "0", twice, twice == 0)
		Figure(t, "ids burned in advance", "0", burnt, burnt == 0)

		again := func(to *Node) {
			for _, alert := range heard.alerts {
				_ = thief.send(to, alert) // taken for known
			}
		}
		net.Play("the attack goes on, and its alert is replayed", Timetable{
			NotBefore(1*time.Second, Anyone, Block(attacker)),
			// Two organisations: a block lasts from when a quorum has evidence.
			At(1*time.Second, Nodes(w[0].Number, w[2].Number), AttackedBy(attacker, 3)),
			By(2*time.Second, Everyone, Block(attacker)),
			At(5*time.Minute, Everyone, again),
			By(9*time.Minute, Everyone, Hold(attacker)),
			By(11*time.Minute+2*time.Second, Everyone, Free(attacker)),
			At(11*time.Minute+2*time.Second, Everyone, again),
			At(11*time.Minute+3*time.Second, Nodes(thief.Number), reports),
			By(11*time.Minute+30*time.Second, Everyone, Free(attacker)),
		})
		if len(heard.alerts) == 0 || len(heard.reports) < 3 {
			t.Errorf("the thief has heard %d alerts and %d reports", len(heard.alerts), len(heard.reports))
		}
	})
}

func (n *Node) gathered(source string) (said []control.Testimony) {
	x, err := n.Product().Explain(context.Background(), prefixOf(source).Addr())
	if err != nil {
		n.net.t.Errorf("%s explains %s: %v", n, source, err)
	}
	return x.Gathered
}

// TestMalformed has a member send what is no frame, on each protocol of every
// node. All such streams end, without an answer, and the nodes work on.
func TestMalformed(t *testing.T) {
	inFederation(t, 2*time.Hour, 10, 10, func(t *testing.T, net *Net) {
		rude := net.AddTo("rude", federation.TierMember)
		if err := rude.turn(&rogue{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settling)
		before, streams, answered := heap(), 0, 0
		dice := rand.New(rand.NewPCG(2, 2))
		for range long(3, 300) {
			for _, n := range Everyone(net) {
				for _, p := range []protocol.ID{"/komondor/1/report", "/komondor/1/broadcast", "/komondor/1/ask"} {
					for _, bytes := range rudeness(dice) {
						streams++
						if rude.shout(n, p, bytes) {
							answered++
							t.Errorf("%s: %s answers %x", n, p, bytes[:min(len(bytes), 8)])
						}
					}
				}
			}
		}
		Figure(t, fmt.Sprintf("oversized and malformed frames of %d answered", streams), "0", answered, answered == 0)
		more := grown(before)
		Figure(t, "memory of ten nodes grows by", "16 MiB at most", fmt.Sprintf("%d KiB", more>>10), more < 16<<20)
		net.Play("work goes on", Timetable{
			At(1*time.Second, Farthest(worm, 3), AttackedBy(worm, 3)),
			By(2*time.Second, Everyone, Block(worm)),
		})
	})
}

// rudeness are the beginnings of streams that no node would send.
func rudeness(dice *rand.Rand) [][]byte {
	length := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	noise := make([]byte, 1+dice.IntN(300))
	for i := range noise {
		noise[i] = byte(dice.Uint32())
	}
	noise[0] |= 0x80 // or it might be a short frame, which is for whoever reads it to judge
	return [][]byte{
		length(0),
		length(64<<10 + 1),
		length(1 << 40),
		length(1<<64 - 1),
		bytes.Repeat([]byte{0xff}, 16), // a length without an end
		append(length(3), 0xff, 0xff, 0xff),
		append(length(64<<10), noise...), // and no more
	}
}

// shout sends bytes as the beginning of a stream, and says whether there came an
// answer.
func (n *Node) shout(to *Node, p protocol.ID, said []byte) bool {
	stream, err := n.host.NewStream(context.Background(), to.id, p)
	if err != nil {
		n.net.t.Error(err)
		return false
	}
	defer stream.Reset()
	_, _ = stream.Write(said)
	_ = stream.CloseWrite()
	_, err = io.ReadFull(stream, make([]byte, 1))
	return err == nil
}
