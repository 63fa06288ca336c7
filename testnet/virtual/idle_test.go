package virtual

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/overlay"
)

// keepAlive is what the two ends of a connection send each time: each a ping and its
// answer to the other's.
const keepAlive = 2 * frameCost

// TestIdle measures an hour in which nothing happens: what it costs a member that
// all of them are there. Traffic is both what it sends and what it gets.
func TestIdle(t *testing.T) {
	n, warm, hour := 20, 30*time.Minute, time.Hour
	if *large || *faults {
		n, warm, hour = 100, 100*time.Minute, 4*time.Hour // in which all buckets are refreshed once
	}
	n = fit(n)
	bubble(t, 2*time.Hour, func(t *testing.T) {
		net := newNet(t, &founders{name: "virtual", organisations: max(n/4, 4)})
		net.meter = new(meter)
		net.fill(n)
		time.Sleep(warm) // what joining costs is over
		net.meter.reset()
		before := cpu(t)
		time.Sleep(hour)
		used, counted := cpu(t)-before, net.meter.reset()
		healthy(t, net)

		traffic, conns := 0, 0
		for p, s := range counted {
			traffic += 2 * s.wire(p) // who sends, and who gets
		}
		for _, node := range Everyone(net) {
			conns += len(node.host.Network().Peers())
		}
		traffic += 2 * conns * int(hour/overlay.KeepAlive) * keepAlive
		t.Logf("%d members, in %s each sends:\n%s", n, hour, table(counted, n))
		perHour := float64(time.Hour) / float64(hour) / float64(n)
		kib := float64(traffic) / 1024 * perHour
		Figure(t, fmt.Sprintf("traffic of an idle member among %d, an hour, both ways (%d connections)", n, conns/n),
			"1024 KiB", fmt.Sprintf("%.0f KiB", kib), kib < 1024)
		// The network in memory, the tests' looks and the virtual clock are among it.
		Figure(t, "processor time of an idle member, of a core", "1 %",
			fmt.Sprintf("%.3f %%", 100*used.Seconds()/hour.Seconds()/float64(n)), true)
	})
}

// cpu is the processor time that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
