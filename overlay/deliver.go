package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/komondor/komondor/overlay/kademlia"
)

// maxRounds ends a delivery that liars keep going: each round is a new set of
// collectors, because some did not answer or named nearer ones.
const maxRounds = 16

// Deliver brings the payload to each of the r collectors of the key and returns
// how many acknowledged it. Who does not answer, is busy or takes longer than
// 1.5 seconds is passed over, and the next nearest takes its place, so that fewer
// than r acknowledgements without an error mean that there are no more members
// that collect now. This node, if it is a collector, calls its own Collector. It
// is safe to deliver the same payload again.
//
// The error wraps ErrRefused where a collector did not want the payload, ErrBusy
// where nobody has taken it because all that could are busy, and the context's
// where time ran out.
func (o *Overlay) Deliver(ctx context.Context, key [32]byte, r int, payload []byte) (acks int, err error) {
	if len(payload) > MaxPayload {
		return 0, fmt.Errorf("payload of %d bytes is over the %d allowed", len(payload), MaxPayload)
	}
	d := delivery{o: o, key: key, r: r, payload: payload}
	for range maxRounds {
		route, err := d.route(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			err = fmt.Errorf("deliver to key %x: %d of %d acknowledged: %w", key[:4], d.acks, r, err)
			return d.acks, errors.Join(append(d.errs, err)...)
		}
		todo := slices.DeleteFunc(route, func(p peer.ID) bool { return slices.Contains(d.settled, p) })
		if len(todo) == 0 {
			if d.better != nil {
				o.routes.put(key, r, d.better[:min(r, len(d.better))])
			}
			return d.acks, d.outcome()
		}
		if len(todo) == 1 {
			d.send(ctx, todo[0])
			continue
		}
		var all sync.WaitGroup
		for _, p := range todo {
			all.Go(func() { d.send(ctx, p) })
		}
		all.Wait()
	}
	return d.acks, errors.Join(append(d.errs, fmt.Errorf("deliver to key %x: the collectors changed %d times", key[:4], maxRounds))...)
}

// delivery is one payload on its way.
type delivery struct {
	o       *Overlay
	key     [32]byte
	r       int
	payload []byte

	mu      sync.Mutex
	settled []peer.ID // have acknowledged or refused
	named   []peer.ID // by collectors, as wanted more than themselves
	naming  []peer.ID // these did; when still wanted, they must accept
	busy    []peer.ID // have not taken it, and may do so later
	acks    int
	errs    []error
	better  []peer.ID // than the lookup's: all who are wanted, with those that were named
	passed  int       // how many of the wanted were found reluctant
}

// route is the present set of collectors: what the lookup says, and whom
// collectors have named, as far as they are alive and willing.
func (d *delivery) route(ctx context.Context) (peers []peer.ID, err error) {
	if d.o.ctx.Err() != nil {
		return nil, errClosed
	}
	all, err := d.o.candidates(ctx, d.key, d.r)
	if err != nil {
		return nil, err
	}
	if len(d.named) > 0 {
		living := slices.DeleteFunc(append(all, d.named...), d.o.dead.has)
		all = d.o.choose(placeOfKey(d.key), MaxReplicas, living)
		d.better = all
	}
	peers, d.passed = d.o.willing(all, d.r)
	return peers, nil
}

// outcome is nil when all who collect have the payload.
func (d *delivery) outcome() error {
	switch {
	case d.acks < d.r && len(d.errs) == 0 && slices.ContainsFunc(d.busy, d.slow):
		return fmt.Errorf("deliver to key %x: %d of %d acknowledged, others did not in time", d.key[:4], d.acks, d.r)
	case d.acks == 0 && len(d.errs) == 0 && len(d.busy) > 0:
		return fmt.Errorf("deliver to key %x: %w", d.key[:4], ErrBusy)
	}
	return errors.Join(d.errs...)
}

func (d *delivery) slow(p peer.ID) bool {
	avoid, busy := d.o.avoid.has(p)
	return avoid && !busy
}

