package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// errNewPolicy ends a node that begins anew. The evidence is rebuilt from the
// archive under the new rules, as after any restart.
var errNewPolicy = errors.New("the federation has a new policy")

// passOn is for how long a node goes on under the old policy when it has a new
// one, or twice as long: it tells others before it ends its streams, and not all
// are away at once.
const passOn = 2 * time.Second

// renew waits for a new policy, and ends the node when that has been passed on.
func (n *Node) renew(ctx context.Context) error {
	select {
	case <-n.policies:
	case <-ctx.Done():
		return nil
	}
	if !sleep(ctx, passOn+rand.N(passOn)) {
		return nil
	}
	// A policy that is not on the disk would be forgotten over the new beginning.
	for n.federation.Keep() != nil {
		if !sleep(ctx, passOn) {
			return nil
		}
	}
	return errNewPolicy
}

// notify leaves a signal for whoever waits for one, or will.
func notify(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default: // one is enough
	}
}
