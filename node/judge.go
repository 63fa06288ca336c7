package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// judge is the second part of every node: as a collector it takes the reports on
// the keys that it is near to, checks and gathers them, and raises an alert when
// they cross a rule's threshold.
//
//	overlay ─Sealed→ verify ─Report→ collect ─Verdict→ Alert + evidence ─→ act, broadcast
type judge struct {
	log    *slog.Logger
	rules  correlate.Rules
	member membership
	book   *correlate.Book // what has been told over the overlay
	rank   func(hash [32]byte) int
	near   func(hash [32]byte) bool      // whether it may well be a collector there
	raise  func(context.Context, []byte) // acts at home and tells everybody
	// heard says whether an alert that others told is there to be told once more, and
	// repeat does so.
	heard  func(id string) bool
	repeat func(ctx context.Context, id string)
	// freed says which offenders a person has freed here, and when.
	freed func(scope correlate.Scope, offenders ...netip.Prefix) map[netip.Prefix]time.Time
	// accuse is told of a member that has contradicted itself.
	accuse   func(context.Context, *correlate.Contradiction)
	counters *counters

	mu        sync.Mutex
	collector *correlate.Collector
	poorer    []event.Key     // see again
	waiting   map[string]bool // attacks of which a replica of lower rank may raise the alert first
	weighed   correlate.Book  // verdicts that evidence has been chosen for
	replicas  sync.WaitGroup
	clocks    rate.Sometimes // logged
}

// errEvidence is refused evidence: the sender is wrong, trying again is useless.
var errEvidence = errors.New("evidence refused")

// receive takes a sealed report for the key at hash, which the peer from has
// brought. What it says of others is verified at once. What it says itself needs no
// signature to be counted, since the connection shows who says it: that is verified
// when something is told that rests on it, which for most reports is never. Receive
// is called concurrently; returning nil acknowledges the report.
func (j *judge) receive(ctx context.Context, from string, hash [32]byte, payload []byte) error {
	now := time.Now()
	var sealed event.Sealed
	if err := event.Decode(payload, &sealed); err != nil {
		return j.refuse(fmt.Errorf("decode sealed report: %w", err))
	}
	report, err := testify(j.member, sealed, now)
	own := from == j.member.Member()
	switch {
	case err != nil:
	case own:
	case from == sealed.Signer && len(sealed.Signature) == ed25519.SignatureSize:
		err = j.member.Refused(now, from)
	default:
		err = j.member.Verify(now, sealed)
	}
	if err != nil {
		return j.refuse(err)
	}
	if !j.belongs(report.Key, hash, now) {
		return j.refuse(fmt.Errorf("report on %s: its key is elsewhere", report.Key))
	}
	// What others have signed is to be had for nothing: without this whoever collects
	// it could have it fill the room of its authors at nodes that it is not meant for.
	if from != sealed.Signer && !j.near(hash) {
		return j.refuse(fmt.Errorf("report of %s handed on by %s: this node is not near its key", sealed.Signer, from))
	}
	by := correlate.Author{Organisation: j.member.Organisation(report.Member), Mute: !j.member.Votes(now, report.Member), Verified: own || from != sealed.Signer}
	j.mu.Lock()
	fresh, err := j.collector.Put(report, by, sealed)
	j.mu.Unlock()
	var proof *correlate.Contradiction
	if errors.As(err, &proof) && j.member.Verify(now, proof.First) == nil && j.member.Verify(now, proof.Second) == nil {
		j.accuse(ctx, proof)
	}
	if err != nil {
		return j.refuse(err)
	}
	j.counters.collected.Add(1)
	if !fresh {
		return nil
	}
	findings := j.find(now, report.Key, func(v correlate.Verdict) bool {
		return !j.waiting[attackID(j.member.Name(), v)] && j.tellable(v) && j.weigh(v)
	})
	for _, f := range findings {
		j.consider(ctx, f, hash)
	}
	if source, err := report.Key.Source(); err == nil {
		j.lookAgain(ctx, now, report.Key, source)
	}
	return nil
}

