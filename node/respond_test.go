package node

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/respond"
)

// newResponding is a node as far as it responds.
func newResponding(t *testing.T, backend block.Backend, modes map[string]respond.Mode, sources ...Source) *Node {
	t.Helper()
	n := &Node{config: Config{Log: slog.New(slog.DiscardHandler), Respond: modes, Sources: sources}, started: time.Now(),
		store: newStore(t, t.TempDir()), backend: backend, actor: new(actor)}
	var err error
	if n.never, err = block.NewNever(block.NeverOptions{}); err != nil {
		t.Fatal(err)
	}
	if n.blocks, err = block.NewManager(backend, n.never, kept{n.store.Blocks}, block.DefaultPolicy()); err != nil {
		t.Fatal(err)
	}
	if err := n.blocks.Restore(t.Context(), n.started); err != nil {
		t.Fatal(err)
	}
	if err := n.startResponding(); err != nil {
		t.Fatal(err)
	}
	return n
}

// outcome waits until a response is carried out.
func outcome(t *testing.T, n *Node, id string) respond.Response {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for _, r := range n.responder.List(time.Now()) {
			if r.ID == id && r.State != respond.Due {
				return r
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("response %s is not carried out", id)
		}
	}
}

// Who asks does not wait; what the blocks say becomes of it is what the response says.
func TestRespond(t *testing.T) {
	n := newResponding(t, block.Observer{}, map[string]respond.Mode{unitBlock: respond.Auto, unitFlow: respond.Approve})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = n.responder.run(ctx) })
	defer running.Wait()
	defer stop()
	ask := func(a respond.Action) respond.Response {
		t.Helper()
		r, err := n.respond(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		return outcome(t, n, r.ID)
	}
	stranger := respond.Action{Name: respond.BlockSource, Source: netip.MustParseAddr("2001:db8:1:2::3"), Reason: "a scenario", Local: true}
	if r := ask(stranger); r.State != respond.Done || !strings.HasPrefix(r.Outcome, "observed until ") {
		t.Errorf("%+v", r)
	}
	if list := n.blocks.List(time.Now()); len(list) != 1 || list[0].Prefix.String() != "2001:db8:1:2::/64" || list[0].Reason != "a scenario" {
		t.Errorf("blocks %+v", list)
	}
	late := respond.Action{Name: respond.BlockSource, Source: netip.MustParseAddr("203.0.113.9"), Evidence: time.Now().Add(-time.Hour), Hold: "a doubt"}
	if r, err := n.ApproveResponse(ctx, ask(late).ID); err != nil || r.State != string(respond.Done) {
		t.Errorf("approved an hour later: %+v, %v", r, err)
	}
	if r := ask(respond.Action{Name: respond.BlockSource, Source: netip.MustParseAddr("127.0.0.1")}); r.State != respond.Refused || !strings.HasPrefix(r.Outcome, "never-block set") {
		t.Errorf("%+v", r)
	}
	target := ask(respond.Action{Name: respond.BlockTarget, Target: netip.MustParseAddr("198.51.100.80"), Port: 80, Reason: "a flood of ours"})
	if target.State != respond.Waiting || len(n.blocks.Flows(time.Now())) != 0 {
		t.Errorf("%+v", target)
	}
	if _, err := n.ApproveResponse(ctx, target.ID); err != nil {
		t.Fatal(err)
	}
	if flows := n.blocks.Flows(time.Now()); len(flows) != 1 || flows[0].Flow != (block.Flow{Target: netip.MustParseAddr("198.51.100.80")}) {
		t.Errorf("flows %+v", flows)
	}
	if _, err := n.UndoResponse(ctx, target.ID); err != nil || len(n.blocks.Flows(time.Now())) != 0 {
		t.Errorf("not undone: %v", err)
	}
	if kill := ask(respond.Action{Name: respond.KillProcess, Executable: "/no/such", User: "root"}); kill.State != respond.Observed || kill.Outcome != "would end no process" {
		t.Errorf("%+v", kill)
	}
}

// TestFloodIsUndone: a flood that leaves this host in strangers' names is seen by its
// own probe, the target is blocked, and yet the resets get there.
func TestFloodIsUndone(t *testing.T) {
	outside := newCable(t)
	backend, err := block.NewFirewall(block.Options{})
	if err != nil {
		t.Skip("no firewall: ", err)
	}
	defer backend.Close()
	source := Source{Format: Live, Path: "inside"}
	n := newResponding(t, backend, map[string]respond.Mode{unitReset: respond.Auto, unitFlow: respond.Auto}, source)
	watching := newSource(source, n.config.Log, func(context.Context, sighting, bool) error { return nil })
	watching.halfOpen = n.halfOpen
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		runtime.LockOSThread() // and never unlock: the thread ends here
		if err := netns.Set(here); err != nil {
			t.Error(err)
			return
		}
		_ = watching.run(ctx, nil)
	})
	defer running.Wait()
	defer stop()

	var victim net.Listener
	in(t, outside, func() { victim, err = net.Listen("tcp", "198.51.100.80:80") })
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	server := netip.MustParseAddr("198.51.100.80")
	const flooded = 40
	for try := byte(0); len(n.halfOpen.To(netip.AddrPortFrom(server, 80), time.Now())) == 0; try++ { // until the probe watches
		callAs(t, netip.AddrFrom4([4]byte{192, 0, 3, try}), server)
		time.Sleep(50 * time.Millisecond)
		if try > 100 {
			t.Fatalf("the probe sees nothing: %+v", watching.status())
		}
	}
	for i := range flooded {
		callAs(t, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), server)
	}
	if held := backlog(t, outside); held <= flooded {
		t.Fatalf("the victim holds %d", held)
	}
	unseen := backlog(t, outside) - len(n.halfOpen.To(netip.AddrPortFrom(server, 80), time.Now()))

	if r, err := n.Respond(ctx, controlAction(respond.BlockTarget, server)); err != nil || r.State != "done" {
		t.Fatalf("%+v, %v", r, err)
	}
	callAs(t, netip.AddrFrom4([4]byte{192, 0, 4, 1}), server) // and does not get there
	r, err := n.Respond(ctx, controlAction(respond.ResetHalfOpen, server))
	if err != nil || r.State != "done" || !strings.Contains(r.Outcome, " resets sent, 0 of 0 sockets closed") {
		t.Fatalf("%+v, %v", r, err)
	}
	for deadline := time.Now().Add(5 * time.Second); backlog(t, outside) > max(unseen, 0); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s; the victim still holds %d, of which the probe missed %d", r.Outcome, backlog(t, outside), unseen)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); len(n.halfOpen.To(netip.AddrPortFrom(server, 0), time.Now())) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the probe has not seen the resets: they would be sent once more")
		}
	}
}

// What a unit has yet to carry out has no outcome to be told, whatever it said when it waited for a person.
func TestDueInWords(t *testing.T) {
	action := respond.Action{Name: respond.BlockSource, Source: netip.MustParseAddr(attacker)}
	for want, r := range map[string]respond.Response{
		"block-source " + attacker + " asked for, and its unit carries it out": {Action: action, State: respond.Due},
		"block-source " + attacker + " done: blocked until noon":               {Action: action, State: respond.Done, Outcome: "blocked until noon"},
	} {
		if got := inWords(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := inWords(respond.Response{Action: action, State: respond.Due, Outcome: "would be blocked"}); strings.Contains(got, "would") {
		t.Errorf("asked for again without a doubt: %q", got)
	}
}
