package virtual

import (
	"flag"
	"slices"
	"testing"
	"time"
)

var large = flag.Bool("large", false, "run the tests that take minutes")

func needsLarge(t *testing.T) {
	t.Helper()
	if !*large {
		t.Skip("takes minutes: make virtual")
	}
}

// TestScenariosLarge is TestScenarios in an overlay in which no table holds all.
func TestScenariosLarge(t *testing.T) {
	needsLarge(t)
	inBubble(t, 2*time.Hour, 300, func(t *testing.T, net *Net) {
		scenarios(t, net)
		halfCrash(net)
	})
}

// TestMessages measures what Table I of paper 002 computes.
func TestMessages(t *testing.T) {
	needsLarge(t)
	for _, over := range []time.Duration{100 * time.Second, 20 * time.Minute} {
		inBubble(t, 2*time.Hour, 100, func(t *testing.T, net *Net) {
			m := net.Measure(flood, 10_000, over, LastReport)
			t.Logf("in %s: %s", over, m.Table())
		})
	}
}

// TestHour is one attempt an hour at each of thirty hosts: 20 points in 20
// minutes.
func TestHour(t *testing.T) {
	needsLarge(t)
	inBubble(t, 2*time.Hour, 30, func(t *testing.T, net *Net) {
		net.Play("one attempt an hour at each of thirty hosts: blocked at the tenth, and not before", slices.Concat(
			attempts(slow, len(Everyone(net)), 2*time.Minute),
			Timetable{
				NotBefore(20*time.Minute, Anyone, Block(slow)),
				By(20*time.Minute+time.Second, Everyone, Block(slow)),
			}))
		healthy(t, net)
	})
}

// TestDay is little less than one attempt an hour at each of nine hosts: at most
// 18 points in any hour of the day.
func TestDay(t *testing.T) {
	needsLarge(t)
	var table Timetable
	for again := range 24 {
		for _, row := range attempts(patient, 9, 6*time.Minute) {
			row.when += time.Duration(again) * 61 * time.Minute
			table = append(table, row)
		}
	}
	inBubble(t, 2*time.Hour, 10, func(t *testing.T, net *Net) {
		net.Play("an attempt each 61 minutes at each of nine hosts: never blocked", append(table, Never(Anyone, Block(patient))))
		healthy(t, net)
	})
}
