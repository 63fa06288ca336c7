package testnet

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/komondor/komondor/control"
)

// BenchmarkLivePackets sends two million packets at 200,000 a second over a pair of devices to a node
// that watches the other end as users have it: ring, decoding, all detectors, payload, evidence. It
// reports how many were lost and what the node's process took; who sends them is another.
// Needs root for a network namespace.
func BenchmarkLivePackets(b *testing.B) {
	wholeProcesses(b)
	const packets, rate = 2_000_000, 200_000
	for _, c := range []struct {
		name    string
		traffic traffic
	}{
		{"ordinary", ordinary()},
		{"ever new sources", spoofed()},
	} {
		b.Run(c.name, func(b *testing.B) {
			isolate(b)
			pair(b, "near", "far")
			for b.Loop() {
				p := start(b, 1, "observe", "--read", "live=near", "--home", "203.0.113.0/24")[0]
				ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
				defer cancel()
				if _, err := p.await(ctx, func(s control.Status) bool { return watched(s).State == control.Reading }); err != nil {
					b.Fatal(err)
				}
				before, idle := taken(b, p)
				began, there := time.Now(), arrived(b, "near")
				if err := send("far", packets, rate, c.traffic); err != nil {
					b.Fatal(err)
				}
				took, came := time.Since(began).Seconds(), arrived(b, "near")-there
				s, err := p.await(ctx, func(s control.Status) bool { live := watched(s); return live.Lines+live.Lost >= came })
				if err != nil {
					b.Fatalf("%v; of %d packets", err, came)
				}
				used, own := taken(b, p)
				live := watched(s)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(came)/took, "packets/s")
				b.ReportMetric(float64(packets-came), "lost-by-the-cable")
				b.ReportMetric(float64(live.Lost), "lost")
				b.ReportMetric((used - before).Seconds(), "CPU-s")
				b.ReportMetric((used-before).Seconds()/took, "cores")
				b.ReportMetric(float64(live.Events), "events")
				b.ReportMetric(float64(live.Forgotten), "forgotten")
				b.ReportMetric(float64(live.Unscanned)/(1<<20), "MiB-unscanned")
				b.ReportMetric(float64(idle)/(1<<20), "MiB-before")
				b.ReportMetric(float64(own)/(1<<20), "MiB")
				if err := p.Stop(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// taken is the processor time that a process has used, and its own resident memory in bytes.
func taken(b *testing.B, p *Process) (processor time.Duration, own int64) {
	b.Helper()
	processor, err := p.Processor()
	if err == nil {
		own, _, err = p.Resident()
	}
	if err != nil {
		b.Fatal(err)
	}
	return processor, own
}

// watched is the state of the interface that is watched.
func watched(s control.Status) (live control.Source) {
	for _, source := range s.Sources {
		if source.Format == "live" {
			live = source
		}
	}
	return live
}

// arrived is how many packets have come to a device.
func arrived(b *testing.B, device string) uint64 {
	b.Helper()
	link, err := netlink.LinkByName(device)
	if err != nil {
		b.Fatal(err)
	}
	return link.Attrs().Statistics.RxPackets
}

// pair makes a pair of Ethernet devices that are each other's far end, and say nothing by themselves.
func pair(b *testing.B, near, far string) {
	b.Helper()
	err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o644)
	if err == nil {
		err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: near}, PeerName: far})
	}
	for _, name := range []string{near, far} {
		var link netlink.Link
		if err == nil {
			link, err = netlink.LinkByName(name)
		}
		if err == nil {
			err = netlink.LinkSetARPOff(link)
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
	}
	if err != nil {
		b.Fatal("a pair of devices: ", err)
	}
}
