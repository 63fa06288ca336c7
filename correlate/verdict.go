package correlate

import (
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
)

// Verdict is what a rule concludes about a key.
type Verdict struct {
	Rule  Rule
	Scope Scope
	Key   event.Key
	// Organisation is whose evidence it is, at home.
	Organisation string
	// Score is in the rule's unit: points, or distinct values. It is the whole
	// evidence's, not capped by organisation as for the threshold.
	Score int
	// Level is the rule's, or the highest of its levels that the evidence reaches.
	Level   string
	Count   uint64 // observations
	Targets int    // distinct ones, where the key's evidence counts them
	Members []string
	// First and Last bound the evidence that counted, for people to see.
	First, Last time.Time
	// Agreed is the time up to which as many organisations as the quorum have
	// evidence, against the same offender where there are any. Freshness and
	// episode are reckoned from it: fewer organisations than the quorum cannot keep
	// an attack alive, nor can a replay. It is zero without a quorum (Measure).
	Agreed time.Time
	// Offenders are the sources that cross the threshold and the quorum each by
	// itself, on evidence with proof of source; for a rule that Crowds, the prefixes
	// that do. Others are shown, not blocked.
	Offenders []netip.Prefix
	agreedOn  map[netip.Prefix]time.Time
}

// AgreedOn is Agreed for one of the offenders, by the evidence that proves it. Its
// block is reckoned from it: evidence against others does not extend it.
func (v Verdict) AgreedOn(offender netip.Prefix) time.Time { return v.agreedOn[offender] }

// Episode numbers the rule's federation timespans since 1970.
func (v Verdict) Episode() int64 {
	return v.Agreed.Unix() / int64(v.Rule.Federation.Timespan/time.Second)
}

// Alert is the verdict as an alert with its evidence.
func (v Verdict) Alert(federation string, evidence []event.Sealed) event.Alert {
	return event.Alert{Federation: federation, Rule: v.Rule.Name, Key: v.Key, Episode: v.Episode(), Evidence: evidence, Organisation: v.Organisation}
}

// renewal is how much newer evidence must be to be told again: half of a first
// block, so that an attacker who goes on stays blocked.
const renewal = 5 * time.Minute

// louder is how many times as much evidence must be to be told again before that:
// each telling is a broadcast to everybody, and blocks nobody anew.
const louder = 10

// Supersedes reports whether v says enough more than an older verdict of the
// same alert to be told again: by its evidence, never by a claimed number.
func (v Verdict) Supersedes(old Verdict) bool { return v.gist().supersedes(old.gist()) }

// gist is what of a verdict decides whether another one supersedes it.
type gist struct {
	scope            Scope
	offenders, score int
	agreed           int64 // Unix seconds
	rank             int
}

func (v Verdict) gist() gist {
	return gist{v.Scope, len(v.Offenders), v.Score, v.Agreed.Unix(), v.rank()}
}

func (g gist) supersedes(old gist) bool {
	switch {
	case g.scope != old.scope:
		return g.scope == Federation
	case g.offenders > old.offenders, g.agreed-old.agreed >= int64(renewal/time.Second):
		return true
	}
	// A verdict that names fewer must not take the place of one that names more.
	if g.offenders < old.offenders {
		return false
	}
	// Nor one whose evidence ends long before, or two would take each other's place in turn.
	return g.rank > old.rank && old.agreed-g.agreed < int64(renewal/time.Second) || g.rank == old.rank && g.score >= louder*old.score
}
