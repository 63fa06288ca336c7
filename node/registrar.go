package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

const (
	pullEvery = time.Minute // as often as a neighbour is asked for news of the federation
	pullFirst = time.Second // until one has answered
	maxPages  = 1000        // of news from one neighbour at a time
)

// registrar keeps this node's picture of its federation: who is a member, who is
// out, which policy holds. What is new is told to all at once; what was missed is
// asked of a neighbour each minute. In an open overlay there is none.
type registrar struct {
	log    *slog.Logger
	member *federation.Member
	net    neighbours
	spread func(ctx context.Context, document []byte)
	// expelled is called when somebody has been put out, expired when certificates
	// may have ended, renewed when a new policy holds.
	expelled func()
	expired  func()
	renewed  func()

	mu   sync.Mutex
	read map[peer.ID]mark
	// epoch names this run: the order in which documents came is another one in the next.
	epoch uint64
}

// neighbours is what the registrar needs of the overlay.
type neighbours interface {
	Ask(ctx context.Context, to peer.ID, request []byte) ([]byte, error)
	Buckets() [][]peer.ID
}

// mark is how far a neighbour's documents have been read.
type mark struct{ epoch, after uint64 }

// question asks a neighbour for the documents that came to it after some number.
type question struct {
	Epoch uint64 `cbor:"1,keyasint,omitempty"` // the neighbour's run that the number is of
	After uint64 `cbor:"2,keyasint,omitempty"`
}

// page answers a question. There may be more when it holds any document.
type page struct {
	Epoch     uint64   `cbor:"1,keyasint"`
	Next      uint64   `cbor:"2,keyasint"`
	Documents [][]byte `cbor:"3,keyasint,omitempty"`
}

// maxPage bounds the documents of one page, in bytes: an answer has 56 KiB.
const maxPage = 48 << 10

// run asks, renews and looks who is out, until ctx ends.
func (r *registrar) run(ctx context.Context) error {
	every, alone := pullFirst, true
	var untold [][]byte // signed while there was nobody to tell
	for {
		met := r.pullAny(ctx)
		issued := r.issue(ctx, time.Now())
		if met {
			if every = pullEvery; alone {
				alone = false
				if own, ok := r.member.Chain(r.member.Member()); ok {
					untold = append(untold, own)
				}
			}
			issued, untold = append(untold, issued...), nil
		} else if alone {
			untold = append(untold, issued...)
			issued, untold = nil, untold[max(0, len(untold)-maxUntold):]
		}
		for _, document := range issued {
			r.spread(ctx, document)
		}
		r.member.Sweep(time.Now())
		r.expired()
		select {
		case <-time.After(every*3/4 + rand.N(every/2)): // spread, so that nodes started together do not move in step
		case <-ctx.Done():
			return nil
		}
	}
}

// maxUntold bounds what is kept of that; the newest counts.
const maxUntold = 16

// issue returns what this node, as its organisation's issuer, has to sign now. A
// node that does not answer is not renewed: it may be gone for good.
func (r *registrar) issue(ctx context.Context, now time.Time) [][]byte {
	alive := func(member string) bool {
		id, err := peer.Decode(member)
		return err == nil && r.pull(ctx, id) == nil
	}
	documents, err := r.member.Due(now, alive)
	if err != nil {
		r.log.Error("certificates not renewed", "error", err)
	}
	return documents
}

// take enters a document that came by broadcast.
func (r *registrar) take(ctx context.Context, document []byte) broadcast.Verdict {
	effect, err := r.member.Add(time.Now(), document)
	if err != nil {
		r.log.Warn("document of the federation refused", "error", err)
		return broadcast.Invalid
	}
	r.act(effect)
	if effect.News {
		return broadcast.Fresh
	}
	return broadcast.Known
}

func (r *registrar) act(effect federation.Effect) {
	if effect.Expels {
		r.expelled()
	}
	if effect.Policy {
		r.renewed()
	}
}

// submit enters a document of this node's own making, and tells everybody.
func (r *registrar) submit(ctx context.Context, document []byte) error {
	effect, err := r.member.Add(time.Now(), document)
	if err != nil {
		return err
	}
	if !effect.News {
		return errors.New("nothing new: this node has that document, or a later one")
	}
	r.spread(ctx, document)
	r.act(effect)
	return nil
}

// pullAny asks one neighbour, by chance, for what is new. A node without
// neighbours has nobody to ask.
func (r *registrar) pullAny(ctx context.Context) bool {
	all := slices.Concat(r.net.Buckets()...)
	if len(all) == 0 {
		return false
	}
	to := all[rand.IntN(len(all))]
	err := r.pull(ctx, to)
	if err != nil && ctx.Err() == nil {
		r.log.Debug("neighbour not asked for news of the federation", "peer", to.String(), "error", err)
	}
	return err == nil
}

// pull asks a neighbour for all documents that came to it since the last time.
func (r *registrar) pull(ctx context.Context, from peer.ID) error {
	for range maxPages {
		r.mu.Lock()
		at := r.read[from]
		r.mu.Unlock()
		request, err := event.Encode(question{at.epoch, at.after})
		if err != nil {
			return err
		}
		data, err := r.net.Ask(ctx, from, request)
		if err != nil {
			return err
		}
		var p page
		if err := event.Decode(data, &p); err != nil {
			return fmt.Errorf("news of %s: %w", from, err)
		}
		for _, document := range p.Documents {
			effect, err := r.member.Add(time.Now(), document)
			if err != nil { // a liar, or of another mind about what has expired
				r.log.Debug("document of the federation refused", "from", from.String(), "error", err)
			}
			r.act(effect)
		}
		r.note(from, mark{p.Epoch, p.Next})
		if len(p.Documents) == 0 {
			return nil
		}
	}
	return nil
}

// maxMarks bounds the neighbours whose place is remembered; a forgotten one is
// read from the beginning.
const maxMarks = 1024

func (r *registrar) note(from peer.ID, at mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.read) >= maxMarks {
		clear(r.read)
	}
	r.read[from] = at
}

// answer is the other side of pull.
func (r *registrar) answer(_ context.Context, _ peer.ID, request []byte) ([]byte, error) {
	var q question
	if err := event.Decode(request, &q); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	if q.Epoch != r.epoch {
		q.After = 0
	}
	documents, next := r.member.After(q.After, maxPage)
	return event.Encode(page{r.epoch, next, documents})
}
