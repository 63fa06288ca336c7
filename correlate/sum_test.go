package correlate

import (
	"math/rand/v2"
	"testing"

	"github.com/komondor/komondor/event"
)

// What is credited is a maximum matching: compared with trying everything.
func TestCredited(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		c := Condition{AtLeast: 1 + random.IntN(6), Quorum: 1 + random.IntN(3)}
		s := newSum(Rule{Type: ValueCount}, c)
		holders := make([][]int, 6) // of each value
		for organisation := range 3 {
			for v := range holders {
				if random.IntN(2) == 0 {
					holders[v] = append(holders[v], organisation)
					s.add(organisation, worth{}, event.Sketch{uint32(v)}, +1)
				}
			}
		}
		var best func(v int, load [3]int) int
		best = func(v int, load [3]int) int {
			if v == len(holders) {
				return 0
			}
			most := best(v+1, load)
			for _, organisation := range holders[v] {
				if load[organisation] < c.share() {
					load[organisation]++
					most = max(most, 1+best(v+1, load))
					load[organisation]--
				}
			}
			return most
		}
		if got, want := s.credited(), min(best(0, [3]int{}), c.AtLeast); got != want {
			t.Fatalf("%+v, values of %v: %d credited, want %d", c, holders, got, want)
		}
	}
}

// What is taken out leaves no trace.
func TestSumTakesOut(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	for _, kind := range []Type{ValueSum, ValueCount} {
		s := newSum(Rule{Type: kind}, Condition{AtLeast: 10, Quorum: 2})
		type entered struct {
			voice  int
			worth  worth
			values event.Sketch
		}
		var in []entered
		for range 200 {
			e := entered{random.IntN(4), worth{random.IntN(9), random.IntN(9)}, event.Sketch{random.Uint32N(20), 20 + random.Uint32N(20)}}
			in = append(in, e)
			s.add(e.voice, e.worth, e.values, +1)
		}
		if s.total == 0 || s.voters != 4 {
			t.Errorf("%s: total %d of %d voters", kind, s.total, s.voters)
		}
		for _, i := range random.Perm(len(in)) {
			s.add(in[i].voice, in[i].worth, in[i].values, -1)
		}
		if s.total != 0 || s.voters != 0 || len(s.union) != 0 {
			t.Errorf("%s: total %d of %d voters after all is taken out", kind, s.total, s.voters)
		}
	}
}

// Whatever mean one organisation claims, it does not make up for what the others have not seen; nor does a
// low one take away what the quorum has.
func TestMeansAreNotMadeUpFor(t *testing.T) {
	rules := load(t, correlation("type: value_avg", "rules: [ssh.*, ids.*]", "group-by: [source.ip]", "timespan: 10m", "condition: {field: severity, gte: 3}")+
		"\nkomondor: {federation: {quorum: 2}, blocks: true}\n")
	typo, guess, claim := proven(event.SSHLoginFailed, 1, 0, 10), proven(event.SSHUserInvalid, 1, 0, 10), proven(event.Kind("ids.alert.success"), 1000, 0, 10)
	for name, c := range map[string]struct {
		said []Testimony
		want bool
	}{
		"a liar and a typo":               {[]Testimony{say("liar", claim), say("typo", typo)}, false},
		"two that have seen it":           {[]Testimony{say("one", guess), say("two", guess)}, true},
		"two, and one that plays it down": {[]Testimony{say("one", guess), say("two", guess), say("liar", proven(event.SSHLoginFailed, 1000, 0, 10))}, true},
	} {
		if v := rules.Judge(Federation, bySource, c.said); (len(v) == 1) != c.want {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
