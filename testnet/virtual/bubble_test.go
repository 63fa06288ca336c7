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
	switch {
	case raceDetector:
		n = min(n, 20)
	case testing.Short():
		n = min(n, 30)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(start)
		test(t, New(t, n))
	})
}
