package virtual

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	faults = flag.Bool("faults", false, "run the faults in their long forms: make faults")
	seed   = flag.Uint64("seed", 1, "what faults strike whom, and when: a failure says its seed, and the same befalls the same nodes with it")
)

// dice decides what befalls whom in a fault, by a seed that a failure shows. How
// goroutines take turns, and what nodes pick by chance, it does not decide.
func dice(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("replay with -run '^%s$' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, seed))
}

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
