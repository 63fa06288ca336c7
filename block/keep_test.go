package block

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestNobodyWaitsForTheDisk has a disk that takes as long as the test wants.
func TestNobodyWaitsForTheDisk(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	begun, finish, kept := make(chan bool, 2), make(chan bool), make(chan error, 1)
	f.keeper.busy = func() { begun <- true; <-finish }
	go func() { kept <- f.Keep() }()
	<-begun
	proposed := make(chan bool)
	go func() {
		defer close(proposed)
		for i := range 1000 {
			f.seen(fmt.Sprintf("192.0.%d.%d/32", 2+i/250, i%250), 0)
		}
	}()
	select {
	case <-proposed:
	case <-time.After(10 * time.Second):
		t.Fatal("proposals wait for the disk")
	}
	if got := len(f.kernel.elements); got != 1000 {
		t.Errorf("%d blocks in the kernel, want all but the one over the cap", got)
	}
	removed := make(chan error)
	go func() {
		_, err := f.Remove(t.Context(), f.now, netip.MustParsePrefix(attacker))
		removed <- err
	}()
	select {
	case <-removed:
		t.Error("a person is told of a removal that is not on disk")
	case <-time.After(20 * time.Millisecond):
	}
	close(finish)
	if err := errors.Join(<-kept, <-removed); err != nil {
		t.Fatal(err)
	}
	if got := len(f.keeper.kept); got != 1000 {
		t.Errorf("%d records on disk", got)
	}
	f.crash(f.policy)
	if _, ok := f.Lookup(f.now, netip.MustParseAddr("198.51.100.7")); ok {
		t.Error("what Keep wrote last is older than the removal")
	}
}

func TestKeepTriesAgain(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 5*time.Minute)
	var newer time.Time
	f.keeper.fail, f.keeper.busy = errBroken, func() { newer = f.seen(attacker, 0).Block.Until }
	if err := f.Keep(); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	f.keeper.fail, f.keeper.busy = nil, nil
	f.keep()
	f.kernel.Flush(t.Context())
	f.crash(f.policy)
	if list := f.List(f.now); len(list) != 1 || !list[0].Until.Equal(newer) || list[0].Reason != "brute force" {
		t.Errorf("%+v", list)
	}
	puts := 0
	f.keeper.busy = func() { puts++ }
	f.keep()
	if puts != 0 {
		t.Error("nothing has changed, and is written")
	}
}

// TestCrashBetweenKernelAndDisk: what was not yet kept is found in the kernel.
func TestCrashBetweenKernelAndDisk(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	f.now = f.now.Add(time.Minute)
	f.crash(f.policy)
	if list := f.List(f.now); len(list) != 1 || list[0].Reason != "found in the kernel" || list[0].Until.Sub(f.now) != 9*time.Minute {
		t.Errorf("%+v", list)
	}
}

// BenchmarkSlowDisk proposes with a disk that takes 2 ms for a write: as it is,
// with one Keep every hundred proposals beside them; and as it would be if
// everyone waited for the disk.
func BenchmarkSlowDisk(b *testing.B) {
	for _, test := range []struct {
		name  string
		every int
	}{{"written-behind", 100}, {"waiting", 1}} {
		b.Run(test.name, func(b *testing.B) {
			never, err := NewNever(NeverOptions{})
			if err != nil {
				b.Fatal(err)
			}
			policy := DefaultPolicy()
			policy.PerHour, policy.Total = 1<<30, 1<<30
			keeper := &fakeKeeper{kept: map[string][]byte{}, busy: func() { time.Sleep(2 * time.Millisecond) }}
			m, err := NewManager(Observer{}, never, keeper, policy)
			if err != nil {
				b.Fatal(err)
			}
			addr, now := netip.MustParseAddr("203.0.113.0"), time.Now()
			keep, kept := make(chan bool), make(chan bool)
			go func() {
				defer close(kept)
				for range keep {
					if err := m.Keep(); err != nil {
						b.Error(err)
					}
				}
			}()
			for i := 0; b.Loop(); i++ {
				addr = addr.Next()
				if _, err := m.Propose(b.Context(), now, Proposal{Prefix: netip.PrefixFrom(addr, 32), Evidence: now}); err != nil {
					b.Fatal(err)
				}
				if test.every == 1 {
					if err := m.Keep(); err != nil {
						b.Fatal(err)
					}
				} else if i%test.every == 0 {
					select {
					case keep <- true:
					default: // one is under way
					}
				}
			}
			close(keep)
			<-kept
		})
	}
}