// send brings the payload to one collector and notes what came of it.
func (d *delivery) send(ctx context.Context, to peer.ID) {
	waits, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rep, err := d.ask(waits, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && (ctx.Err() != nil || d.o.ctx.Err() != nil): // not the peer's fault
	case err != nil && waits.Err() != nil, errors.Is(err, errTimeout): // it may come to have it all the same
		d.o.pass(to, false)
		d.settled = append(d.settled, to)
		d.busy = append(d.busy, to)
	case err != nil: // it has been evicted
	case rep.status == busy:
		d.o.pass(to, true)
		d.settled = append(d.settled, to)
		d.busy = append(d.busy, to)
	case rep.status == closer:
		d.naming = append(d.naming, to)
		d.named = append(d.named, d.o.learn(rep.closer, peerstore.RecentlyConnectedAddrTTL)...)
	case rep.status == refused:
		d.settled = append(d.settled, to)
		d.errs = append(d.errs, fmt.Errorf("deliver to key %x: %w by %s: %s", d.key[:4], ErrRefused, to, rep.reason))
	default:
		d.settled = append(d.settled, to)
		d.acks++
	}
}

func (d *delivery) ask(ctx context.Context, to peer.ID) (reply, error) {
	if to == d.o.host.ID() {
		if err := d.o.handled(ctx); err != nil {
			return reply{}, err
		}
		return d.o.collected(ctx, to, d.key, d.payload), nil
	}
	d.mu.Lock()
	r := d.r
	if slices.Contains(d.naming, to) {
		r = 0
	}
	d.mu.Unlock()
	if r > 0 { // who stands behind those that were passed over may not know of it
		r = min(r+d.passed, MaxReplicas)
	}
	return d.o.reports.call(ctx, to, report{key: d.key, r: r, payload: d.payload}.encode())
}

// Hand brings a payload that is not this node's own to one collector of the key, and
// returns when that has acknowledged it. Who answers nothing at all is evicted.
func (o *Overlay) Hand(ctx context.Context, to peer.ID, key [32]byte, payload []byte) error {
	rep, err := o.reports.call(ctx, to, report{key: key, payload: payload}.encode())
	switch {
	case err != nil:
		return err
	case rep.status == busy:
		o.pass(to, true)
		return fmt.Errorf("hand over key %x to %s: %w", key[:4], to, ErrBusy)
	case rep.status != accepted:
		return fmt.Errorf("hand over key %x: %w by %s: %s", key[:4], ErrRefused, to, rep.reason)
	}
	return nil
}

// answerReport is the collector's side: it accepts, or names those who know better.
func (o *Overlay) answerReport(ctx context.Context, from peer.ID, body []byte) (reply, error) {
	p, err := decodeReport(body)
	if err != nil {
		return reply{}, err
	}
	if err := o.handled(ctx); err != nil {
		return reply{}, err
	}
	if p.r > 0 {
		if better := o.better(p.key, p.r); better != nil {
			return reply{status: closer, closer: better}, nil
		}
	}
	return o.collected(ctx, from, p.key, p.payload), nil
}

func (o *Overlay) collected(ctx context.Context, from peer.ID, key [32]byte, payload []byte) reply {
	if o.capacity == None {
		return reply{status: busy}
	}
	switch err := o.collect(ctx, from, key, payload); {
	case errors.Is(err, ErrBusy):
		return reply{status: busy}
	case err != nil:
		return reply{status: refused, reason: err.Error()}
	}
	return reply{status: accepted}
}

// better returns the r collectors of the key if this node is none of them, as
// far as it knows.
func (o *Overlay) better(key [32]byte, r int) []*peer.AddrInfo {
	peers := o.wanted(placeOfKey(key), kademlia.Window)
	peers = peers[:min(r, len(peers))]
	if slices.Contains(peers, o.host.ID()) {
		return nil
	}
	var infos []*peer.AddrInfo
	for _, p := range peers {
		info := o.host.Peerstore().PeerInfo(p)
		infos = append(infos, &info)
	}
	return infos
}

// Send brings one broadcast frame to a peer and returns when it has
// acknowledged it. Who answers nothing at all is evicted.
func (o *Overlay) Send(ctx context.Context, to peer.ID, frame []byte) error {
	if len(frame) > MaxPayload {
		return fmt.Errorf("frame of %d bytes is over the %d allowed", len(frame), MaxPayload)
	}
	rep, err := o.frames.call(ctx, to, frame)
	if err != nil {
		return err
	}
	if rep.status != accepted {
		return fmt.Errorf("broadcast frame %w by %s: %s", ErrRefused, to, rep.reason)
	}
	return nil
}

func (o *Overlay) answerFrame(ctx context.Context, from peer.ID, frame []byte) (reply, error) {
	if err := o.handled(ctx); err != nil {
		return reply{}, err
	}
	if err := o.receive(ctx, from, frame); err != nil {
		return reply{status: refused, reason: err.Error()}, nil
	}
	return reply{status: accepted}, nil
}
