package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// DefaultTable is the name of our nftables table, of the family inet.
const DefaultTable = "komondor"

// chunk is how many elements one netlink message may carry: their list is one
// attribute, whose length has 16 bits.
const chunk = 1000

// Options of a Firewall.
type Options struct {
	// Table is the nftables table, by default DefaultTable.
	Table string
	// OverlayPorts are the TCP and UDP ports on which this node's overlay
	// listens. Packets to them, and those sent from them, pass whoever the
	// peer is. The overlay opens connections from other ports: see SetMembers.
	OverlayPorts []uint16
}

// Firewall drops the packets from and to what is blocked, by a table of its
// own in the kernel's nftables. It touches no other table, and none of that name
// that somebody else has made.
type Firewall struct {
	table *nftables.Table
	ports []uint16

	mu      sync.Mutex // guards all below
	sock    *socket
	sizes   map[size]bool // those whose sets are in the kernel
	shapes  map[shape]bool
	never   []netip.Prefix
	members []netip.AddrPort
}

// NewFirewall opens the kernel's netlink socket; Setup makes the table. Reading
// and writing nftables takes CAP_NET_ADMIN.
func NewFirewall(o Options) (*Firewall, error) {
	if o.Table == "" {
		o.Table = DefaultTable
	}
	f := &Firewall{table: tableNamed(o.Table), ports: o.OverlayPorts, sizes: usual(), shapes: map[shape]bool{}}
	var err error
	if f.sock, err = openSocket(); err != nil {
		return nil, f.explain("open nftables", err)
	}
	return f, nil
}

// Table is the name of the nftables table.
func (f *Firewall) Table() string { return f.table.Name }

var tableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,254}$`)

// CheckTable refuses a table's name that the kernel would take and the nft program
// could not read.
func CheckTable(name string) error {
	if !tableName.MatchString(name) {
		return fmt.Errorf("table %.300q: want a letter, and then up to 254 letters, digits, _, - and dots, for instance %s", name, DefaultTable)
	}
	return nil
}

func tableNamed(name string) *nftables.Table {
	return &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
}

// Add blocks prefixes; see Backend.
func (f *Firewall) Add(ctx context.Context, entries []Entry) error {
	// A prefix named twice would be deleted twice in one transaction, which
	// the kernel refuses. The later entry counts.
	ttl := make(map[netip.Prefix]time.Duration, len(entries))
	for _, e := range entries {
		p, err := canonical(e.Prefix)
		if err != nil {
			return fmt.Errorf("block: %w", err)
		}
		if e.TTL < time.Millisecond {
			return fmt.Errorf("block %s: time to live %s, want at least 1ms", p, e.TTL)
		}
		ttl[p] = e.TTL
	}
	return f.change(ctx, "block", ttl, true)
}

// Remove ends blocks; see Backend.
func (f *Firewall) Remove(ctx context.Context, prefixes []netip.Prefix) error {
	ttl := make(map[netip.Prefix]time.Duration, len(prefixes))
	for _, p := range prefixes {
		p, err := canonical(p)
		if err != nil {
			return fmt.Errorf("unblock: %w", err)
		}
		ttl[p] = time.Second
	}
	return f.change(ctx, "unblock", ttl, false)
}

// change replaces elements, or deletes them where keep is false. Deleting what
// is missing fails, and adding what is there keeps the old time to live before
// Linux 6.12: so one transaction adds, deletes and adds.
func (f *Firewall) change(ctx context.Context, verb string, ttl map[netip.Prefix]time.Duration, keep bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for part := range slices.Chunk(slices.SortedFunc(maps.Keys(ttl), netip.Prefix.Compare), chunk) {
		what := fmt.Sprintf("%s %s", verb, part[0])
		if len(part) > 1 {
			what = fmt.Sprintf("%s %d prefixes, %s to %s", verb, len(part), part[0], part[len(part)-1])
		}
		entries := map[size][]Entry{}
		further := false
		for _, p := range part {
			s := sizeOf(p)
			if !f.sizes[s] && !keep {
				continue // there is none of this size
			}
			if !f.sizes[s] {
				f.sizes[s], further = true, true
			}
			entries[s] = append(entries[s], Entry{p, ttl[p]})
		}
		if further {
			if err := f.setup(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
		var messages []message
		for s, list := range entries {
			elements := elementList(f.table.Name, s, list)
			add := message{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elements}
			messages = append(messages, add, message{unix.NFT_MSG_DELSETELEM, 0, elements})
			if keep {
				messages = append(messages, add)
			}
		}
		if len(messages) == 0 {
			continue
		}
		if err := f.withTable(ctx, what, func() error { return f.sock.batch(messages...) }); err != nil {
			return err
		}
	}
	return nil
}

// Counters reads the elements of the drop sets; see Backend.
func (f *Firewall) Counters(ctx context.Context, prefixes ...netip.Prefix) (map[netip.Prefix]Counter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := make(map[netip.Prefix]Counter, len(prefixes))
	read := func(s size, flags uint16, entries ...Entry) error {
		request := message{unix.NFT_MSG_GETSETELEM, flags, elementList(f.table.Name, s, entries)}
		return f.sock.ask(request, func(reply []byte) { decodeElements(reply, s.bits, found) })
	}
	if len(prefixes) == 0 {
		for s := range f.sizes {
			if err := read(s, unix.NLM_F_DUMP); err != nil {
				return nil, f.explain("read the blocks", err)
			}
		}
	}
	for _, p := range prefixes {
		p, err := canonical(p)
		if err == nil {
			err = read(sizeOf(p), 0, Entry{Prefix: p})
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, f.explain("read "+p.String(), err)
		}
	}
	return found, nil
}

// withTable does the change. Where somebody else has deleted our table it makes
// it anew and tries again.
func (f *Firewall) withTable(ctx context.Context, what string, change func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	err := change()
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.setup(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		err = change()
	}
	return f.explain(what, err)
}

// Enforcing is true: the kernel drops what is blocked.
func (f *Firewall) Enforcing() bool { return true }

// Close gives the socket back. The blocks stay until they end.
func (f *Firewall) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sock.close()
}

// explain says what failed on which table, and how to help it.
func (f *Firewall) explain(what string, err error) error {
	remedy := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		remedy = " (needs CAP_NET_ADMIN: run as root, or use --block observe)"
	case errors.Is(err, ErrForeign):
		remedy = " (Komondor leaves it alone: choose another with --table)"
	case errors.Is(err, fs.ErrExist):
		remedy = ` (the table is there with other contents than ours: remove it with "komondor block flush", then start again)`
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		remedy = " (this kernel has no nftables for inet: load nf_tables, or use --block observe)"
	}
	return fmt.Errorf("nftables table inet %s: %s: %w%s", f.table.Name, what, err, remedy)
}
