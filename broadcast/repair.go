package broadcast

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast/tree"
	"github.com/komondor/komondor/event"
)

const (
	// calm is the mean time between two rounds while nothing is missed: an answer of
	// a neighbour without news has some twenty bytes.
	calm = 30 * time.Second
	// haste is that after a change of the neighbourhood, or news, for hastyRounds
	// rounds: when a partition has healed, each half has what the other lacks, and it
	// spreads like a rumour, in some log2 N rounds.
	haste       = time.Second
	hastyRounds = 4
	// stir is when the next round is due, at the latest, after something has come by
	// broadcast: where one comes, another may have been lost.
	stir = 3 * time.Second
	// askedAtOnce is how many neighbours a round asks, each of another bucket.
	askedAtOnce = 2

	pullTimeout = 20 * time.Second
	// A round that waits long for one neighbour helps nobody: an answer is a list, short
	// mostly, or some 48 KiB of payloads.
	listTimeout  = 2 * time.Second
	fetchTimeout = 4 * time.Second
	// maxListed is how many ids an answer lists, and maxWanted how many payloads a
	// question names. As many as fit are given.
	maxListed = 1024
	maxWanted = 256
	// maxAnswer leaves an answer below what a question's answer may have.
	maxAnswer = 48 << 10
	// maxJunk is how many payloads of one neighbour may be wrong before it is left
	// alone for this round. Of one with another idea of what is too old some are.
	maxJunk  = 16
	maxMarks = 1024
)

// question asks either for the ids of what came after a number, or for payloads.
type question struct {
	Epoch uint64   `cbor:"1,keyasint"` // of the one who is asked
	After uint64   `cbor:"2,keyasint"`
	Want  [][]byte `cbor:"3,keyasint,omitempty"` // ids
}

// answer lists ids up to the number Next, or has payloads that were wanted.
type answer struct {
	Epoch    uint64   `cbor:"1,keyasint"` // numbers of another epoch mean nothing
	Next     uint64   `cbor:"2,keyasint"`
	IDs      [][]byte `cbor:"3,keyasint,omitempty"`
	Payloads [][]byte `cbor:"4,keyasint,omitempty"`
}

// mark is how far a neighbour has been read.
type mark struct{ epoch, number uint64 }

// Hurry has Repair ask soon: the neighbourhood has changed.
func (b *Broadcast) Hurry() {
	select {
	case b.hurry <- struct{}{}:
	default: // it is in a hurry already
	}
}

// Repair asks neighbours, chosen by chance, for what they have and this node has
// missed, until ctx ends. What comes is judged like what is broadcast, and forwarded
// to nobody: who lacks it asks as well.
func (b *Broadcast) Repair(ctx context.Context) {
	hasty := hastyRounds // as after every start
	for {
		wait := calm
		if hasty > 0 {
			wait = haste
			hasty--
		}
		hurried, err := b.pause(ctx, wait)
		if err != nil {
			return
		}
		if b.round(ctx) || hurried {
			hasty = hastyRounds
		}
	}
}

// pause waits, but only for a moment from when there is a hurry.
func (b *Broadcast) pause(ctx context.Context, wait time.Duration) (hurried bool, err error) {
	spread := func(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) } // so that nodes do not move in step
	due := time.Now().Add(spread(wait))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return hurried, nil
		case <-b.hurry:
			hurried = true
			due = advance(timer, due, spread(haste))
		case <-b.stirred:
			due = advance(timer, due, spread(stir))
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// advance has a timer end after a time at the latest, and returns when it will.
func advance(timer *time.Timer, due time.Time, within time.Duration) time.Time {
	if soon := time.Now().Add(within); soon.Before(due) {
		timer.Reset(within)
		return soon
	}
	return due
}

// round asks some neighbours, and reports whether they had news.
func (b *Broadcast) round(ctx context.Context) (news bool) {
	buckets := b.net.Buckets()
	tree.Delegates(nil, buckets, len(buckets))
	asked := 0
	for _, contacts := range buckets {
		if asked == askedAtOnce || ctx.Err() != nil {
			break
		}
		if len(contacts) == 0 {
			continue
		}
		asked++
		pulled, _ := b.pull(ctx, contacts[rand.IntN(len(contacts))]) // another one next time
		news = news || pulled > 0
	}
	return news
}

