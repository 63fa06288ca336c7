package correlate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/komondor/komondor/event"
)

func TestAnomaliesAlone(t *testing.T) {
	unusual := proven(event.AnomalyRate, 1000, 0, 50)
	for _, scope := range []Scope{Home, Federation} {
		for _, r := range Builtin() {
			said := []Testimony{say("a", unusual), say("b", unusual), say("c", unusual)}
			if v, ok := builtin(t).JudgeRule(r.Name, scope, event.Key{Selector: r.GroupBy, Value: bySource.Value}, said); ok {
				t.Errorf("%s, %s: anomalies alone give %+v", r.Name, scope, v)
			}
		}
	}
	r, _ := builtin(t).Named("ssh-brute-force")
	if n := builtin(t).Counted(r, Home, bySource, []Testimony{say("a", unusual)}); n != 0 {
		t.Errorf("anomalies alone count %d", n)
	}
}

// Whatever anomalies are told of, an organisation's points are at the most twice
// those of its other evidence, nobody joins the quorum by them, and nothing is
// fresher by them; so it is for the verdict, for its offenders and for what a
// receiver works out from the evidence that was chosen.
func TestAnomaliesCountWithOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	rules := builtin(t)
	r, _ := rules.Named("ssh-brute-force")
	crossed := 0
	for range 1000 {
		for _, scope := range []Scope{Home, Federation} {
			c := r.condition(scope)
			organisations := 1
			if scope == Federation {
				organisations = 1 + random.IntN(4)
			}
			var said []Testimony
			total, voters, newest := 0, 0, int64(0)
			for o := range organisations {
				plain, unusual := 0, 0
				for m := range 1 + random.IntN(2) {
					word := Testimony{Organisation: fmt.Sprint(o), Member: fmt.Sprint(o, m)}
					if n := random.IntN(4); n > 0 {
						tally := proven(failed, uint32(n), random.IntN(60), 100+random.IntN(60))
						word.Tallies, plain, newest = append(word.Tallies, tally), plain+2*n, max(newest, tally.Last)
					}
					if n := random.IntN(12); n > 0 {
						word.Tallies, unusual = append(word.Tallies, proven(event.AnomalyRate, uint32(n), 200, 300)), unusual+n
					}
					said = append(said, word)
				}
				total += min(plain+min(plain, unusual), c.share())
				if plain > 0 {
					voters++
				}
			}
			want := total >= c.AtLeast && voters >= c.Quorum
			v, ok := rules.JudgeRule(r.Name, scope, bySource, said)
			if ok != want || want && len(v.Offenders) != 1 {
				t.Fatalf("%s: verdict %v on %v, want %v: %d points of %d organisations in %+v", scope, ok, v.Offenders, want, total, voters, said)
			}
			if n := rules.Counted(r, scope, bySource, said); n != total {
				t.Fatalf("%s: %d points count, want %d, in %+v", scope, n, total, said)
			}
			if !ok {
				continue
			}
			crossed++
			if v.Agreed.Unix() > newest {
				t.Fatalf("%s: anomalies make the evidence newer: %v", scope, v.Agreed)
			}
			if scope == Federation {
				chosen := rules.Smallest(v, said)
				if again, ok := rules.JudgeRule(r.Name, scope, bySource, chosen); !ok || len(again.Offenders) != 1 {
					t.Fatalf("a receiver finds nothing in %+v, chosen from %+v", chosen, said)
				}
			}
		}
	}
	if crossed < 50 {
		t.Errorf("only %d verdicts: too few to tell", crossed)
	}
}

// What could be anybody's adds nothing against a source, beside proof neither.
func TestSpoofableAnomalies(t *testing.T) {
	said := []Testimony{say("a", proven(failed, 3, 0, 50), spoofable(event.AnomalyRate, 9, 0, 50))}
	v, ok := builtin(t).JudgeRule("ssh-brute-force", Home, bySource, said)
	if !ok || v.Score != 12 || len(v.Offenders) != 0 {
		t.Errorf("verdict %v with %d points against %v, want one that names nobody", ok, v.Score, v.Offenders)
	}
}

// What happens on a host itself has no source: it is kept, and accuses nobody.
func TestEventsWithoutSource(t *testing.T) {
	rules := builtin(t)
	var attempts Attempts
	ledger := NewLedger(rules, 100, hash)
	e := event.Event{Time: at(0), Kind: event.ProcessExec, Severity: event.ProcessExec.Severity(), Count: 1, User: "www-data", Sensor: "auditd"}
	e.Target.Port, e.Protocol = 22, "tcp"
	login := seen(event.SSHLoginAccepted, 1)
	login.User = e.User
	for _, by := range []event.Key{byPort, bySubnet} {
		for _, change := range attempts.Add(e) {
			ledger.Add(by, change)
		}
		if n := len(attempts.Add(login)); n != 0 {
			t.Errorf("a login from elsewhere forgives %d events of this host", n)
		}
		tallies := ledger.Tallies(by)
		if len(tallies) != 1 || tallies[0].Source.IsValid() || len(tallies[0].Values) != 0 {
			t.Errorf("tallies under %s: %+v", by, tallies)
		}
		for _, v := range rules.Judge(Home, by, []Testimony{say("a", tallies...)}) {
			t.Errorf("a verdict on nobody: %+v", v)
		}
	}
}
