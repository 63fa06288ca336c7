package block

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// freshness is how old the picture of this host may be when a block is decided.
const freshness = 5 * time.Second

// lookupTime is how long the host names may take to resolve.
const lookupTime = 5 * time.Second

// NeverOptions say what is never blocked besides this host's own surroundings.
type NeverOptions struct {
	// LabPrivate lets private ranges (RFC 1918, RFC 4193, RFC 6598) be
	// blocked: for laboratories, whose attackers have such addresses.
	LabPrivate bool
	// Allow lists addresses, prefixes and host names.
	Allow []string
	// Lookup resolves the host names, by default with the host's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// An exemption is a prefix that is never blocked, and why: "a private range".
// Or it is a host name, without a prefix, of which that holds for its addresses.
type exemption struct {
	prefix netip.Prefix
	why    string
	name   string
}

// Never is the set of prefixes that are never blocked: what no host may lose
// (loopback, its own addresses, its gateways, resolvers and time servers,
// private ranges), the people who administer it now, and the allow-lists of this
// host and of the federation.
type Never struct {
	lookup func(context.Context, string) ([]netip.Addr, error)
	// sources read the surroundings of this host that change.
	sources map[string]func() ([]exemption, error)

	mu       sync.Mutex // guards all below
	parts    map[string][]exemption
	resolved map[string][]netip.Addr // the names in parts, as last found
	looked   time.Time

	table atomic.Pointer[neverTable]
}

// neverTable is made anew when something changes, and only read afterwards.
type neverTable struct {
	spans []span
	all   []exemption // the narrow ones first: they tell more
}

// NewNever starts with what is known without looking: see Refresh. Its error
// names the entry of the allow-list that is none.
func NewNever(o NeverOptions) (*Never, error) {
	n := &Never{
		lookup: o.Lookup, sources: thisHost().sources(),
		parts: map[string][]exemption{"fixed": fixed(o.LabPrivate)}, resolved: map[string][]netip.Addr{},
	}
	if n.lookup == nil {
		n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return n, n.SetAllow(o.Allow)
}

// Refresh looks at this host and resolves the names again. What cannot be read
// keeps its former value, and is told by the error.
func (n *Never) Refresh(ctx context.Context, now time.Time) error {
	n.mu.Lock()
	failed := n.look(now)
	n.build() // before the names, which may take a while
	names := n.names()
	n.mu.Unlock()
	found := make([][]netip.Addr, len(names))
	errs := make([]error, len(names))
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var lookups sync.WaitGroup
	for i, name := range names { // without the lock: a resolver may take seconds
		lookups.Go(func() {
			if found[i], errs[i] = n.lookup(ctx, name); errs[i] == nil && len(found[i]) == 0 {
				errs[i] = errors.New("no addresses")
			}
		})
	}
	lookups.Wait()

	n.mu.Lock()
	defer n.mu.Unlock()
	for i, name := range names {
		if errs[i] != nil {
			failed = errors.Join(failed, fmt.Errorf("never-block set: look up %q: %w (its former addresses stay)", name, errs[i]))
		} else {
			n.resolved[name] = found[i]
		}
	}
	n.build()
	return failed
}

// names returns the host names to resolve, each once.
func (n *Never) names() []string {
	var names []string
	for _, part := range n.parts {
		for _, e := range part {
			if e.name != "" {
				names = append(names, e.name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Fresh looks at this host again if the last look is some seconds old. It reads
// local files and the kernel's tables only.
func (n *Never) Fresh(now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if age := now.Sub(n.looked); age >= 0 && age < freshness {
		return nil
	}
	failed := n.look(now)
	n.build()
	return failed
}

func (n *Never) look(now time.Time) error {
	var failed error
	for name, read := range n.sources {
		found, err := read()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("never-block set: %s: %w", name, err))
			continue
		}
		n.parts[name] = found
	}
	n.looked = now
	return failed
}

// build makes the table of the parts, and forgets names that are in none of them.
func (n *Never) build() {
	t := &neverTable{}
	resolved := make(map[string][]netip.Addr, len(n.resolved))
	for _, part := range n.parts {
		for _, e := range part {
			if e.name == "" {
				t.all = append(t.all, e)
				continue
			}
			if addrs, ok := n.resolved[e.name]; ok {
				resolved[e.name] = addrs
				t.all = append(t.all, exemptions(addrs, e.why+" as "+e.name)...)
			}
		}
	}
	n.resolved = resolved
	var prefixes []netip.Prefix
	for _, e := range t.all {
		prefixes = append(prefixes, e.prefix)
	}
	slices.SortFunc(t.all, func(a, b exemption) int {
		if a.prefix.Bits() != b.prefix.Bits() {
			return b.prefix.Bits() - a.prefix.Bits()
		}
		return a.prefix.Compare(b.prefix)
	})
	t.spans = merge(prefixes)
	n.table.Store(t)
}

// Check says whether the prefix shares an address with the never-block set,
// and which one and why: "203.0.113.7 is the administrator's SSH session". A
// prefix that is not valid is never blocked either.
func (n *Never) Check(prefix netip.Prefix) (reason string, never bool) {
	p, err := canonical(prefix)
	if err != nil {
		return err.Error(), true
	}
	t := n.table.Load()
	if !overlapping(t.spans, spanOf(p)) {
		return "", false
	}
	for _, e := range t.all {
		switch {
		case !e.prefix.Overlaps(p):
		case e.prefix.Bits() > p.Bits():
			return fmt.Sprintf("%s holds %s: %s", p, shown(e.prefix), e.why), true
		case e.prefix.IsSingleIP():
			return fmt.Sprintf("%s is %s", shown(p), e.why), true
		default:
			return fmt.Sprintf("%s is in %s: %s", shown(p), e.prefix, e.why), true
		}
	}
	return fmt.Sprintf("%s is in the never-block set", p), true
}

// prefixes returns the whole set, sorted, without duplicates.
func (t *neverTable) prefixes() []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(t.all))
	for _, e := range t.all {
		prefixes = append(prefixes, e.prefix)
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// shown leaves out the length where it says nothing.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func exemptions(addrs []netip.Addr, why string) []exemption {
	var list []exemption
	for _, addr := range addrs {
		if addr = addr.Unmap().WithZone(""); addr.IsValid() {
			list = append(list, exemption{prefix: netip.PrefixFrom(addr, addr.BitLen()), why: why})
		}
	}
	return list
}
