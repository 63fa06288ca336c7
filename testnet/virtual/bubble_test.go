package virtual

import (
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a test in virtual time, in an overlay of n nodes whose first one
// starts so long after the midnight with which the year 2000 begins. In the hour
// after a midnight reports go under the salts of two days, and cost twice as much.
func inBubble(t *testing.T, start time.Duration, n int, test func(*testing.T, *Net)) {
	t.Helper()
	bubble(t, start, func(t *testing.T) { test(t, New(t, fit(n))) })
}

// inFederation is inBubble for a closed federation.
func inFederation(t *testing.T, start time.Duration, n, organisations int, test func(*testing.T, *Net)) {
	t.Helper()
	n = fit(n)
	bubble(t, start, func(t *testing.T) { test(t, NewFederation(t, n, min(n, organisations))) })
}

// fit is how many nodes of n there is time for.
func fit(n int) int {
	switch {
	case raceDetector:
		return min(n, 20)
	case testing.Short():
		return min(n, 30)
	}
	return n
}

func bubble(t *testing.T, start time.Duration, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(start)
		test(t)
	})
}
