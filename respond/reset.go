package respond

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Conn is a TCP connection that was begun from Client; ISN is the number of its
// first packet.
type Conn struct {
	Client, Server netip.AddrPort
	ISN            uint32
	Begun          time.Time
}

// HalfOpen knows the connections that have left this host and are not completed.
type HalfOpen interface {
	// HalfOpen yields those to a server, to any port of it where the port is 0.
	HalfOpen(server netip.AddrPort) iter.Seq[Conn]
}

const (
	maxResets    = 65_536 // an action
	resetsPerSec = 5_000
)

// ResetUnit undoes a SYN flood that leaves this host (ResetHalfOpen): to the target
// it sends one TCP reset for each half-open connection, in the name in which that was
// begun, so that the target forgets it at once. Sockets of this host that still call
// are closed. What was begun after it was asked, or is completed within Settle, is
// left alone.
type ResetUnit struct {
	HalfOpen HalfOpen
	// Mark is the SO_MARK of the resets, by which they pass this host's own blocks.
	Mark int
	// Settle is how long a handshake that is under way may take: a second where zero.
	Settle time.Duration
}

// Plan implements Unit.
func (u ResetUnit) Plan(_ context.Context, now time.Time, a Action) (string, error) {
	server, err := serverOf(a)
	if err != nil {
		return "", err
	}
	undoing, err := u.find(now, server)
	return fmt.Sprintf("would send %d resets and close %d sockets", len(undoing.conns), len(undoing.calling)), err
}

// Do implements Unit.
func (u ResetUnit) Do(ctx context.Context, now time.Time, a Action) (string, error) {
	server, err := serverOf(a)
	if err != nil {
		return "", err
	}
	settle := u.Settle
	if settle == 0 {
		settle = time.Second
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	undoing, err := u.find(now, server)
	if err != nil {
		return "", err
	}
	closed := closeSockets(undoing.calling) // first: they would call again
	sent, err := u.send(ctx, server.Addr(), undoing.conns)
	outcome := fmt.Sprintf("%d resets sent, %d of %d sockets closed", sent, closed, len(undoing.calling))
	if left := len(undoing.conns) - sent; left > 0 {
		return outcome, fmt.Errorf("%s, %d half-open connections left: %w", outcome, left, err)
	}
	return outcome, nil
}

func serverOf(a Action) (netip.AddrPort, error) {
	switch {
	case !a.Target.IsValid():
		return netip.AddrPort{}, refuse("%s: name the target", a)
	case a.Target.IsLoopback(), a.Target.IsMulticast(), a.Target.IsUnspecified():
		return netip.AddrPort{}, refuse("%s: the target is no other host: name the one that is flooded", a)
	}
	return netip.AddrPortFrom(a.Target, a.Port), nil
}

// undoing is what there is to undo.
type undoing struct {
	conns   []Conn
	calling []socket // of this host, that have not been answered
}

// find asks the packets and this host's own stack. The stack has the last word about
// its sockets: packets may have been missed.
func (u ResetUnit) find(now time.Time, server netip.AddrPort) (undoing, error) {
	sockets, err := sockets(server)
	if err != nil {
		return undoing{}, err
	}
	if u.HalfOpen == nil {
		return choose(now, func(func(Conn) bool) {}, sockets), nil
	}
	return choose(now, u.HalfOpen.HalfOpen(server), sockets), nil
}

// choose leaves out what was begun after now, and what is completed by the stack's word.
func choose(now time.Time, seen iter.Seq[Conn], sockets []socket) undoing {
	type ends struct{ client, server netip.AddrPort }
	completed, later, chosen := map[ends]bool{}, map[ends]bool{}, map[ends]bool{}
	for _, s := range sockets {
		if s.state != synSent {
			completed[ends{s.local, s.remote}] = true
		}
	}
	var u undoing
	for c := range seen {
		switch e := (ends{c.Client, c.Server}); {
		case c.Begun.After(now):
			later[e] = true
		case completed[e], chosen[e], len(u.conns) >= maxResets:
		default:
			chosen[e] = true
			u.conns = append(u.conns, c)
		}
	}
	for _, s := range sockets {
		if s.state == synSent && !later[ends{s.local, s.remote}] {
			u.calling = append(u.calling, s)
		}
	}
	return u
}

// send sends the resets, and returns how many were sent.
func (u ResetUnit) send(ctx context.Context, target netip.Addr, conns []Conn) (sent int, err error) {
	if len(conns) == 0 {
		return 0, nil
	}
	raw, err := openRaw(target, u.Mark)
	if err != nil {
		return 0, err
	}
	defer raw.close()
	limit := rate.NewLimiter(resetsPerSec, 100)
	for _, c := range conns {
		if err := limit.Wait(ctx); err != nil {
			return sent, err
		}
		if err := raw.send(resetOf(c)); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}
