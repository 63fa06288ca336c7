package virtual

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// TestSpoofed has an IDS write alerts about packets that anybody could have sent,
// each from an address of its own: SYN to one port and UDP to another, at each of
// two nodes, and so fast that memory has to do without most of them.
func TestSpoofed(t *testing.T) {
	inFederation(t, 2*time.Hour, 4, 4, func(t *testing.T, net *Net) {
		packets := long(5_000, 1_000_000)
		before, written := heap(), uint64(0)
		var most uint64
		const atOnce = 1000
		for i := range packets / atOnce {
			for k := range atOnce {
				line := spoofed(i*atOnce + k)
				net.nodes[k%2].snort.write(line)
				written += uint64(len(line)) // is ours, not the product's
			}
			time.Sleep(20 * time.Millisecond)
			if i%50 == 0 {
				most = max(most, grown(before+written))
			}
		}
		time.Sleep(time.Minute)
		most = max(most, grown(before+written))

		blocks, alerts, seen := 0, 0, 0
		for _, n := range Everyone(net) {
			n.firewall.mu.Lock()
			blocks += len(n.firewall.since)
			n.firewall.mu.Unlock()
			s := n.Status()
			seen += int(s.Counters.Events)
			alerts += int(s.Counters.Alerts)
		}
		if seen != packets || alerts == 0 {
			t.Errorf("%d packets of %d were seen, and %d alerts tell of them", seen, packets, alerts)
		}
		Figure(t, fmt.Sprintf("addresses blocked for %d spoofed packets", packets), "0", blocks, blocks == 0)
		// MiB, of four nodes: each keeps 32 of others' evidence, and takes half as much again to look it up
		// and decode it; the two that read keep 100,000 tallies of their own, at 0.9 KiB with what was told.
		const bound = 400
		Figure(t, "memory of four nodes grows by", fmt.Sprintf("%d MiB at most", bound), fmt.Sprintf("%d MiB", most>>20), most < bound<<20)
	})
}

func spoofed(i int) string {
	kind, protocol, port := "TCP SYN flood", "TCP", 80
	if i%2 == 1 {
		kind, protocol, port = "UDP flood", "UDP", 53
	}
	return fmt.Sprintf("%s  [**] [1:1000001:1] %s [**] [Priority: 1] {%s} 100.%d.%d.%d:4242 -> 198.51.100.%d:%d",
		time.Now().Format("01/02/2006-15:04:05.000000"), kind, protocol, 64+i>>16, i>>8&255, i&255, 1+i%200, port)
}

func grown(from uint64) uint64 { return max(heap(), from) - from }

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
