package correlate

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// What comes after a cut is tallied, reported and judged by itself, to the second.
func TestSinceACut(t *testing.T) {
	l := ledger(t, 10)
	for second := range 20 {
		if second == 10 {
			l.Cut(at(9).Add(time.Second / 2))
		}
		l.Add(bySource, Change{seen(event.SSHLoginFailed, second), +1})
	}
	l.Add(bySource, Change{seen(event.SSHLoginFailed, 9), +1}) // late
	l.Add(bySource, Change{seen(event.SSHLoginFailed, 15), -1})
	want := []event.Tally{proven(event.SSHLoginFailed, 11, 0, 9), proven(event.SSHLoginFailed, 9, 10, 19)}
	if got := l.Tallies(bySource); !reflect.DeepEqual(got, want) {
		t.Errorf("tallies %v, want %v", got, want)
	}
	body, err := Fit(event.Report{Federation: "open", Member: "m", Key: bySource, Version: 1, Tallies: slices.Clone(want)}, l.CutAt())
	if err != nil {
		t.Fatal(err)
	}
	r, err := event.DecodeReport(body)
	if err != nil || !reflect.DeepEqual(r.Tallies, want) {
		t.Errorf("reported %v (%v), want %v", r.Tallies, err, want)
	}
	said := []Testimony{{Member: "m", Tallies: want}}
	for second, count := range map[int]int{-1: 2, 0: 1, 9: 1, 10: 0} {
		if got := Since(at(second), said)[0].Tallies; len(got) != count || count > 0 && !reflect.DeepEqual(got, want[2-count:]) {
			t.Errorf("since %d: %v", second, got)
		}
	}
	if len(said[0].Tallies) != 2 {
		t.Error("what was said has changed")
	}
}
