package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/respond"
)

// responder carries out what is asked for against an attack, beyond the blocks of
// whom the evidence names. A unit may take seconds, so who asks does not wait.
//
//	Action → mode → (a person) → unit → Response
type responder struct {
	*respond.Manager
	log *slog.Logger
	due chan string // ids; it has room for all that can be due
}

// respondWorkers is how many responses are carried out at a time: more than hooks may run, which take half a
// minute each if they like, so that none of them keeps a process or a flood waiting.
const respondWorkers = 6

// The units' names, as --respond has them.
const (
	unitBlock   = "block"
	unitFlow    = "flow"
	unitReset   = "reset"
	unitProcess = "process"
	unitHook    = "hook"
)

// units are what responds on this host, each in the mode that the configuration says,
// or observing.
func (n *Node) units() []respond.Slot {
	slots := []respond.Slot{
		{Name: unitBlock, Actions: []string{respond.BlockSource}, Unit: respond.SourceUnit{Blocker: blocker{n}}, Lasts: respond.FlowTime},
		{Name: unitFlow, Actions: []string{respond.BlockFlow, respond.BlockTarget}, Unit: respond.FlowUnit{Filter: filter{n.blocks}}, Lasts: respond.FlowTime},
		// A flood that goes on is undone again.
		{Name: unitReset, Actions: []string{respond.ResetHalfOpen}, Unit: n.undoing, Lasts: 10 * time.Second, Rest: undoLimit},
		{Name: unitProcess, Actions: []string{respond.KillProcess}, Unit: respond.ProcessUnit{}, Lasts: 10 * time.Second},
		{Name: unitHook, Actions: []string{respond.RunHook}, Unit: respond.NewHookUnit(n.config.Hooks), Lasts: respond.FlowTime},
	}
	for i := range slots {
		slots[i].Mode = respond.Observe
		if mode, ok := n.config.Respond[slots[i].Name]; ok {
			slots[i].Mode = mode
		}
	}
	return slots
}

func (n *Node) resetUnit() respond.ResetUnit {
	reset := respond.ResetUnit{Mark: block.PassMark}
	if n.halfOpen != nil {
		reset.HalfOpen = flood{n.halfOpen}
	}
	return reset
}

func (n *Node) startResponding() error {
	for _, s := range n.config.Sources {
		if s.Format == Live {
			n.halfOpen = detect.NewHalfOpen()
			break
		}
	}
	n.undoing = newUndoing(n.config.Log, n.halfOpen, n.resetUnit())
	n.responder = &responder{log: n.config.Log, due: make(chan string, respond.MaxResponses)}
	n.responder.Manager = respond.NewManager(n.units(), kept{n.store.Responses}, func(x respond.Response) {
		n.responder.tell(x)
		if n.scenarios != nil { // while they are restored
			n.scenarios.responded(x)
		}
	})
	malformed, err := n.responder.Restore(n.started)
	if malformed > 0 {
		n.config.Log.Warn("kept responses cannot be read", "responses", malformed)
	}
	return err
}

// ParseResponse reads UNIT=MODE.
func ParseResponse(s string) (unit string, mode respond.Mode, err error) {
	unit, text, ok := strings.Cut(s, "=")
	if !ok {
		return "", "", fmt.Errorf("%q: want UNIT=MODE, for instance %s=approve", s, unitFlow)
	}
	if units := []string{unitBlock, unitFlow, unitReset, unitProcess, unitHook}; !slices.Contains(units, unit) {
		return "", "", fmt.Errorf("%q: unit %q: want one of %s", s, unit, strings.Join(units, ", "))
	}
	mode, err = respond.ParseMode(text)
	return unit, mode, err
}

// checkHooks says which hooks cannot be run safely.
func (c *Config) checkHooks() (err error) {
	seen := map[string]bool{}
	for _, h := range c.Hooks {
		if seen[h.Name] {
			err = errors.Join(err, fmt.Errorf("hook %s is named twice", h.Name))
		}
		seen[h.Name] = true
		err = errors.Join(err, h.Check())
	}
	return err
}

