package correlate

import (
	"fmt"
	"testing"

	"github.com/komondor/komondor/event"
)

// What is looked at stays decoded, however much else comes; what is not is forgotten and decoded
// again; and of what is dropped nothing stays.
func TestDecoded(t *testing.T) {
	rules := builtin(t)
	c := NewCollector(rules, 1<<40)
	put := func(value string, version uint64) *statement {
		key := event.Key{Selector: event.BySource, Value: value}
		r, sealed := report(t, "m", key, version, proven(failed, 1, 0, 0), proven(failed, 1, 300, 300))
		if _, err := c.Put(r, Author{Organisation: "o"}, sealed); err != nil {
			t.Fatal(err)
		}
		_, s := c.keys[key].find(c.members["m"])
		return s
	}
	busy, quiet, gone := put("203.0.113.1", 1), put("203.0.113.2", 1), put("203.0.113.3", 1)
	was := gone.decoded
	put("203.0.113.3", 2)
	if was.tallies != nil || gone.decoded != nil {
		t.Error("what another version replaces is remembered")
	}
	first := &c.decoded.tallies(busy)[0]
	for i := range talliesDecoded {
		put(fmt.Sprint("198.51.", 100+i>>8&1, ".", i&255), uint64(1+i))
		if &c.decoded.tallies(busy)[0] != first {
			t.Fatalf("what is looked at again and again is decoded anew after %d reports", i)
		}
	}
	if quiet.decoded != nil {
		t.Error("what nobody looks at is remembered")
	}
	if got := c.decoded.tallies(quiet); len(got) != 2 || quiet.decoded == nil {
		t.Errorf("decoded again: %v", got)
	}
	if n := len(c.decoded.young) + len(c.decoded.old); n > 2*talliesDecoded {
		t.Errorf("%d remembered", n)
	}
}
