package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// mark is how far a neighbour's documents have been read.
type mark struct{ epoch, after uint64 }

// question asks a neighbour for the documents that came to it after some number,
// unless it has the same ones as the asker.
type question struct {
	Epoch uint64 `cbor:"1,keyasint,omitempty"` // the neighbour's run that the number is of
	After uint64 `cbor:"2,keyasint,omitempty"`
	Have  []byte `cbor:"3,keyasint,omitempty"` // the digest of the asker's documents
}

// page answers a question. There may be more when it holds any document.
type page struct {
	Epoch     uint64   `cbor:"1,keyasint"`
	Next      uint64   `cbor:"2,keyasint"`
	Documents [][]byte `cbor:"3,keyasint,omitempty"`
}

const (
	// maxPages bounds what is read of one neighbour at a time.
	maxPages = 1000
	// maxQuiet is how many of them may tell nothing new.
	maxQuiet = 16
	// maxRefused is how many documents of a neighbour may be wrong. Of one who is of
	// another mind about what has expired some are; each costs a verification.
	maxRefused = 100

	pullTimeout  = 30 * time.Second
	fetchTimeout = 3 * time.Second
	maxFetching  = 4
)

// pullAny asks one neighbour, by chance, for what is new. A node without
// neighbours has nobody to ask.
func (r *registrar) pullAny(ctx context.Context) bool {
	all := slices.Concat(r.net.Buckets()...)
	if len(all) == 0 {
		return false
	}
	to := all[rand.IntN(len(all))]
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	err := r.pull(ctx, to)
	if err != nil && ctx.Err() == nil {
		r.log.Debug("neighbour not asked for news of the federation", "peer", to.String(), "error", err)
	}
	return err == nil
}

// fetch is pull for somebody who waits: for who has sent what a stranger signed. Few
// are under way at a time, because liars send such things to be asked, and then
// take their time.
func (r *registrar) fetch(ctx context.Context, from peer.ID) error {
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
	default:
		return errors.New("too many certificates are being fetched")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return r.pull(ctx, from)
}

// pull asks a neighbour for all documents that came to it since the last time. It
// ends after some pages without news: who has none cannot keep this node busy.
func (r *registrar) pull(ctx context.Context, from peer.ID) error {
	r.mu.Lock()
	at := r.read[from]
	r.mu.Unlock()
	unsure := (*mark)(nil) // before the first page with a document that may be right later
	refused, quiet := 0, 0
	for range maxPages {
		p, err := r.ask(ctx, from, at)
		if err != nil {
			return err
		}
		news := false
		for _, document := range p.Documents {
			effect, err := r.member.Add(time.Now(), document)
			r.act(effect)
			news = news || effect.News
			if federation.Retry(err) && unsure == nil {
				before := at
				unsure = &before
			}
			if err == nil {
				continue
			}
			if errors.Is(err, federation.ErrEarly) {
				r.refusals.Do(func() { r.log.Warn("document of the federation refused: is this host's clock behind?", "error", err) })
			}
			r.log.Debug("document of the federation refused", "from", from.String(), "error", err)
			if refused++; refused > maxRefused {
				return fmt.Errorf("news of %s: more than %d documents are wrong, the last: %w", from, maxRefused, err)
			}
		}
		if quiet++; news {
			quiet = 0
		}
		next := mark{p.Epoch, p.Next}
		over := next == at || quiet == maxQuiet || len(p.Documents) == 0
		at = next
		if over {
			break
		}
	}
	if unsure != nil {
		at = *unsure
	}
	r.note(from, at)
	return nil
}

// ask asks a neighbour for one page.
func (r *registrar) ask(ctx context.Context, from peer.ID, at mark) (p page, err error) {
	have, _ := r.member.Digest()
	request, err := event.Encode(question{at.epoch, at.after, have[:]})
	if err != nil {
		return p, err
	}
	data, err := r.net.Ask(ctx, from, append([]byte{documentQuestion}, request...))
	if err != nil {
		return p, err
	}
	if err := event.Decode(data, &p); err != nil {
		return p, fmt.Errorf("news of %s: %w", from, err)
	}
	return p, nil
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
	if have, next := r.member.Digest(); bytes.Equal(q.Have, have[:]) {
		return event.Encode(page{Epoch: r.epoch, Next: next})
	}
	documents, next := r.member.After(q.After, federation.MaxDocument)
	return event.Encode(page{r.epoch, next, documents})
}
