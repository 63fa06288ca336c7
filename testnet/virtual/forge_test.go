package virtual

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// forgery is an alert that proves nothing. Each kind would be a good alert but
// for one thing.
type forgery struct {
	name string
	make func(f *forger, source string) []byte
}

// forgeries are all kinds.
func forgeries() []forgery {
	return []forgery{
		{"a bit flipped", func(f *forger, source string) []byte {
			data := f.encode(f.alert(source, f.reports(source, f.honest[:3])...))
			data[f.dice.IntN(len(data))] ^= 1 << f.dice.IntN(8)
			return data
		}},
		{"cut short", func(f *forger, source string) []byte {
			data := f.encode(f.alert(source, f.reports(source, f.honest[:3])...))
			return data[:f.dice.IntN(len(data))]
		}},
		{"signatures swapped", spoilt(func(f *forger, a *event.Alert) {
			a.Evidence[0].Signature, a.Evidence[1].Signature = a.Evidence[1].Signature, a.Evidence[0].Signature
		})},
		{"signers swapped", spoilt(func(f *forger, a *event.Alert) {
			a.Evidence[0].Signer, a.Evidence[1].Signer = a.Evidence[1].Signer, a.Evidence[0].Signer
		})},
		{"evidence twice", spoilt(func(f *forger, a *event.Alert) { a.Evidence[1] = a.Evidence[0] })},
		{"no evidence", spoilt(func(f *forger, a *event.Alert) { a.Evidence = nil })},
		{"another federation", spoilt(func(f *forger, a *event.Alert) { a.Federation = "elsewhere" })},
		{"another episode", spoilt(func(f *forger, a *event.Alert) { a.Episode++ })},
		{"another rule", spoilt(func(f *forger, a *event.Alert) { a.Rule = "ids-alert-burst" })},
		{"no such rule", spoilt(func(f *forger, a *event.Alert) { a.Rule = "whatever" })},
		{"another key", spoilt(func(f *forger, a *event.Alert) { a.Key.Value = "198.18.255.255" })},
		{"another spelling", spoilt(func(f *forger, a *event.Alert) { a.Key.Value = "::ffff:" + a.Key.Value })},
		{"one organisation's", spoilt(func(f *forger, a *event.Alert) { a.Organisation = anchor })},
		{"too much evidence", spoilt(func(f *forger, a *event.Alert) {
			for len(a.Evidence) <= event.MaxEvidence {
				a.Evidence = append(a.Evidence, event.Sealed{Signer: fmt.Sprint(len(a.Evidence))})
			}
		})},
		{"too large", spoilt(func(f *forger, a *event.Alert) {
			a.Evidence = append(a.Evidence, event.Sealed{Signer: "large", Body: make([]byte, event.MaxAlert)})
		})},
		{"a large report", spoilt(func(f *forger, a *event.Alert) { a.Evidence[0].Body = make([]byte, event.MaxReport+1) })},
		{"below the threshold", told(func(f *forger, r *event.Report) { r.Tallies[0].Proven = 1 })},
		{"old evidence", told(func(f *forger, r *event.Report) { age(r, 2*time.Hour) })},
		{"evidence of the future", told(func(f *forger, r *event.Report) { age(r, -3*time.Minute) })},
		{"reports of another federation", told(func(f *forger, r *event.Report) { r.Federation = "elsewhere" })},
		{"reports on another", told(func(f *forger, r *event.Report) { r.Key.Value = "198.18.255.255" })},
		{"reports of another member", told(func(f *forger, r *event.Report) { r.Member = f.honest[5].id.String() })},
		{"two nodes of one organisation", sworn(func(f *forger) []*Node { return f.mates })},
		{"a member on probation", sworn(func(f *forger) []*Node { return []*Node{f.honest[0], f.probation} })},
		{"a member who was revoked", sworn(func(f *forger) []*Node { return []*Node{f.honest[0], f.revoked} })},
		{"a member whose certificate ended", sworn(func(f *forger) []*Node { return []*Node{f.honest[0], f.expired} })},
		{"a foreign key", func(f *forger, source string) []byte {
			r := seen(source, 1, 1000)
			r.Federation, r.Member = f.honest[0].voice().Name(), f.stranger.Member()
			return f.encode(f.alert(source, f.reports(source, f.honest[:1])[0], f.seal(f.stranger, r)))
		}},
	}
}

// forger has what a forger could at best have: it signs as anybody it likes.
type forger struct {
	t                           *testing.T
	dice                        *rand.Rand
	honest                      []*Node // of different organisations
	mates                       []*Node // two of one
	probation, revoked, expired *Node
	stranger                    *federation.Open // has a key, and nothing else
}

// alert says of the reports that they are evidence of the federation.
func (f *forger) alert(source string, evidence ...event.Sealed) event.Alert {
	const rule = "ssh-brute-force"
	i := slices.IndexFunc(correlate.Builtin(), func(r correlate.Rule) bool { return r.Name == rule })
	timespan := int64(correlate.Builtin()[i].Federation.Timespan / time.Second)
	return event.Alert{Federation: f.honest[0].voice().Name(), Rule: rule, Key: event.Key{Selector: event.BySource, Value: source},
		Episode: time.Now().Unix() / timespan, Evidence: evidence}
}

// reports are more than enough evidence, signed by each.
func (f *forger) reports(source string, by []*Node) (evidence []event.Sealed) {
	for _, n := range by {
		r := seen(source, 1, 1000)
		r.Federation, r.Member = n.voice().Name(), n.voice().Member()
		evidence = append(evidence, f.seal(n.voice(), r))
	}
	return evidence
}

// spoilt is a good alert in which something is changed.
func spoilt(spoil func(*forger, *event.Alert)) func(*forger, string) []byte {
	return func(f *forger, source string) []byte {
		a := f.alert(source, f.reports(source, f.honest[:3])...)
		spoil(f, &a)
		return f.encode(a)
	}
}

// told is an alert with well signed reports that say something else.
func told(change func(*forger, *event.Report)) func(*forger, string) []byte {
	return func(f *forger, source string) []byte {
		var evidence []event.Sealed
		for _, n := range f.honest[:3] {
			r := seen(source, 1, 1000)
			r.Federation, r.Member = n.voice().Name(), n.voice().Member()
			change(f, &r)
			evidence = append(evidence, f.seal(n.voice(), r))
		}
		a := f.alert(source, evidence...)
		if r, err := event.DecodeReport(evidence[0].Body); err == nil {
			a.Episode += (r.Tallies[0].Last - time.Now().Unix()) / 3600
		}
		return f.encode(a)
	}
}

// sworn is an alert with good reports of others.
func sworn(who func(*forger) []*Node) func(*forger, string) []byte {
	return func(f *forger, source string) []byte {
		return f.encode(f.alert(source, f.reports(source, who(f))...))
	}
}

func age(r *event.Report, by time.Duration) {
	for i := range r.Tallies {
		r.Tallies[i].First -= int64(by / time.Second)
		r.Tallies[i].Last -= int64(by / time.Second)
	}
}

func (f *forger) seal(by voice, r event.Report) event.Sealed {
	sealed, err := by.Seal(f.encode(r))
	if err != nil {
		f.t.Error(err)
	}
	return sealed
}

func (f *forger) encode(v any) []byte {
	data, err := event.Encode(v)
	if err != nil {
		f.t.Error(err)
	}
	return data
}
