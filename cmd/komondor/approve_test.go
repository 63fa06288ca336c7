package main

import "testing"

// A script that names two addresses, of which one waits, is told so.
func TestMissing(t *testing.T) {
	for _, c := range []struct {
		n, named int
		want     bool
	}{{0, 0, true}, {0, 1, true}, {1, 2, true}, {3, 0, false}, {2, 2, false}} {
		if err := missing(c.n, c.named); (err != nil) != c.want {
			t.Errorf("%d of %d: %v", c.n, c.named, err)
		}
	}
}
