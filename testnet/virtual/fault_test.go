package virtual

import (
	"flag"
	"testing"
)

var faults = flag.Bool("faults", false, "run the faults in their long forms: make faults")

// long is the size of a fault: the first in the ordinary run, the second for make faults.
func long(short, long int) int {
	if *faults {
		return long
	}
	return short
}

// Figure reports what a fault did, as a row of the table that make faults shows.
func Figure(t *testing.T, what, target string, measured any, ok bool) {
	t.Helper()
	t.Logf("fault | %s | %s | %v", what, target, measured)
	if !ok {
		t.Errorf("%s: want %s, measured %v", what, target, measured)
	}
}