// lookAgain tells of a source that a person has freed here, if what has come since crosses a threshold by itself: what
// was told before does not put that off. It is news here, and wherever else somebody has freed it.
func (j *judge) lookAgain(ctx context.Context, now time.Time, key event.Key, source netip.Prefix) {
	at, ok := j.freed(correlate.Federation, source)[source]
	if !ok {
		return
	}
	said := slices.DeleteFunc(j.reliable(now, key), func(t correlate.Testimony) bool { return t.Mute })
	later := correlate.Since(at, said)
	for _, v := range j.rules.Judge(correlate.Federation, key, later) {
		if !slices.Contains(v.Offenders, source) {
			continue
		}
		if news, _ := j.weighed.Enter(fmt.Sprint(attackID(j.member.Name(), v), at.UnixNano()), v); !news {
			continue
		}
		proof := j.rules.Smallest(v, later)
		j.tell(ctx, correlate.Finding{Verdict: v, Evidence: slices.DeleteFunc(slices.Clone(said), func(t correlate.Testimony) bool {
			return !slices.ContainsFunc(proof, func(p correlate.Testimony) bool { return p.Member == t.Member })
		})})
	}
}

func (j *judge) refuse(err error) error {
	j.counters.refused.Add(1)
	if errors.Is(err, errClock) {
		j.clocks.Do(func() { j.log.Warn("report refused: a clock is wrong, by more than two minutes", "error", err) })
	}
	j.log.Debug("report refused", "error", err)
	return fmt.Errorf("%w: %w", errEvidence, err)
}

func (j *judge) belongs(key event.Key, hash [32]byte, now time.Time) bool {
	// A sender whose clock is ahead is in the next day already.
	for _, salt := range slices.Concat(j.member.Salts(now, j.rules.Longest()), j.member.Salts(now.Add(clockSkew), 0)) {
		if key.Hash(j.member.Name(), salt) == hash {
			return true
		}
	}
	return false
}

