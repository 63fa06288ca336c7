package testnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/komondor/komondor/control"
)

// BenchmarkLineToKernelSet measures from the write of the log line that crosses
// a threshold to the element in the kernel's set, as the kernel itself announces
// it: own detection at one process, and over the overlay to all of seven. Needs
// root for a network namespace.
func BenchmarkLineToKernelSet(b *testing.B) {
	wholeProcesses(b)
	for _, c := range []struct {
		name  string
		nodes int
		// lines are the numbers of attempts at the first nodes before the one that crosses.
		before   []int
		crossing int
	}{
		{"own", 1, []int{3}, 0},
		{"overlay of seven", 7, []int{3, 3, 0}, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			kernel := isolate(b)
			all := start(b, c.nodes, "nft")
			raised := follow(b, all)
			var took, toFirst, toVerified []time.Duration
			attack := 0
			for b.Loop() {
				attacker := netip.AddrFrom4([4]byte{198, 18, byte(attack >> 8), byte(attack)})
				attack++
				for i, attempts := range c.before {
					for n := range attempts {
						write(b, all[i].Log, attacker, attack*100+i*10+n)
					}
				}
				time.Sleep(100 * time.Millisecond) // until the evidence so far has met at its collectors
				drain(kernel)
				written := time.Now()
				write(b, all[c.crossing].Log, attacker, attack*100+99)
				for range all {
					took = append(took, element(b, kernel, attacker).Sub(written))
				}
				if c.nodes > 1 {
					var verified []time.Duration
					for range all {
						verified = append(verified, alert(b, raised, attacker).Sub(written))
					}
					toFirst = append(toFirst, slices.Min(verified))
					toVerified = append(toVerified, verified...)
				}
			}
			b.ReportMetric(0, "ns/op") // the pause above is most of it
			report(b, took, "")
			if c.nodes > 1 {
				report(b, toFirst, "-first-alert")
				report(b, toVerified, "-verified")
			}
		})
	}
}

func report(b *testing.B, d []time.Duration, stage string) {
	slices.Sort(d)
	at := func(q float64) float64 { return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "ms-p50"+stage)
	b.ReportMetric(at(0.9), "ms-p90"+stage)
	b.ReportMetric(at(0.99), "ms-p99"+stage)
}

// isolate puts this thread, and with it the processes that it starts, into a
// network namespace of its own, and returns what its kernel adds to sets.
func isolate(b *testing.B) chan Added {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		b.Skip("no network namespaces: ", err)
	}
	ns, err := netns.New()
	if err != nil {
		b.Skip("needs root for a network namespace: ", err)
	}
	b.Cleanup(func() {
		if err := errors.Join(netns.Set(home), ns.Close(), home.Close()); err != nil {
			b.Error(err)
		}
		runtime.UnlockOSThread()
	})
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		b.Fatal(err)
	}
	elements, stop, err := WatchKernel()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(stop)
	return elements
}

func drain(kernel chan Added) {
	for {
		select {
		case <-kernel:
		default:
			return
		}
	}
}

func element(b *testing.B, kernel chan Added, want netip.Addr) time.Time {
	for {
		select {
		case e := <-kernel:
			if e.Addr == want {
				return e.At
			}
		case <-time.After(10 * time.Second):
			b.Fatalf("%s is not in all kernel sets after 10 s", want)
		}
	}
}

// follow gathers the alerts of the federation that all nodes tell of.
func follow(b *testing.B, all []*Process) chan control.Alert {
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	alerts := make(chan control.Alert, 1024)
	for _, p := range all {
		go func() {
			_ = p.Follow(ctx, func(a control.Alert) error {
				if a.Scope == "federation" {
					alerts <- a
				}
				return nil
			})
		}()
	}
	return alerts
}

func alert(b *testing.B, alerts chan control.Alert, about netip.Addr) time.Time {
	for {
		select {
		case a := <-alerts:
			if a.Key.Value == about.String() {
				return a.Raised
			}
		case <-time.After(10 * time.Second):
			b.Fatalf("not all nodes tell of %s after 10 s", about)
		}
	}
}

// write appends the line of one login attempt as rsyslog does.
func write(b testing.TB, log string, attacker netip.Addr, pid int) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	line := fmt.Sprintf("%s host sshd[%d]: Invalid user admin from %s port %d\n",
		time.Now().Format("2006-01-02T15:04:05.000000Z07:00"), pid, attacker, 1024+pid%60000)
	if _, err := strings.NewReader(line).WriteTo(f); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
