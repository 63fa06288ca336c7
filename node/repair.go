package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

// repair brings what this node holds as a collector to members that have become
// collectors of the same keys since. Sources tell new collectors themselves; this is
// for those that are gone, or that do not know of the change. Reports are signed and
// cumulative, so that anybody may hand them on, and twice does no harm.
//
//	table changes ─→ whose keys have somebody new ─offer: versions→ new collector
//	                                               ←which it lacks─
//	                                               ─reports, signed by their sources→
//
// The holder offers, rather than that the new one asks: only who holds evidence
// knows which keys there are, so a change where there is none costs nothing. What only
// the new one knows is that it has begun anew and holds nothing, though it was away
// too shortly to be missed; of that it tells its neighbours.
type repair struct {
	log      *slog.Logger
	net      neighbourhood
	member   membership
	held     holder
	overlap  time.Duration // how long evidence matters, and so the salt of its day
	replicas func() int
	handed   *atomic.Uint64 // counts reports

	changed chan struct{} // holds one when the table has changed
	offers  allowance     // keys that others have this node look up
	hand    *rate.Limiter

	mu   sync.Mutex
	told map[[32]byte]*telling // by the hash of a key that is held
}

// telling is who has been offered all that is held on a key.
type telling struct {
	to   []peer.ID
	seen uint64 // the last pass that found the key held
}

// neighbourhood is what repair needs of the overlay.
type neighbourhood interface {
	ID() peer.ID
	Near(key [32]byte, r int) (collectors []peer.ID, near bool)
	Contacts(n int) []peer.AddrInfo
	Ask(ctx context.Context, to peer.ID, request []byte) ([]byte, error)
	Hand(ctx context.Context, to peer.ID, key [32]byte, payload []byte) error
}

// holder is what repair needs of the judge.
type holder interface {
	keys() []event.Key
	versions(key event.Key) []correlate.Version
	proven(now time.Time, key event.Key, wanted func(member string, version uint64) bool) []event.Sealed
}

// holding is a key that is held, under one of the salts that are valid.
type holding struct {
	key  event.Key
	hash [32]byte
}

// offered is one key of an offer.
type offered struct {
	Key  event.Key `cbor:"1,keyasint"`
	Said []version `cbor:"2,keyasint"`
}

type version struct {
	_       struct{} `cbor:",toarray"`
	Member  string
	Version uint64
}

const (
	// repairDelay is how long living sources have for telling themselves, which is
	// cheaper. Holders add up to as much again by chance: the first of them finds
	// something lacking, and the others' offers are only looked at.
	repairDelay = 2 * time.Second
	// repairShare is how much of the time a pass over the keys may take: one of so many
	// parts, however often the table changes.
	repairShare = 10
	repairRetry = 10 * time.Second // the first, then twice as long each time
	maxRetries  = 5
	// neighboursTold is how many neighbours are told that a node has begun anew: who holds
	// what it should is among the nearest.
	neighboursTold = 20

	offering = 8 // members at a time
	// tellLimit is what one member may take of a pass: who is slow, or lies that it lacks
	// everything, keeps nobody else waiting. What it was not told is due in the next.
	tellLimit    = 10 * time.Second
	offerTimeout = 4 * time.Second
	offerSize    = 48 << 10
	offerKeys    = 256
	handing      = 32   // reports to one member at a time, which share writes
	handRate     = 1000 // reports a second to all, half of what one may send to another

	// What one organisation may have this node look up for its offers, and what the word
	// that somebody has begun anew costs of that.
	offersPerSecond = 2000
	offersAtOnce    = 20_000
	begunCosts      = 5000
)

// init makes what a repair begins with, and returns it.
func (r *repair) init() *repair {
	r.changed = make(chan struct{}, 1)
	r.offers = allowance{limit: offersPerSecond, burst: offersAtOnce}
	r.hand = rate.NewLimiter(handRate, handRate)
	r.told = make(map[[32]byte]*telling)
	return r
}

