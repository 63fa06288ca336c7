package node

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// membership is who this node is, and who may say what.
type membership interface {
	Name() string
	Member() string
	Organisation(member string) string
	// Votes says whether a member's evidence counts for others.
	Votes(now time.Time, member string) bool
	// Refused says why a member's word does not count now, or nil.
	Refused(now time.Time, member string) error
	Seal(body []byte) (event.Sealed, error)
	// Verify's error wraps federation.ErrUnknown where the signer's certificate
	// has to be fetched first.
	Verify(now time.Time, s event.Sealed) error
	Salts(t time.Time, overlap time.Duration) [][]byte
}

// errClock is evidence of the future.
var errClock = errors.New("the clock of that member or of this one is wrong")

// testify checks a sealed report as every receiver must, but for its signature:
// federation, author and freshness.
func testify(member membership, sealed event.Sealed, now time.Time) (event.Report, error) {
	report, err := event.DecodeReport(sealed.Body)
	if err != nil {
		return report, err
	}
	switch {
	case report.Federation != member.Name():
		return report, fmt.Errorf("report of federation %.64q, this is %q", report.Federation, member.Name())
	case report.Member != sealed.Signer:
		return report, fmt.Errorf("report of %.64q is signed by %.64q", report.Member, sealed.Signer)
	}
	for _, t := range report.Tallies {
		if t.LastTime().After(now.Add(clockSkew)) {
			return report, fmt.Errorf("report of %s on %s: %w: its evidence of %s is %s ahead of this host's clock", report.Member, report.Key, errClock,
				t.LastTime().UTC().Format(time.RFC3339), t.LastTime().Sub(now).Round(time.Second))
		}
	}
	return report, nil
}

// verify checks an alert's signatures and works the verdict out anew from the
// evidence that it carries. Nothing else in the alert is believed.
func (a *actor) verify(alert event.Alert, now time.Time) (correlate.Finding, error) {
	if alert.Federation != a.member.Name() {
		return correlate.Finding{}, fmt.Errorf("alert of federation %.64q", alert.Federation)
	}
	if err := a.signed(now, alert.Evidence); err != nil {
		return correlate.Finding{}, err
	}
	verdict, err := a.conclude(alert, now)
	switch {
	case err != nil:
		return verdict, err
	case verdict.Episode() != alert.Episode:
		return verdict, fmt.Errorf("episode %d, the evidence is of %d", alert.Episode, verdict.Episode())
	case verdict.Agreed.Before(now.Add(-verdict.Rule.Federation.Timespan)):
		return verdict, fmt.Errorf("the quorum's evidence ended at %s: too old", verdict.Agreed)
	}
	return verdict, nil
}

// conclude is the verdict of the evidence that an alert carries, whose signatures
// have been verified, and that evidence.
func (a *actor) conclude(alert event.Alert, now time.Time) (correlate.Finding, error) {
	said := make([]correlate.Testimony, 0, len(alert.Evidence))
	for _, sealed := range alert.Evidence {
		report, err := testify(a.member, sealed, now)
		if err != nil {
			return correlate.Finding{}, err
		}
		if report.Key != alert.Key {
			return correlate.Finding{}, fmt.Errorf("evidence on %s in an alert on %s", report.Key, alert.Key)
		}
		said = append(said, correlate.Testimony{
			Organisation: a.member.Organisation(report.Member), Member: report.Member,
			Tallies: report.Tallies, Sealed: sealed, Mute: !a.member.Votes(now, report.Member),
		})
	}
	scope, err := scopeOf(alert, said)
	if err != nil {
		return correlate.Finding{}, err
	}
	verdict, ok := a.rules.JudgeRule(alert.Rule, scope, alert.Key, said)
	if !ok {
		return correlate.Finding{}, errors.New("the evidence does not cross the rule's threshold")
	}
	return correlate.Finding{Verdict: verdict, Evidence: said}, nil
}

// signed verifies signatures, on all cores when there are several.
func (a *actor) signed(now time.Time, evidence []event.Sealed) error {
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for _, sealed := range evidence {
		all.Go(func() error { return a.member.Verify(now, sealed) })
	}
	return all.Wait()
}

// scopeOf is on whose evidence an alert says that it rests; an error if it does not.
func scopeOf(alert event.Alert, said []correlate.Testimony) (correlate.Scope, error) {
	for _, t := range said {
		switch {
		case alert.Organisation == "" && t.Mute:
			return "", fmt.Errorf("evidence of %s, whose organisation %q has no vote", t.Member, t.Organisation)
		case alert.Organisation != "" && t.Organisation != alert.Organisation:
			return "", fmt.Errorf("evidence of organisation %q in an alert of %q alone", t.Organisation, alert.Organisation)
		}
	}
	if alert.Organisation == "" {
		return correlate.Federation, nil
	}
	return correlate.Home, nil
}

// attackID names an attack in one episode for a participant: what its own
// organisation concludes, what the federation does, and warnings of others are one
// alert to it.
func attackID(federation string, v correlate.Verdict) string {
	alert := v.Alert(federation, nil)
	alert.Organisation = ""
	return alert.ID()
}

// stands reports whether an alert's evidence would still be enough without that of
// members who are out: who is revoked, or has proved its own fault.
func (a *actor) stands(alert event.Alert, now time.Time) bool {
	all := len(alert.Evidence)
	alert.Evidence = slices.DeleteFunc(slices.Clone(alert.Evidence), func(s event.Sealed) bool {
		err := a.member.Verify(now, s)
		return errors.Is(err, federation.ErrRevoked) || errors.Is(err, federation.ErrFaulty)
	})
	if len(alert.Evidence) == all {
		return true
	}
	_, err := a.conclude(alert, now)
	return err == nil
}

// proves is stands for an alert as it was kept. One that cannot be read proves nothing.
func (a *actor) proves(proof []byte, now time.Time) bool {
	alert, err := event.DecodeAlert(proof)
	return err == nil && a.stands(alert, now)
}
