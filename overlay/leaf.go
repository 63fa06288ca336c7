package overlay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// leafHosts is on how many full nodes a leaf hangs: all three would have to
	// keep silent at once before it misses a broadcast.
	leafHosts = 3
	// maxLeaves is how many leaves hang on one full node.
	maxLeaves = 64
	// attachEvery is how often a leaf says that it is there; its host forgets it
	// when it has missed three. A lost connection is noticed at once.
	attachEvery = 15 * time.Second
	attachLease = 50 * time.Second
	// attachSoon is when a leaf looks again that has found too few hosts.
	attachSoon = 2 * time.Second
	// refusedTime is for how long a leaf does not ask a full node again that had no room.
	refusedTime = 5 * time.Minute

	leafTag = "leaf" // of connections that the connection manager must not close
)

var attachRate = Rate{1, 8}

// leaves are those that hang on this node. The room is shared between
// organisations: where there is none left, whoever has most gives up its newest.
type leaves struct {
	mu sync.Mutex
	of map[peer.ID]lease
}

type lease struct {
	organisation string
	since, until time.Time
}

// enter lets a leaf in, or renews its stay. Gone are those whose stay is over, and
// who had to make room.
func (ls *leaves) enter(p peer.ID, organisation string, now time.Time) (gone []peer.ID, ok bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, here := ls.of[p]; here {
		l.until = now.Add(attachLease)
		ls.of[p] = l
		return nil, true
	}
	maps.DeleteFunc(ls.of, func(p peer.ID, l lease) bool {
		over := now.After(l.until)
		if over {
			gone = append(gone, p)
		}
		return over
	})
	if len(ls.of) >= maxLeaves {
		one, ok := ls.crowding(organisation)
		if !ok {
			return gone, false
		}
		delete(ls.of, one)
		gone = append(gone, one)
	}
	if ls.of == nil {
		ls.of = map[peer.ID]lease{}
	}
	ls.of[p] = lease{organisation, now, now.Add(attachLease)}
	return gone, true
}

// crowding is the newest leaf of the organisation that has most, where that is
// more than another one would have with one more.
func (ls *leaves) crowding(organisation string) (newest peer.ID, ok bool) {
	count, most := map[string]int{}, ""
	for _, l := range ls.of {
		count[l.organisation]++
	}
	for o, n := range count {
		if n > count[most] || n == count[most] && o < most {
			most = o
		}
	}
	if count[most] <= count[organisation]+1 {
		return "", false
	}
	for p, l := range ls.of {
		if l.organisation == most && (newest == "" || l.since.After(ls.of[newest].since)) {
			newest = p
		}
	}
	return newest, true
}

func (ls *leaves) remove(p peer.ID) (was bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	_, was = ls.of[p]
	delete(ls.of, p)
	return was
}

