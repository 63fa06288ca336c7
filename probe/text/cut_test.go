package text

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestCut holds the searches of this package beside those of the library, on bytes of few
// kinds, in which separators and halves of them abound.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seps := []string{"[", "[**]", "**", "[*", " *", "* ", "*[*", "  "}
	for range 100_000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = "[*] "[r.IntN(4)]
		}
		sep := seps[r.IntN(len(seps))]
		first, last := bytes.Index(b, []byte(sep)), bytes.LastIndex(b, []byte(sep))
		if got := Index(b, sep); got != first {
			t.Fatalf("%q is at %d of %q, not %d", sep, first, b, got)
		}
		before, _, ok := CutLast(b, sep)
		if ok != (last >= 0) || ok && len(before) != last {
			t.Fatalf("the last %q of %q is at %d, not behind %q", sep, b, last, before)
		}
		before, after, ok := CutOnce(b, sep)
		if ok != (bytes.Count(b, []byte(sep)) == 1) || ok && string(before)+sep+string(after) != string(b) {
			t.Fatalf("%q is cut around its only %q into %q and %q, %v", b, sep, before, after, ok)
		}
	}
}
