package virtual

import (
	"testing"
	"time"
)

// TestScenariosFederation is TestScenarios among members only.
func TestScenariosFederation(t *testing.T) {
	inFederation(t, 2*time.Hour, 50, 25, scenarios)
}