// respond asks for a scenario's countermeasure. It does not wait until that is carried
// out. Nothing is done about who is an offender of an attack that is marked as false.
func (n *Node) respond(_ context.Context, a respond.Action) (respond.Response, error) {
	now := time.Now()
	if a.Source.IsValid() {
		if why := n.actor.spares(now, a.Source); why != "" {
			return respond.Response{Action: a, State: respond.Refused, Outcome: why}, nil
		}
	}
	r, due, err := n.responder.Ask(now, a)
	if due {
		n.responder.due <- r.ID
	}
	return r, err
}

// assessed implements actor.assessed.
func (n *Node) assessed(now time.Time, offenders []netip.Prefix) (alerts []string) {
	for _, r := range n.responder.List(now) {
		if r.Name == respond.BlockSource && r.Scenario != "" && slices.ContainsFunc(offenders, func(o netip.Prefix) bool { return o.Contains(r.Source) }) {
			alerts = append(alerts, r.Alert)
		}
	}
	return alerts
}

// run carries out what is due until ctx ends.
func (r *responder) run(ctx context.Context) error {
	for {
		select {
		case id := <-r.due:
			if _, err := r.Carry(ctx, time.Now(), id); err != nil {
				r.log.Error("response not carried out", "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// tell logs what became of a response, and why it was asked for.
func (r *responder) tell(x respond.Response) {
	level := slog.LevelInfo
	if x.State == respond.Failed {
		level = slog.LevelError
	}
	r.log.Log(context.Background(), level, "response", "id", x.ID, "unit", x.Unit, "action", x.Action.String(), "state", string(x.State),
		"outcome", x.Outcome, "reason", x.Reason, "alert", x.Alert, "scenario", x.Scenario)
}

// flood is the packets that left this host as the reset unit wants them.
type flood struct{ seen *detect.HalfOpen }

func (f flood) HalfOpen(server netip.AddrPort) iter.Seq[respond.Conn] {
	return func(yield func(respond.Conn) bool) {
		for _, c := range f.seen.To(server, time.Now()) {
			if !yield(respond.Conn(c)) {
				return
			}
		}
	}
}

// filter is the blocks as the flow unit wants them.
type filter struct{ blocks *block.Manager }

func (f filter) Check(now time.Time, flow respond.Flow) error {
	return refusal(f.blocks.CheckFlow(now, block.Flow(flow)))
}

func (f filter) Drop(ctx context.Context, now time.Time, flow respond.Flow, d time.Duration, reason, alert string) (time.Time, bool, error) {
	b, refused, err := f.blocks.DropFlow(ctx, now, block.Flow(flow), d, reason, alert)
	return b.Until, b.State == block.Blocked, errors.Join(err, refusal(refused))
}

func (f filter) Allow(ctx context.Context, now time.Time, flow respond.Flow) error {
	_, err := f.blocks.AllowFlow(ctx, now, block.Flow(flow))
	return err
}

// blocker is the blocks as the block unit wants them.
type blocker struct{ n *Node }

func (b blocker) Check(now time.Time, source netip.Addr) error {
	_ = b.n.never.Fresh(now) // what cannot be read keeps its former value
	if why, never := b.n.never.Check(event.SourcePrefix(source)); never {
		return refusal(neverBlock + why)
	}
	return nil
}

func (b blocker) Block(ctx context.Context, now time.Time, source netip.Addr, a respond.Action) (string, error) {
	evidence := a.Evidence
	if evidence.IsZero() || a.Hold != "" { // a person may have taken an hour over it, and means from now on
		evidence = now
	}
	decision, err := b.n.blocks.Propose(ctx, now, block.Proposal{
		Prefix: event.SourcePrefix(source), Evidence: evidence, Reason: a.Reason, Alert: a.Alert, Local: a.Local,
		Fleet: a.Hold != "", // a person has approved it: the mode for others' evidence does not ask once more
	})
	switch {
	case err != nil:
		return "", err
	case decision.Refused != "":
		return "", refusal(decision.Refused)
	case decision.Block.State == block.Waiting:
		return "waits for approval (komondor approve): " + decision.Block.Hold, nil
	}
	b.n.counters.blocks.Add(1)
	return fmt.Sprintf("%s until %s", decision.Block.State, decision.Block.Until.UTC().Format(time.RFC3339)), nil
}

func (b blocker) Blocks(now time.Time, source netip.Addr) bool {
	_, ok := b.n.blocks.Lookup(now, source)
	return ok
}

func (b blocker) Unblock(ctx context.Context, now time.Time, source netip.Addr) error {
	_, err := b.n.blocks.Remove(ctx, now, event.SourcePrefix(source))
	return err
}

// neverBlock begins what package block says of an address that is never blocked.
const neverBlock = "never-block set: "

// refusal says why not, and what can be done about it.
func refusal(why string) error {
	if why == "" {
		return nil
	}
	if strings.HasPrefix(why, neverBlock) {
		why += "; only entries of komondor allow list can be taken out of it"
	}
	return respond.Refusal(why)
}

// Flows returns the flows that are blocked, the latest first.
func (n *Node) Flows() ([]control.Flow, error) {
	now := time.Now()
	_, err := n.blocks.Reconcile(context.Background(), now) // a failure leaves the counters of the last time
	var shown []control.Flow
	for _, b := range n.blocks.Flows(now) {
		shown = append(shown, control.Flow{Source: b.Source, Target: b.Target, Protocol: b.Protocol, Port: b.Port,
			Since: b.Since, Until: b.Until, State: b.State, Reason: b.Reason, Alert: b.Alert, Packets: b.Packets, Bytes: b.Bytes})
	}
	return shown, err
}

// Responses returns what was asked for and what became of it, the latest first.
func (n *Node) Responses() ([]control.Response, error) {
	var shown []control.Response
	for _, r := range n.responder.List(time.Now()) {
		if r.Name == respond.BlockSource && r.State == respond.Done && !r.Undoable {
			r.Outcome += "; that has ended"
		}
		shown = append(shown, showResponse(r))
	}
	return shown, nil
}

// Respond carries out what a person asks for, under the modes of the units.
func (n *Node) Respond(ctx context.Context, a control.Action) (control.Response, error) {
	now := time.Now()
	r, due, err := n.responder.Ask(now, respond.Action{Name: a.Action, Source: a.Source, Target: a.Target, Protocol: a.Protocol, Port: a.Port,
		Executable: a.Executable, User: a.User, Hook: a.Hook, Reason: a.Reason, Evidence: now, Local: true})
	if due {
		r, err = n.responder.Carry(ctx, now, r.ID)
	}
	return showResponse(r), err
}

// ApproveResponse carries out what waits for a person.
func (n *Node) ApproveResponse(ctx context.Context, id string) (control.Response, error) {
	r, err := n.responder.Approve(ctx, time.Now(), id)
	return showResponse(r), err
}

// RejectResponse drops what waits for a person.
func (n *Node) RejectResponse(_ context.Context, id string) (control.Response, error) {
	r, err := n.responder.Reject(time.Now(), id)
	return showResponse(r), err
}

// UndoResponse undoes what was done, where that can be.
func (n *Node) UndoResponse(ctx context.Context, id string) (control.Response, error) {
	now := time.Now()
	var r respond.Response
	err := n.decide(ctx, now, func() (err error) {
		r, err = n.responder.Undo(ctx, now, id)
		return err
	})
	return showResponse(r), err
}

func showResponse(r respond.Response) control.Response {
	return control.Response{ID: r.ID, Unit: r.Unit, State: string(r.State), Outcome: r.Outcome, Undoable: r.Undoable, Asked: r.Asked, Times: r.Times, Changed: r.Changed,
		Alert: r.Alert, Scenario: r.Scenario, Hold: r.Hold,
		Action: control.Action{Action: r.Name, Source: r.Source, Target: r.Target, Protocol: r.Protocol, Port: r.Port,
			Executable: r.Executable, User: r.User, Hook: r.Hook, Reason: r.Reason}}
}

// responding is the part of the status that is about responses.
func (n *Node) responding() control.Responding {
	s := control.Responding{Units: map[string]string{}}
	for _, slot := range n.responder.Slots() {
		s.Units[slot.Name] = string(slot.Mode)
	}
	states := map[respond.State]*int{respond.Waiting: &s.Waiting, respond.Done: &s.Done, respond.Failed: &s.Failed}
	for _, r := range n.responder.List(time.Now()) {
		if count := states[r.State]; count != nil {
			*count++
		}
	}
	for _, h := range n.config.Hooks {
		s.Hooks = append(s.Hooks, h.Name)
	}
	slices.Sort(s.Hooks)
	return s
}
