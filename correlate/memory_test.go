package correlate

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

// million is how many keys the benchmarks of memory track.
const million = 1_000_000

// heapGrowth is how many bytes the heap holds more after f than before.
func heapGrowth(f func()) int {
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	f()
	return heap() - before
}

// fill has a hundred members report on n sources, one on each: two tallies, as of a
// source that was seen twice within the hour.
func fill(b testing.TB, c *Collector, n int) (sealed int) {
	for i := range n {
		r := event.Report{Federation: "example.org", Member: fmt.Sprintf("12D3KooW%044d", i%100), Key: madeUp(i), Version: uint64(1764000000000 + i),
			Tallies: []event.Tally{proven(failed, 2, 0, 50), proven(event.SSHUserInvalid, 1, 400, 430)}}
		body, err := event.Encode(r)
		if err != nil {
			b.Fatal(err)
		}
		s := event.Sealed{Body: body, Signer: r.Member, Signature: make([]byte, 64)}
		if _, err := c.Put(r, Author{Organisation: fmt.Sprint("organisation", i%25)}, s); err != nil {
			b.Fatal(err)
		}
		sealed += len(body) + len(s.Signature)
	}
	return sealed
}

// BenchmarkMillionKeys is what a collector takes to track a million keys: all of it,
// and what is not the members' own sealed words.
func BenchmarkMillionKeys(b *testing.B) {
	for b.Loop() {
		c := NewCollector(builtin(b), 1<<40)
		sealed := 0
		heap := heapGrowth(func() { sealed = fill(b, c, million) })
		if c.Len() != million {
			b.Fatalf("%d keys", c.Len())
		}
		b.ReportMetric(float64(heap)/million, "bytes/key")
		b.ReportMetric(float64(heap-sealed)/million, "state-bytes/key")
		b.ReportMetric(float64(c.Bytes())/million, "counted-bytes/key")
		b.ReportMetric(float64(heap)/(1<<20), "MiB")
	}
}

// BenchmarkMillionOwnKeys is the same for what a node has seen itself.
func BenchmarkMillionOwnKeys(b *testing.B) {
	for b.Loop() {
		l := NewLedger(builtin(b), million, hash)
		r := NewReporter(builtin(b))
		heap := heapGrowth(func() {
			for i := range million {
				key := madeUp(i)
				l.Add(key, Change{seen(failed, 0), +1})
				r.Told(at(1), key, l.Tallies(key))
			}
		})
		if len(l.Keys()) != million {
			b.Fatalf("%d keys", len(l.Keys()))
		}
		b.ReportMetric(float64(heap)/million, "bytes/key")
		b.ReportMetric(float64(heap)/(1<<20), "MiB")
		runtime.KeepAlive(r)
	}
}

// What a collector counts is what it takes, so that its bound is one of memory.
func TestBytesAreCounted(t *testing.T) {
	const n = 20_000
	c := NewCollector(builtin(t), 1<<40)
	heap := heapGrowth(func() {
		fill(t, c, n)
		c.decoded.age()
		c.decoded.age()
		c.decoded = decoded{} // which has a bound of its own
	})
	if counted := c.Bytes(); heap > counted*11/10 || counted > 2*heap {
		t.Errorf("%d bytes counted, %d taken", counted/n, heap/n)
	}
	if !strings.HasPrefix(c.room.ranking[0].organisation, "organisation") {
		t.Error("nobody holds them")
	}
}
