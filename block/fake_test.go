package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// fakeKernel is a backend in memory that forgets elements when their time is up.
type fakeKernel struct {
	now      *time.Time
	there    bool // the table
	elements map[netip.Prefix]fakeElement
	flows    map[Flow]time.Time // until when
	never    []netip.Prefix
	adds     int // elements ever added
	fail     error
}

type fakeElement struct {
	until time.Time
	Counter
}

func (k *fakeKernel) Setup(context.Context) error { k.there = true; return k.fail }
func (k *fakeKernel) Enforcing() bool             { return true }
func (k *fakeKernel) Close() error                { return nil }

func (k *fakeKernel) Add(_ context.Context, entries []Entry) error {
	if k.fail != nil {
		return k.fail
	}
	k.there = true
	for _, e := range entries {
		if e.TTL < time.Millisecond {
			return fmt.Errorf("%s: time to live %s", e.Prefix, e.TTL)
		}
		k.elements[e.Prefix] = fakeElement{until: k.now.Add(e.TTL)}
		k.adds++
	}
	return nil
}

func (k *fakeKernel) Remove(_ context.Context, prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		delete(k.elements, p)
	}
	return k.fail
}

func (k *fakeKernel) SetNever(_ context.Context, prefixes []netip.Prefix) error {
	k.never = prefixes
	return k.fail
}

func (k *fakeKernel) AddFlows(_ context.Context, entries []FlowEntry) error {
	for _, e := range entries {
		if k.fail == nil {
			k.flows[e.Flow] = k.now.Add(e.TTL)
		}
	}
	return k.fail
}

func (k *fakeKernel) RemoveFlows(_ context.Context, flows []Flow) error {
	for _, f := range flows {
		delete(k.flows, f)
	}
	return k.fail
}

func (k *fakeKernel) FlowCounters(context.Context) (map[Flow]Counter, error) {
	found := map[Flow]Counter{}
	for f, until := range k.flows {
		if left := until.Sub(*k.now); left > 0 {
			found[f] = Counter{Remaining: left}
		}
	}
	return found, k.fail
}

func (k *fakeKernel) SetMembers(context.Context, []netip.AddrPort) error { return k.fail }

func (k *fakeKernel) Flush(context.Context) error {
	k.there, k.elements, k.flows, k.never = false, map[netip.Prefix]fakeElement{}, map[Flow]time.Time{}, nil
	return k.fail
}

func (k *fakeKernel) Counters(_ context.Context, prefixes ...netip.Prefix) (map[netip.Prefix]Counter, error) {
	if !k.there {
		return nil, fs.ErrNotExist
	}
	found := map[netip.Prefix]Counter{}
	for p, e := range k.elements {
		if e.Remaining = e.until.Sub(*k.now); e.Remaining > 0 && (len(prefixes) == 0 || slices.Contains(prefixes, p)) {
			found[p] = e.Counter
		}
	}
	return found, k.fail
}

// drop counts a packet of 100 bytes against the block.
func (k *fakeKernel) drop(s string) {
	p := netip.MustParsePrefix(s)
	e := k.elements[p]
	e.Packets++
	e.Bytes += 100
	k.elements[p] = e
}

type fakeKeeper struct {
	kept map[string][]byte
	fail error
	busy func() // what a Put does first
}

func (k *fakeKeeper) Put(batch map[string][]byte) error {
	if k.busy != nil {
		k.busy()
	}
	if k.fail == nil {
		maps.Copy(k.kept, batch)
	}
	return k.fail
}

func (k *fakeKeeper) Delete(keys ...string) error {
	for _, key := range keys {
		delete(k.kept, key)
	}
	return k.fail
}

func (k *fakeKeeper) Each(visit func(string, []byte) error) error {
	for key, value := range k.kept {
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return k.fail
}

var errBroken = errors.New("broken")

// fixture is a manager whose time and surroundings the test sets.
type fixture struct {
	*testing.T
	*Manager
	now    time.Time
	kernel *fakeKernel
	keeper *fakeKeeper
	never  *Never
	admin  []exemption // what a look at the host finds
}

func newFixture(t *testing.T, change ...func(*Policy)) *fixture {
	t.Helper()
	policy := DefaultPolicy()
	for _, c := range change {
		c(&policy)
	}
	f := &fixture{T: t, now: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), keeper: &fakeKeeper{kept: map[string][]byte{}}}
	f.kernel = &fakeKernel{now: &f.now, elements: map[netip.Prefix]fakeElement{}, flows: map[Flow]time.Time{}}
	f.restart(policy)
	return f
}

// restart is a new manager over the same kernel and disk, after the former one
// has ended in good order.
func (f *fixture) restart(policy Policy) {
	f.Helper()
	if f.Manager != nil {
		f.keep()
	}
	f.crash(policy)
}

func (f *fixture) keep() {
	f.Helper()
	if err := f.Keep(); err != nil {
		f.Fatal(err)
	}
}

// crash is a new manager after the former one was killed.
func (f *fixture) crash(policy Policy) {
	f.Helper()
	var err error
	if f.never, err = NewNever(NeverOptions{Allow: []string{"203.0.113.128/25"}}); err != nil {
		f.Fatal(err)
	}
	f.never.sources = map[string]func() ([]exemption, error){
		"SSH sessions": func() ([]exemption, error) { return f.admin, nil },
	}
	if f.Manager, err = NewManager(f.kernel, f.never, f.keeper, policy); err != nil {
		f.Fatal(err)
	}
	if err := f.Restore(f.Context(), f.now); err != nil {
		f.Fatal(err)
	}
}

// seen proposes to block for evidence of so long ago.
func (f *fixture) seen(prefix string, ago time.Duration) Decision {
	f.Helper()
	return f.propose(Proposal{Prefix: netip.MustParsePrefix(prefix), Evidence: f.now.Add(-ago), Reason: "brute force"})
}

func (f *fixture) propose(p Proposal) Decision {
	f.Helper()
	d, err := f.Propose(f.Context(), f.now, p)
	if err != nil {
		f.Fatal(err)
	}
	return d
}

// blocked is how much longer the kernel blocks the prefix.
func (f *fixture) blocked(prefix string) time.Duration {
	return max(0, f.kernel.elements[netip.MustParsePrefix(prefix)].until.Sub(f.now))
}
