package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/federation"
)

const (
	pullEvery = time.Minute     // as often as a neighbour is asked for news of the federation
	pullFirst = time.Second     // until one has answered
	settling  = 5 * time.Second // from then on, until a table holds enough to tell all of something
	lastDay   = 24 * time.Hour  // of a certificate, which is renewed two days and more before its end
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

	refusals rate.Sometimes // logged
	fetching chan struct{}  // one for each fetch under way

	mu   sync.Mutex
	read map[peer.ID]mark
	// unrenewed is why certificates are not renewed, for people; empty if they are.
	unrenewed string
	// epoch names this run: the order in which documents came is another one in the next.
	epoch uint64
}

// neighbours is what the registrar needs of the overlay.
type neighbours interface {
	Ask(ctx context.Context, to peer.ID, request []byte) ([]byte, error)
	Buckets() [][]peer.ID
}

// run asks, renews and looks who is out, until ctx ends.
func (r *registrar) run(ctx context.Context) error {
	every, answered, doubted := pullFirst, 0, false
	for {
		if doubt := r.doubt(time.Now()); doubted != (doubt != "") { // its text grows older each minute
			r.say(doubt)
			doubted = !doubted
		}
		issued, err := r.member.Due(time.Now(), r.alive(ctx))
		r.renewing(errors.Join(err, r.showUp(ctx, time.Now())))
		if r.pullAny(ctx) {
			switch answered++; answered {
			case 1:
				every = settling
			case 2:
				every = pullEvery
				issued = r.member.Introduction()
			}
		}
		if answered > 1 { // before, few would hear of it; Introduction has it
			for _, document := range issued {
				r.spread(ctx, document)
			}
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

// say tells the operator that others' evidence causes no blocks, or does again.
func (r *registrar) say(doubt string) {
	if doubt == "" {
		r.log.Info("evidence of others causes blocks again")
		return
	}
	r.log.Warn("evidence of others causes no blocks by itself", "why", doubt)
}

// alive asks members of one's own organisation whether they are.
func (r *registrar) alive(ctx context.Context) func(member string) bool {
	return func(member string) bool {
		id, err := peer.Decode(member)
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		return err == nil && r.pull(ctx, id) == nil
	}
}

// showUp connects to the node that is to renew this one's certificate, and says why
// that may not happen.
func (r *registrar) showUp(ctx context.Context, now time.Time) error {
	id, ends := r.member.Certifier(now)
	if ends.IsZero() {
		return nil
	}
	trouble := func(why string) error {
		return fmt.Errorf("that of this node ends at %s, and %s", ends.UTC().Format(time.RFC3339), why)
	}
	certifier, err := peer.Decode(id)
	if err != nil {
		return trouble("no node that could renew it is a member now: start the first one of its organisation")
	}
	asked, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	switch err := r.pull(asked, certifier); {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return trouble(fmt.Sprintf("node %s, which renews it, does not answer (%v): start that, or look why it cannot be reached", id, err))
	case ends.Sub(now) < lastDay:
		return trouble(fmt.Sprintf("node %s, which renews it, answers and does not: look at `komondor status` there", id))
	}
	return nil
}

// renewing tells the operator that certificates are not renewed, or are again.
func (r *registrar) renewing(err error) {
	r.mu.Lock()
	was := r.unrenewed
	r.unrenewed = ""
	if err != nil {
		r.unrenewed = err.Error()
	}
	r.mu.Unlock()
	switch {
	case err != nil && was == "":
		r.log.Error("certificates not renewed", "error", err)
	case err == nil && was != "":
		r.log.Info("certificates are renewed again")
	}
}

// stuck is why certificates are not renewed; empty if they are.
func (r *registrar) stuck() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unrenewed
}

// take enters a document that came by broadcast.
func (r *registrar) take(ctx context.Context, document []byte) broadcast.Verdict {
	effect, err := r.member.Add(time.Now(), document)
	if err != nil {
		r.refusals.Do(func() { r.log.Warn("document of the federation refused", "error", err) })
		return broadcast.Invalid
	}
	r.act(effect)
	if effect.News || r.member.Holds(document) {
		return broadcast.Fresh // others may lack what this node has pulled already
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
	if !effect.News && !effect.Quiet {
		return errors.New("nothing new: this node has that document, or a later one")
	}
	r.spread(ctx, document)
	r.act(effect)
	return nil
}

// doubt is why evidence of others must not block by itself: this node is out, or a
// revocation may have been missed.
func (r *registrar) doubt(now time.Time) string {
	if err := r.member.Refused(now, r.member.Member()); err != nil {
		return "this node has no part in the federation any more: " + err.Error()
	}
	if _, err := r.member.Fresh(now); err != nil {
		return err.Error()
	}
	return ""
}