// run repairs after each change of the table until ctx ends.
func (r *repair) run(ctx context.Context) error {
	announced, retries := false, 0
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	pause := repairDelay
	for {
		select {
		case <-r.changed:
			retries = 0
		case <-retry.C:
			retries++
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(pause + rand.N(repairDelay)):
		case <-ctx.Done():
			return nil
		}
		if !announced {
			announced = r.announce(ctx)
		}
		began := time.Now()
		due := r.due(began)
		pause = max(repairDelay, repairShare*time.Since(began))
		if !r.tell(ctx, due) && retries < maxRetries {
			retry.Reset(repairRetry << retries)
		}
	}
}

// announce tells the neighbours that this node has begun anew; false where there are none.
func (r *repair) announce(ctx context.Context) bool {
	neighbours := r.net.Contacts(neighboursTold)
	var all errgroup.Group
	all.SetLimit(offering)
	for _, to := range neighbours {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, offerTimeout)
			defer cancel()
			_, _ = r.net.Ask(ctx, to.ID, []byte{begunQuestion}) // who does not answer will not repair
			return nil
		})
	}
	_ = all.Wait()
	return len(neighbours) > 0
}

// begun forgets what a member was told that has begun anew.
func (r *repair) begun(from peer.ID) error {
	if !r.offers.allow(r.member.Organisation(from.String()), begunCosts) {
		return errors.New("too many offers: ask again later")
	}
	r.mu.Lock()
	for _, t := range r.told {
		t.to = slices.DeleteFunc(t.to, func(p peer.ID) bool { return p == from })
	}
	r.mu.Unlock()
	notify(r.changed)
	return nil
}

// due is what has to be offered to whom: every collector of a key that is held, as
// far as it has not been offered that already.
func (r *repair) due(now time.Time) map[peer.ID][]holding {
	due := make(map[peer.ID][]holding)
	salts, replicas := r.member.Salts(now, r.overlap), r.replicas()
	r.mu.Lock()
	var pass uint64
	for _, t := range r.told {
		pass = max(pass, t.seen)
	}
	pass++
	r.mu.Unlock()
	for _, key := range r.held.keys() {
		for _, salt := range salts {
			h := holding{key, key.Hash(r.member.Name(), salt)}
			collectors, near := r.net.Near(h.hash, replicas)
			if !near {
				continue // others hold it, and know better whose it is
			}
			r.mu.Lock()
			t := r.told[h.hash]
			if t == nil {
				t = new(telling)
				r.told[h.hash] = t
			}
			t.seen = pass
			// Who has left and come back has forgotten what it was told.
			t.to = slices.DeleteFunc(t.to, func(p peer.ID) bool { return !slices.Contains(collectors, p) })
			for _, p := range collectors {
				if p != r.net.ID() && !slices.Contains(t.to, p) {
					due[p] = append(due[p], h)
				}
			}
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for hash, t := range r.told {
		if t.seen != pass {
			delete(r.told, hash)
		}
	}
	return due
}

// tell offers to each member what is due. It returns false where one could not be
// told all.
func (r *repair) tell(ctx context.Context, due map[peer.ID][]holding) bool {
	var all errgroup.Group
	all.SetLimit(offering)
	var failed atomic.Bool
	for to, holdings := range due {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, tellLimit)
			defer cancel()
			var last []line // whose last key may go on in the next page
			for page := range r.pages(holdings) {
				if err := r.offer(ctx, to, page); err != nil {
					r.log.Debug("evidence not handed on to a new collector", "to", to.String(), "error", err)
					failed.Store(true)
					return nil
				}
				page = append(last, page...)
				end := page[len(page)-1]
				r.note(to, slices.DeleteFunc(page, func(l line) bool { return l.hash == end.hash }))
				last = []line{end}
			}
			r.note(to, last)
			return nil
		})
	}
	_ = all.Wait()
	return !failed.Load()
}

// note remembers of some keys that a member was told.
func (r *repair) note(to peer.ID, keys []line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range keys {
		if t := r.told[l.hash]; t != nil && !slices.Contains(t.to, to) {
			t.to = append(t.to, to)
		}
	}
}

// line is one key of a page: what is offered, and where it lies.
type line struct {
	offered
	hash [32]byte
}

