package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// maxRounds ends a delivery that liars keep going: each round is a new set of
// collectors, because some did not answer or named nearer ones.
const maxRounds = 16

// Deliver brings the payload to each of the r collectors of the key and returns
// how many acknowledged it. Who does not answer is evicted and the next nearest
// takes its place, so that fewer than r acknowledgements without an error mean
// that there are no more members. This node, if it is a collector, calls its own
// Collector. Deliver blocks while the destinations' queues are full; it is safe
// to deliver the same payload again.
//
// The error wraps ErrRefused where a collector did not want the payload, and
// the context's where time ran out.
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
		whole := slices.Clone(route)
		todo := slices.DeleteFunc(route, func(p peer.ID) bool { return slices.Contains(d.settled, p) })
		if len(todo) == 0 {
			if len(d.named) > 0 { // a better route than the lookup's
				o.routes.put(key, r, whole)
			}
			return d.acks, errors.Join(d.errs...)
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
	acks    int
	errs    []error
}

// route is the present set of collectors: what the lookup says, and whom
// collectors have named, as far as they are alive.
func (d *delivery) route(ctx context.Context) ([]peer.ID, error) {
	if d.o.ctx.Err() != nil {
		return nil, errClosed
	}
	peers, err := d.o.Collectors(ctx, d.key, d.r)
	if err != nil || len(d.named) == 0 {
		return peers, err
	}
	living := slices.DeleteFunc(append(peers, d.named...), d.o.dead.has)
	return d.o.choose(placeOfKey(d.key), d.r, living), nil
}

// send brings the payload to one collector and notes what came of it.
func (d *delivery) send(ctx context.Context, to peer.ID) {
	rep, err := d.ask(ctx, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && (ctx.Err() != nil || d.o.ctx.Err() != nil): // not the peer's fault
	case err != nil:
		d.o.evict(to)
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
	return d.o.reports.call(ctx, to, report{key: d.key, r: r, payload: d.payload}.encode())
}

// Hand brings a payload that is not this node's own to one collector of the key, and
// returns when that has acknowledged it. Who does not answer is evicted.
func (o *Overlay) Hand(ctx context.Context, to peer.ID, key [32]byte, payload []byte) error {
	rep, err := o.reports.call(ctx, to, report{key: key, payload: payload}.encode())
	switch {
	case err != nil:
		if ctx.Err() == nil && o.ctx.Err() == nil {
			o.evict(to)
		}
		return err
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
	if err := o.collect(ctx, from, key, payload); err != nil {
		return reply{status: refused, reason: err.Error()}
	}
	return reply{status: accepted}
}

// better returns the r collectors of the key if this node is none of them, as
// far as it knows.
func (o *Overlay) better(key [32]byte, r int) []*peer.AddrInfo {
	peers := o.wanted(placeOfKey(key), window)
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
// acknowledged it. Who does not answer is evicted.
func (o *Overlay) Send(ctx context.Context, to peer.ID, frame []byte) error {
	if len(frame) > MaxPayload {
		return fmt.Errorf("frame of %d bytes is over the %d allowed", len(frame), MaxPayload)
	}
	rep, err := o.frames.call(ctx, to, frame)
	if err != nil {
		if ctx.Err() == nil && o.ctx.Err() == nil {
			o.evict(to)
		}
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