// pull takes what a neighbour has and this node lacks, and returns how much of it was
// news.
func (b *Broadcast) pull(ctx context.Context, from peer.ID) (news int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	at := b.marks[from]
	for range maxKept/maxListed + 1 {
		var page answer
		if page, err = b.ask(ctx, from, question{Epoch: at.epoch, After: at.number}); err != nil {
			return news, err
		}
		n, err := b.fetch(ctx, from, b.missing(page.IDs))
		news += n
		if err != nil {
			return news, err
		}
		next := mark{page.Epoch, page.Next}
		over := next == at || len(page.IDs) < maxListed
		at = next
		if len(b.marks) >= maxMarks {
			clear(b.marks)
		}
		b.marks[from] = at
		if over {
			break
		}
	}
	return news, nil
}

// missing are those of the ids that this node neither has nor has seen of late.
func (b *Broadcast) missing(ids [][]byte) (lacking [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range ids[:min(len(ids), maxListed)] {
		if len(x) != len(id{}) || b.seen.get(id(x)) != nil {
			continue
		}
		if _, kept := b.shelf.get(id(x)); !kept { // what is kept may outlive what is seen
			lacking = append(lacking, x)
		}
	}
	return lacking
}

// fetch asks for payloads and judges them. It ends where the neighbour gives nothing
// more: what it has listed it may have replaced since.
func (b *Broadcast) fetch(ctx context.Context, from peer.ID, want [][]byte) (news int, err error) {
	junk := 0
	for len(want) > 0 {
		now := want[:min(len(want), maxWanted)]
		page, err := b.ask(ctx, from, question{Want: now})
		if err != nil {
			return news, err
		}
		if len(page.Payloads) == 0 { // nothing of these is left
			want = want[len(now):]
			continue
		}
		asked := map[id]bool{}
		for _, x := range now {
			asked[id(x)] = true
		}
		for _, payload := range page.Payloads {
			x := idOf(payload)
			if !asked[x] || len(payload) == 0 {
				return news, fmt.Errorf("%s answers with what it was not asked for", from)
			}
			delete(asked, x)
			switch b.take(ctx, from, payload) {
			case Fresh:
				news++
			case Invalid:
				if junk++; junk > maxJunk {
					return news, fmt.Errorf("more than %d payloads of %s are wrong", maxJunk, from)
				}
			}
		}
		// Payloads come in the order of the question: what was passed over is gone.
		last := idOf(page.Payloads[len(page.Payloads)-1])
		for i, x := range now {
			if id(x) == last {
				want = want[i+1:]
				break
			}
		}
	}
	return news, nil
}

// take judges a payload that came in answer, unless it has come otherwise.
func (b *Broadcast) take(ctx context.Context, from peer.ID, payload []byte) Verdict {
	e, first := b.look(idOf(payload))
	if !first {
		return Known
	}
	b.verify(ctx, from, frame{payload: payload}, e)
	if e.verdict == Fresh && !e.kept {
		return Known // of two equally good ones this node has had the other
	}
	if e.verdict == Fresh {
		b.count.repaired.Add(1)
	}
	return e.verdict
}

func (b *Broadcast) ask(ctx context.Context, from peer.ID, q question) (a answer, err error) {
	request, err := event.Encode(q)
	if err != nil {
		return a, err
	}
	b.count.asked.Add(1)
	limit := listTimeout
	if len(q.Want) > 0 {
		limit = fetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	data, err := b.net.Ask(ctx, from, request)
	if err != nil {
		return a, err
	}
	if err := event.Decode(data, &a); err != nil {
		return a, fmt.Errorf("what %s has: %w", from, err)
	}
	return a, nil
}

var errQuestion = errors.New("more wanted than one question may name")

// Answer is the other side of Repair.
func (b *Broadcast) Answer(request []byte) ([]byte, error) {
	var q question
	if err := event.Decode(request, &q); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	if len(q.Want) > maxWanted {
		return nil, errQuestion
	}
	a := answer{Epoch: b.epoch}
	b.mu.Lock()
	if len(q.Want) == 0 {
		if q.Epoch != b.epoch {
			q.After = 0
		}
		var ids []id
		ids, a.Next = b.shelf.after(q.After, maxListed, time.Now())
		for _, x := range ids {
			a.IDs = append(a.IDs, x[:])
		}
	}
	size := 0
	for _, x := range q.Want {
		if len(x) != len(id{}) {
			continue
		}
		payload, ok := b.shelf.get(id(x))
		if !ok {
			continue
		}
		if size += len(payload); size > maxAnswer && len(a.Payloads) > 0 {
			break
		}
		a.Payloads = append(a.Payloads, payload)
	}
	b.mu.Unlock()
	return event.Encode(a)
}
