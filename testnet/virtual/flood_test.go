package virtual

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// TestFlood has one member send signed reports to every node, each about another
// source, as fast as they are let in and faster than they can be worked on. It
// runs in real time, because in virtual time work takes none; the nodes and the
// flooder share this machine.
//
// Meanwhile the others report attacks. Overlay's TestFloodStarvesNobody has the
// part of this in which a flooder sends ten times what its collector can take.
func TestFlood(t *testing.T) {
	if raceDetector {
		t.Skip("measures real time")
	}
	net := NewFederation(t, 5, 5)
	honest := Everyone(net)
	flooder := net.AddTo("flooder", federation.TierMember)
	if err := flooder.turn(&rogue{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(settling)
	before := heap()
	ctx, stop := context.WithCancel(t.Context())
	var floods sync.WaitGroup
	collected := func(n *Node) uint64 { return n.Status().Counters.Collected }
	had := net.sum(collected)
	for i, to := range honest { // no two are sent the same
		floods.Go(func() { flooder.flood(ctx, to, i*1_000_000) })
	}
	began := time.Now()
	time.Sleep(time.Second)

	dice := rand.New(rand.NewPCG(3, 3))
	attacks := long(10, 200)
	var took []time.Duration
	var most uint64
	for i := range attacks {
		for _, n := range pick(dice, honest, 3) {
			AttackedBy(criminal(i), 3)(n)
		}
		if d, ok := untilBlocked(honest, criminal(i)); ok {
			took = append(took, d)
		}
		if i%10 == 0 {
			most = max(most, grown(before))
		}
	}
	rate := float64(net.sum(collected)-had) / time.Since(began).Seconds()
	stop()
	floods.Wait()
	slices.Sort(took)
	p99 := 10 * time.Second
	if len(took) > 0 {
		p99 = took[len(took)*99/100]
	}
	share := 100 * float64(len(took)) / float64(attacks)
	Figure(t, fmt.Sprintf("attacks of %d blocked everywhere during a flood of %.0f reports a second by one member", attacks, rate),
		"99 %", fmt.Sprintf("%.1f %%", share), share >= 99)
	// The ordinary run shares the machine with who knows what.
	Figure(t, "line to block at the last of five nodes meanwhile, p99 in real time", "2 s", p99.Round(time.Millisecond), p99 < 2*time.Second || !*faults)
	const bound = 600 // MiB: the evidence of others that five nodes keep
	Figure(t, "memory of five nodes and the flooder grows by", fmt.Sprintf("%d MiB at most", bound), fmt.Sprintf("%d MiB", most>>20), most < bound<<20)
}

// untilBlocked waits up to ten seconds until all nodes block a source.
func untilBlocked(nodes []*Node, source string) (time.Duration, bool) {
	began := time.Now()
	for time.Since(began) < 10*time.Second {
		if !slices.ContainsFunc(nodes, func(n *Node) bool { _, ok := n.firewall.blockedSince(prefixOf(source)); return !ok }) {
			return time.Since(began), true
		}
		time.Sleep(time.Millisecond)
	}
	return 0, false
}

// flood writes reports into a stream until ctx ends, without waiting for answers:
// what the other side does not take waits in the stream.
func (n *Node) flood(ctx context.Context, to *Node, from int) {
	stream, err := n.host.NewStream(ctx, to.id, "/komondor/1/report")
	if err != nil {
		n.net.t.Error(err)
		return
	}
	defer context.AfterFunc(ctx, func() { stream.Reset() })()
	var answers sync.WaitGroup
	answers.Go(func() { io.Copy(io.Discard, stream) })
	defer answers.Wait()
	salt := n.voice().Salts(time.Now(), 0)[0]
	var batch []byte // latency is per write, so that small ones would not flood
	for i := from; ctx.Err() == nil; i++ {
		r := seen(fmt.Sprintf("100.%d.%d.%d", 64+i>>16&63, i>>8&255, i&255), uint64(i+1), 1)
		sealed, err := n.sign(r)
		if err != nil {
			n.net.t.Error(err)
			return
		}
		payload, err := event.Encode(sealed)
		if err != nil {
			n.net.t.Error(err)
			return
		}
		// A report for whoever gets it: no replicas are asked for, so none is named.
		hash := r.Key.Hash(n.voice().Name(), salt)
		body := slices.Concat([]byte{byte(i & 0x7f), 0}, hash[:], payload)
		batch = append(binary.AppendUvarint(batch, uint64(len(body))), body...)
		if i%128 != 0 {
			continue
		}
		if _, err := stream.Write(batch); err != nil {
			return
		}
		batch = nil
	}
}
