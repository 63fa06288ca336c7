package block

import (
	"context"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func TestWatch(t *testing.T) {
	l := startLab(t)
	n, err := NewNever(NeverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan time.Time, 100)
	// The watching thread must be in the laboratory, and so must the changing one.
	go func() {
		defer cancel()
		runtime.LockOSThread() // and never unlock: the thread ends here
		if err := netns.Set(l.host); err != nil {
			t.Errorf("enter the laboratory: %v", err)
			return
		}
		link, err := netlink.LinkByName("inside")
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(50 * time.Millisecond) // until it watches
		address := func(s string) *netlink.Addr {
			a, err := netlink.ParseAddr(s)
			if err != nil {
				t.Error(err)
			}
			return a
		}
		for _, step := range []struct {
			name, prefix string
			do           func() error
			want         bool // never to be blocked
		}{
			{"an address more", "203.0.113.77/32", func() error { return netlink.AddrAdd(link, address("203.0.113.77/32")) }, true},
			{"an address less", "203.0.113.77/32", func() error { return netlink.AddrDel(link, address("203.0.113.77/32")) }, false},
			{"a gateway", "198.51.100.254/32", func() error {
				return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: []byte{198, 51, 100, 254}})
			}, true},
		} {
			for len(changes) > 0 {
				<-changes
			}
			start := time.Now()
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.name, err)
				return
			}
			for never := !step.want; never != step.want; {
				select {
				case <-changes:
					_, never = n.Check(netip.MustParsePrefix(step.prefix))
				case <-time.After(10 * time.Second):
					t.Errorf("%s is not noticed", step.name)
					return
				}
			}
			if took := time.Since(start); took > 10*time.Second { // 200 ms, on a machine with nothing else to do
				t.Errorf("%s is noticed after %s", step.name, took)
			}
		}
		for len(changes) > 0 {
			<-changes
		}
		for range 20 {
			netlink.AddrAdd(link, address("203.0.113.78/32"))
			netlink.AddrDel(link, address("203.0.113.78/32"))
		}
		time.Sleep(5 * settling)
		if got := len(changes); got == 0 || got > 5 {
			t.Errorf("forty changes at once are told %d times", got)
		}
	}()
	if err := n.Watch(ctx, func() { changes <- time.Now() }); err != nil {
		t.Errorf("got %v", err)
	}
	if ctx.Err() == nil {
		t.Error("ended by itself")
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "(*Never).Watch.func") {
		t.Errorf("left behind:\n%s", stacks)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	n, err := NewNever(NeverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Watch(ctx, func() {}); err != nil {
		t.Errorf("got %v", err)
	}
}
