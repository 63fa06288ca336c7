// Package attacker makes real connections to real SSH servers, in the patterns
// that paper 002 (section IV) saw: what is attacked, in which order, and from
// where is data; Run does it.
package attacker

import (
	"context"
	"net/netip"
	"time"
)

// Step is one connection.
type Step struct {
	// Round numbers the passes over the hosts: who has given no answer is left
	// alone for the rest of a round.
	Round  int
	Source netip.Addr
	Target netip.AddrPort
	// User and Passwords are tried, one after the other on one connection;
	// without a user the connection is opened and closed.
	User      string   `json:",omitempty"`
	Passwords []string `json:",omitempty"`
	Pause     time.Duration
}

// Attempt is what became of a step.
type Attempt struct {
	Step
	At      time.Time
	Outcome Outcome
}

// Outcome is how a connection ended, as the one who made it sees it.
type Outcome string

const (
	LetIn    Outcome = "let in"    // logged in
	Refused  Outcome = "refused"   // connected, and no password was right
	Open     Outcome = "open"      // connected, and hung up: a scan
	Closed   Outcome = "closed"    // nothing listens on that port
	NoAnswer Outcome = "no answer" // packets vanish
	CutOff   Outcome = "cut off"   // packets vanish in the middle of a connection
)

// Stopped tells that packets did not come through.
func (o Outcome) Stopped() bool { return o == NoAnswer || o == CutOff }

// Run takes the steps one after the other and reports each attempt. An error is
// the attacker's own: a source address it does not have.
func Run(ctx context.Context, steps []Step, report func(Attempt) error) error {
	return run(ctx, steps, try, report)
}

func run(ctx context.Context, steps []Step, try func(context.Context, Step) (Outcome, error), report func(Attempt) error) error {
	type host struct {
		round          int
		source, target netip.Addr
	}
	silent := map[host]bool{}
	for _, s := range steps {
		h := host{s.Round, s.Source, s.Target.Addr()}
		if silent[h] {
			continue
		}
		a := Attempt{Step: s, At: time.Now()}
		var err error
		if a.Outcome, err = try(ctx, s); err != nil {
			return err
		}
		silent[h] = a.Outcome.Stopped()
		if err := report(a); err != nil {
			return err
		}
		select {
		case <-time.After(s.Pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