// consider raises the alert of a finding, after the replicas that are nearer to
// the key have had their time to do it.
func (j *judge) consider(ctx context.Context, f correlate.Finding, hash [32]byte) {
	if !j.tellable(f.Verdict) {
		return
	}
	rank := j.rank(hash)
	if rank == 0 {
		j.raiseOrRepeat(ctx, f)
		return
	}
	attack := attackID(j.member.Name(), f.Verdict) // what it is judged anew for, whoever's evidence that is
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting[attack] {
		return
	}
	j.waiting[attack] = true
	j.replicas.Go(func() {
		timer := time.NewTimer(time.Duration(rank) * replicaDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		j.mu.Lock()
		delete(j.waiting, attack)
		j.mu.Unlock()
		for _, f := range j.find(time.Now(), f.Key, j.tellable) { // with what has come in meanwhile
			if ctx.Err() == nil {
				j.raiseOrRepeat(ctx, f)
			}
		}
	})
}

// raiseOrRepeat tells everybody of a finding, unless others have: then it tells what
// they told once more, because they may not have told everybody.
func (j *judge) raiseOrRepeat(ctx context.Context, f correlate.Finding) {
	if !j.untold(f.Verdict) {
		j.repeat(ctx, f.Alert(j.member.Name(), nil).ID())
		return
	}
	j.tell(ctx, f)
}

// untold reports whether a verdict says more than has been told over the overlay.
func (j *judge) untold(v correlate.Verdict) bool {
	return j.book.News(v.Alert(j.member.Name(), nil).ID(), v)
}

// tellable reports whether there is something to tell: a verdict that says more, or
// what others have told of it once more.
func (j *judge) tellable(v correlate.Verdict) bool {
	return j.untold(v) || j.heard(v.Alert(j.member.Name(), nil).ID())
}

// weigh reports whether a verdict says more than one that evidence has been chosen
// for. What an alert has room to prove may say less than its verdict does: that
// must not make every report news.
func (j *judge) weigh(v correlate.Verdict) bool {
	news, _ := j.weighed.Enter(v.Alert(j.member.Name(), nil).ID(), v)
	return news
}

func (j *judge) tell(ctx context.Context, f correlate.Finding) {
	var evidence []event.Sealed
	for _, t := range f.Evidence {
		evidence = append(evidence, t.Sealed)
	}
	// The verdict of the evidence that is carried, not of all: it is what every
	// receiver will reach.
	carried, ok := j.rules.JudgeRule(f.Rule.Name, f.Scope, f.Key, f.Evidence)
	if !ok {
		return
	}
	alert, err := event.Encode(carried.Alert(j.member.Name(), evidence))
	if err != nil || len(alert) > event.MaxAlert {
		j.log.Error("alert not raised", "rule", f.Rule.Name, "key", f.Key.String(), "bytes", len(alert), "error", err)
		return
	}
	j.counters.alertsRaised.Add(1)
	j.raise(ctx, alert)
}

// sweep forgets evidence that no rule can reach any more.
func (j *judge) sweep(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.collector.Sweep(now)
}

// expel forgets what members have said whose word no longer counts; again judges
// what is left.
func (j *judge) expel(out func(member string) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.poorer = append(j.poorer, j.collector.Expel(out)...)
}

// again judges the keys that have lost evidence by that of the others: what rested
// on it may stand without.
func (j *judge) again(ctx context.Context) {
	now := time.Now()
	j.mu.Lock()
	keys := j.poorer
	j.poorer = nil
	j.mu.Unlock()
	var findings []correlate.Finding
	for _, key := range keys {
		findings = append(findings, j.find(now, key, j.untold)...)
	}
	for _, f := range findings {
		for _, salt := range j.member.Salts(now, 0) {
			j.consider(ctx, f, f.Key.Hash(j.member.Name(), salt))
		}
	}
}

// keys are those collected, in no order.
func (j *judge) keys() []event.Key {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.AppendSeq(make([]event.Key, 0, j.collector.Len()), j.collector.Keys())
}

// versions says how new what members say about a key is.
func (j *judge) versions(key event.Key) []correlate.Version {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.collector.Versions(key)
}

// find judges a key, and verifies what the findings rest on. Who has lied loses its
// word on the key, which is judged again then: so each lie is verified once, and
// costs its author the key and this node no more than verifying it at once would.
func (j *judge) find(now time.Time, key event.Key, news func(correlate.Verdict) bool) []correlate.Finding {
	for {
		var asked []string // the alerts of verdicts that are news
		j.mu.Lock()
		findings := j.collector.Judge(key, func(v correlate.Verdict) bool {
			if !news(v) {
				return false
			}
			asked = append(asked, v.Alert(j.member.Name(), nil).ID())
			return true
		})
		j.mu.Unlock()
		honest, stands := true, map[string]bool{}
		for _, f := range findings {
			for _, t := range f.Evidence {
				if _, settled := stands[t.Member]; !settled { // by another finding
					stands[t.Member] = j.stands(now, key, t)
				}
				honest = honest && stands[t.Member]
			}
		}
		if honest {
			return findings
		}
		for _, id := range asked { // a lie may have made more of it than there is
			j.weighed.Forget(id)
		}
	}
}

// stands verifies a testimony's signature, unless it has been, and settles what
// becomes of it.
func (j *judge) stands(now time.Time, key event.Key, t correlate.Testimony) bool {
	if !t.Unverified {
		return true
	}
	verdict := correlate.Good
	if err := j.member.Verify(now, t.Sealed); err != nil {
		verdict = correlate.Void
		if errors.Is(err, federation.ErrSignature) {
			verdict = correlate.False
		}
		_ = j.refuse(err) // it has been acknowledged
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.collector.Settle(key, t, verdict)
	return verdict == correlate.Good
}

// proven returns the sealed reports under a key that wanted asks for, with their
// signatures verified: others may be told of them.
func (j *judge) proven(now time.Time, key event.Key, wanted func(member string, version uint64) bool) (reports []event.Sealed) {
	for _, t := range j.gathered(key) {
		if wanted(t.Member, t.Version) && j.stands(now, key, t) {
			reports = append(reports, t.Sealed)
		}
	}
	return reports
}

// reliable is what members say about a key, with their signatures verified.
func (j *judge) reliable(now time.Time, key event.Key) []correlate.Testimony {
	return slices.DeleteFunc(j.gathered(key), func(t correlate.Testimony) bool { return !j.stands(now, key, t) })
}

// gathered is what members say about a key, whether or not it has been verified.
func (j *judge) gathered(key event.Key) []correlate.Testimony {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.collector.Testimonies(key)
}

// load is the number of keys collected, and how often words had to be given up.
func (j *judge) load() (keys int, evicted uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.collector.Len(), j.collector.Evicted()
}
