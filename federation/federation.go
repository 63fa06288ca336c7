// Package federation says who is a member, of which organisation, and what all
// members have agreed on; it signs and verifies what members say.
//
// A federation is a root key that lies offline. The root signs organisations,
// an organisation signs its nodes, and both can be revoked by signed lists.
// Certificates, lists, the policy, statements about their freshness and proofs
// of fault are documents: each verifies by itself, a newer one replaces the
// older, and what a set of documents means does not depend on the order in
// which it arrived. A Member holds them for one node; it owns no goroutine and
// no clock. Open is the membership of a lab overlay without any of this.
package federation

import (
	"errors"
	"time"
)

// Why a statement does not count. All of them come wrapped, with the name of
// who made it and the remedy.
var (
	ErrSignature     = errors.New("signature does not verify")
	ErrUnknown       = errors.New("no certificate known here") // fetch the signer's chain and try again
	ErrExpired       = errors.New("expired")
	ErrEarly         = errors.New("not yet valid")
	ErrRevoked       = errors.New("revoked")
	ErrFaulty        = errors.New("proven faulty")
	ErrContradiction = errors.New("contradicts one of the same version")
	ErrQuota         = errors.New("quota used up")
	ErrFull          = errors.New("no room")
)

// Retry says whether a document that was refused may be right later: when its
// time has come, or when there is room. It has to be fetched again then.
func Retry(err error) bool {
	return errors.Is(err, ErrEarly) || errors.Is(err, ErrQuota) || errors.Is(err, ErrFull)
}

const (
	// maxCertificate is the largest signed body of a certificate in bytes.
	maxCertificate = 1 << 10
	// MaxDocument is the largest encoded document in bytes: one fits into an
	// answer of the overlay, which has 56 KiB.
	MaxDocument = 55 << 10
	// MaxGreeting is the largest hello, redemption, or answer to either: what
	// the overlay reads of a stranger.
	MaxGreeting = 8 << 10

	// MaxMembers bounds the nodes that one federation may have.
	MaxMembers = 4096
	// MaxOrganisations bounds the organisations that the root may admit.
	MaxOrganisations = 1024
	maxFaults        = 64   // of one organisation
	maxDeposits      = 1000 // invitations that wait for redemption at one node
)

const (
	day = 24 * time.Hour
	// skew is how far clocks of members may differ.
	skew = 2 * time.Minute
	// YearAtMost is the longest life of an organisation's certificate.
	YearAtMost = 366 * day
	// nodeLife is the life of a node's certificate; it is renewed at two thirds.
	nodeLife = 7 * day
	// chainEvery is how far the beginnings of a node's certificates are apart at
	// least; honest ones are days, unless the organisation's has changed.
	chainEvery = time.Hour
	// freshFor is how long a word on the root's list counts.
	freshFor = day
	// absence is how long expired certificates are remembered, so that the
	// organisation can renew a node that was away.
	absence = 30 * day
)