// pages are the offers of holdings, each small enough for a question. The versions
// of one key may stand on several.
func (r *repair) pages(holdings []holding) iter.Seq[[]line] {
	return func(yield func([]line) bool) {
		var page []line
		size := 0
		for _, h := range holdings {
			for said := range slices.Chunk(r.held.versions(h.key), offerKeys) {
				l := line{offered{Key: h.key}, h.hash}
				more := 32 + len(h.key.Selector) + len(h.key.Value)
				for _, v := range said {
					l.Said = append(l.Said, version{Member: v.Member, Version: v.Version})
					more += 16 + len(v.Member)
				}
				if len(page) == offerKeys || len(page) > 0 && size+more > offerSize {
					if !yield(page) {
						return
					}
					page, size = nil, 0
				}
				page, size = append(page, l), size+more
			}
		}
		if len(page) > 0 {
			yield(page)
		}
	}
}

// offer says which reports there are on some keys, and hands over those that are
// lacking. An error means that some may still be.
func (r *repair) offer(ctx context.Context, to peer.ID, page []line) error {
	offer := make([]offered, len(page))
	for i, l := range page {
		offer[i] = l.offered
	}
	request, err := event.Encode(offer)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, offerTimeout)
	defer cancel()
	answer, err := r.net.Ask(asking, to, append([]byte{offerQuestion}, request...))
	if err != nil {
		return err
	}
	var lacking [][]string // for each key the members whose reports are
	if err := event.Decode(answer, &lacking); err != nil {
		return fmt.Errorf("answer to an offer: %w", err)
	}
	if len(lacking) != len(page) {
		return fmt.Errorf("answer on %d keys to an offer of %d", len(lacking), len(page))
	}
	var all errgroup.Group
	all.SetLimit(handing)
	now := time.Now()
	for i, l := range page {
		if len(lacking[i]) == 0 {
			continue
		}
		for _, sealed := range r.held.proven(now, l.Key, func(member string, _ uint64) bool { return slices.Contains(lacking[i], member) }) {
			payload, err := event.Encode(sealed)
			if err != nil {
				return errors.Join(err, all.Wait())
			}
			all.Go(func() error {
				if err := r.hand.Wait(ctx); err != nil {
					return err
				}
				if err := r.net.Hand(ctx, to, l.hash, payload); err != nil {
					return err
				}
				r.handed.Add(1)
				return nil
			})
		}
	}
	return all.Wait()
}

// answer is the other side of offer: whose reports this node lacks on keys that it is
// near to. A lie in an offer gets nothing counted; the reports are verified when they
// come, as all are.
func (r *repair) answer(from peer.ID, request []byte) ([]byte, error) {
	var offer []offered
	if err := event.Decode(request, &offer); err != nil {
		return nil, fmt.Errorf("offer: %w", err)
	}
	if len(offer) > offerKeys {
		return nil, fmt.Errorf("offer of %d keys: want %d at most", len(offer), offerKeys)
	}
	if !r.offers.allow(r.member.Organisation(from.String()), len(offer)) {
		return nil, errors.New("too many offers: offer again later")
	}
	salts := r.member.Salts(time.Now(), r.overlap)
	lacking := make([][]string, len(offer))
	looked := make(map[event.Key]bool)
	for i, o := range offer {
		if looked[o.Key] || !slices.ContainsFunc(salts, func(salt []byte) bool { return r.near(o.Key.Hash(r.member.Name(), salt)) }) {
			continue
		}
		looked[o.Key] = true
		known := make(map[string]uint64)
		for _, v := range r.held.versions(o.Key) {
			known[v.Member] = v.Version
		}
		for _, v := range o.Said {
			if at, ok := known[v.Member]; !ok || at < v.Version {
				lacking[i] = append(lacking[i], v.Member)
			}
		}
	}
	return event.Encode(lacking)
}

// near reports whether this node may well be a collector of a key: members differ a
// little in who they know.
func (r *repair) near(hash [32]byte) bool {
	collectors, _ := r.net.Near(hash, min(2*r.replicas(), overlay.MaxReplicas))
	return slices.Contains(collectors, r.net.ID())
}