// Attached returns the leaves that hang on this node: whatever is told to all is
// told to each of them, and they stand in no bucket.
func (o *Overlay) Attached() []peer.ID {
	o.leaves.mu.Lock()
	defer o.leaves.mu.Unlock()
	now := time.Now()
	var all []peer.ID
	for p, l := range o.leaves.of {
		if now.Before(l.until) && o.admitted(p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// answerAttach is the full node's side.
func (o *Overlay) answerAttach(_ context.Context, from peer.ID, _ []byte) (reply, error) {
	m, _ := o.member(from, o.self)
	organisation := m.Organisation
	if organisation == "" {
		organisation = string(from)
	}
	if o.dht.RoutingTable().Find(from) != "" {
		return reply{status: refused, reason: "a full node gets what is broadcast by itself"}, nil
	}
	gone, ok := o.leaves.enter(from, organisation, time.Now())
	for _, p := range gone {
		o.host.ConnManager().Unprotect(p, leafTag)
	}
	if !ok {
		return reply{status: busy}, nil
	}
	o.host.ConnManager().Protect(from, leafTag)
	if o.host.Network().Connectedness(from) != network.Connected {
		o.parted(from) // before it was a leaf
	}
	return reply{status: accepted}, nil
}

// hosts are the full nodes that this leaf hangs on.
type hosts struct {
	mu   sync.Mutex
	of   []member
	full map[peer.ID]time.Time // those that had no room, until when they are left alone
	wake chan struct{}
}

// Hosts returns the full nodes that this leaf hangs on, and none for a full node.
func (o *Overlay) Hosts() []peer.ID {
	o.hosts.mu.Lock()
	defer o.hosts.mu.Unlock()
	var all []peer.ID
	for _, m := range o.hosts.of {
		all = append(all, m.ID)
	}
	return all
}

// hang keeps a leaf attached to full nodes.
func (o *Overlay) hang() {
	for {
		o.renew()
		wait := attachEvery
		if o.attach() < leafHosts {
			wait = attachSoon
		}
		select {
		case <-time.After(wait*3/4 + rand.N(wait/4)):
		case <-o.hosts.wake:
		case <-o.ctx.Done():
			return
		}
	}
}

// renew tells the hosts that this leaf is still there, and leaves those that have
// no room any more or do not answer.
func (o *Overlay) renew() {
	var all sync.WaitGroup
	for _, p := range o.Hosts() {
		all.Go(func() {
			if o.askRoom(p) != nil {
				o.detach(p)
			}
		})
	}
	all.Wait()
}

// attach looks for further hosts, and returns how many there are now. It gives up for
// now after some that had no room or did not answer: its hosts must hear of it in time.
func (o *Overlay) attach() int {
	for range 2 * leafHosts {
		have := len(o.Hosts())
		if have >= leafHosts || o.ctx.Err() != nil {
			return have
		}
		m, ok := o.nextHost()
		if !ok {
			return have
		}
		err := o.askRoom(m.ID)
		o.hosts.mu.Lock()
		switch {
		case err == nil:
			o.hosts.of = append(o.hosts.of, m)
			o.host.ConnManager().Protect(m.ID, leafTag)
		default:
			o.hosts.full[m.ID] = time.Now().Add(refusedTime)
		}
		o.hosts.mu.Unlock()
		if err == nil && o.host.Network().Connectedness(m.ID) != network.Connected {
			o.detach(m.ID) // the connection has ended before there was anything to detach
		}
	}
	return len(o.Hosts())
}

// nextHost picks one of the table by chance, of an organisation of which no host
// is yet where there is one.
func (o *Overlay) nextHost() (picked member, ok bool) {
	contacts := o.dht.RoutingTable().ListPeers()
	rand.Shuffle(len(contacts), func(i, j int) { contacts[i], contacts[j] = contacts[j], contacts[i] })
	o.hosts.mu.Lock()
	defer o.hosts.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(o.hosts.full, func(_ peer.ID, until time.Time) bool { return now.After(until) })
	for _, p := range contacts {
		m, known := o.member(p, o.self)
		if _, full := o.hosts.full[p]; full || !known || o.dead.has(p) ||
			slices.ContainsFunc(o.hosts.of, func(h member) bool { return h.ID == p }) {
			continue
		}
		other := m.Organisation == "" || !slices.ContainsFunc(o.hosts.of, func(h member) bool { return h.Organisation == m.Organisation })
		if other {
			return m, true
		}
		if !ok {
			picked, ok = m, true
		}
	}
	return picked, ok
}

var errNoRoom = errors.New("has no room for another leaf")

func (o *Overlay) askRoom(p peer.ID) error {
	ctx, cancel := dialContext(o.ctx, 2*rpcTimeout)
	defer cancel()
	rep, err := o.attaching.call(ctx, p, nil)
	if err == nil && rep.status != accepted {
		err = fmt.Errorf("%s %w", p, errNoRoom)
	}
	return err
}

// detach forgets a host, and has another one looked for at once.
func (o *Overlay) detach(p peer.ID) {
	o.hosts.mu.Lock()
	defer o.hosts.mu.Unlock()
	before := len(o.hosts.of)
	o.hosts.of = slices.DeleteFunc(o.hosts.of, func(m member) bool { return m.ID == p })
	if len(o.hosts.of) < before {
		o.host.ConnManager().Unprotect(p, leafTag)
		signal(o.hosts.wake)
	}
}

// parted notes that a peer is no longer connected, whichever of the two it was.
func (o *Overlay) parted(p peer.ID) {
	if o.leaves.remove(p) {
		o.host.ConnManager().Unprotect(p, leafTag)
	}
	o.detach(p)
}
