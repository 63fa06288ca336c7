package testnet

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
)

var system = flag.Bool("system", false, "run the benchmarks of whole processes, some for many minutes: see make bench-system")

func wholeProcesses(b *testing.B) {
	if !*system {
		b.Skip("whole processes, for minutes: run it by `make bench-system`")
	}
}

// BenchmarkIdleMemory is what a participant of seven holds while nothing happens.
func BenchmarkIdleMemory(b *testing.B) {
	wholeProcesses(b)
	for b.Loop() {
		all := start(b, 7, "observe")
		time.Sleep(10 * time.Second) // past what starting needs
		var sum, most int64
		for _, p := range all {
			own, mapped, err := p.Resident()
			if err != nil {
				b.Fatal(err)
			}
			sum, most = sum+own+mapped, max(most, own+mapped)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(sum)/float64(len(all))/(1<<20), "MiB-mean")
		b.ReportMetric(float64(most)/(1<<20), "MiB-most")
	}
}

// BenchmarkIdleProcessor is what a participant of seven uses of a core while nothing
// happens: a minute in which each has asked its neighbours once.
func BenchmarkIdleProcessor(b *testing.B) {
	wholeProcesses(b)
	for b.Loop() {
		all := start(b, 7, "observe")
		time.Sleep(10 * time.Second) // past what starting needs
		used := func() (sum time.Duration) {
			for _, p := range all {
				t, err := p.Processor()
				if err != nil {
					b.Fatal(err)
				}
				sum += t
			}
			return sum
		}
		before, began := used(), time.Now()
		time.Sleep(time.Minute)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(100*(used()-before).Seconds()/time.Since(began).Seconds()/float64(len(all)), "%-of-a-core")
	}
}

// BenchmarkManySources reads a log of n lines from 100,000 sources, all of them
// now, into one node: its memory must not depend on the length of the log.
func BenchmarkManySources(b *testing.B) {
	wholeProcesses(b)
	for _, lines := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			for b.Loop() {
				p := start(b, 1, "observe")[0]
				began := time.Now()
				if err := flood(p.Log, lines, 100_000); err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
				s, err := p.await(ctx, func(s control.Status) bool { return s.Counters.Events >= uint64(lines) })
				cancel()
				if err != nil {
					b.Fatal(err)
				}
				own, mapped, err := p.Resident()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(lines)/time.Since(began).Seconds(), "lines/s")
				b.ReportMetric(float64(own)/(1<<20), "MiB")
				b.ReportMetric(float64(mapped)/(1<<20), "MiB-mapped-file")
				b.ReportMetric(float64(s.Counters.KeysEvicted), "evicted")
				if err := p.Stop(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func flood(path string, lines, sources int) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range lines {
		from := i % sources
		addr := netip.AddrFrom4([4]byte{198, 18 + byte(from>>16), byte(from >> 8), byte(from)})
		fmt.Fprintf(w, "%s host sshd[%d]: Failed password for root from %s port %d ssh2\n",
			time.Now().Format("2006-01-02T15:04:05.000000Z07:00"), i, addr, 1024+i%60000)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
