package virtual

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a goroutine is left behind after all tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
