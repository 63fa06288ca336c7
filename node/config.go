package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/respond"
)

// Config is what a node is told. Its zero value is not useful: Data and Listen must
// be set, and Open where the data directory holds no membership.
type Config struct {
	Version string
	// Data is the directory that holds the identity and the store.
	Data string
	// Listen are the multiaddrs that the overlay listens on.
	Listen []string
	// Announce are multiaddrs at which others reach this node where it cannot know
	// them: behind a NAT that forwards a port.
	Announce []string
	// Bootstrap are multiaddrs, ending in /p2p/ID, of members to join by; the
	// first node of an overlay has none.
	Bootstrap []string
	// Capacity is for which share of the keys near to it this node collects: 1, 1/2, 1/4,
	// 1/8 or 0. Empty: 1, and 0 for a leaf.
	Capacity string
	// Leaf is a node that reports and acts, and collects and forwards for nobody. It
	// needs no address at which others reach it.
	Leaf bool
	// Open says that this is a lab overlay without certificates.
	Open bool
	// Invitation is redeemed for a certificate, unless the data directory holds one.
	Invitation string
	// Passphrase opens the keys in the data directory, where they are encrypted.
	Passphrase string
	// Quorum is how many organisations an alert needs. In an open overlay it takes
	// the place of the rules' own; in a federation it can only ask for more than its
	// policy does, and what has less waits for a person. 0 leaves it as it is.
	Quorum int
	// Network is what evidence of others may do: auto, approve or observe.
	Network string
	// Opinions is what others' opinions that an alert is false may do: show or lift; empty:
	// show. OpinionsQuorum is how many organisations must be of that opinion: 2 where it is 0.
	Opinions       string
	OpinionsQuorum int
	// WidestIPv4 and WidestIPv6 are the shortest prefix lengths that alerts may block: 24 to 32 and
	// 48 to 64; 0 stands for single addresses and single /64.
	WidestIPv4, WidestIPv6 int
	Sources                []Source
	// Home are one's own networks: what a sensor sees from there is archived, and is held
	// against nobody; nor are they ever blocked.
	Home []netip.Prefix
	// Rules are one's own, beside the built-in ones. In a federation they are judged on this
	// node's own evidence only: what is judged together is in the policy.
	Rules []correlate.Rule
	// Relations are one's own, beside the built-in ones or the policy's: they say what of this
	// node's own events belongs together.
	Relations []correlate.Relation
	// Situations loads the seven situations, too; in a federation for this node's own evidence,
	// unless its policy has them judged together.
	Situations bool
	// Allow are addresses, prefixes and host names never to block.
	Allow []string
	// Block is "nft" or "observe"; Table is the nftables table, by default
	// block.DefaultTable.
	Block, Table string
	// Respond is what the units that respond may do, by their names (ParseResponse);
	// one that is not named observes. Hooks are the programs that they may run.
	Respond map[string]respond.Mode
	Hooks   []respond.Hook
	// Follow are the names of the scenarios that are followed; none: all.
	Follow []string
	// Scenarios are one's own, beside the built-in ones. Others do not know them, so their steps are not
	// told.
	Scenarios []*scenario.Scenario
	// Control is the path of the control socket; HTTP an address for the same
	// read-only, or empty.
	Control, HTTP string
	Log           *slog.Logger

	// Host, if set, is used in the place of one listening at Listen, Member in the
	// place of the membership in the data directory, and Backend in the place of the
	// one that Block names. Networks in virtual time set them.
	Host    host.Host
	Member  *federation.Member
	Backend block.Backend
}

// Source is a log to read.
type Source struct {
	Format string
	Path   string
	// Watch is what a source of packets is told beside: one whose format is Live, or Pcap.
	Watch Watch
	// Formats are those that Format may name, or that "auto" may find; nil: the built-in ones.
	Formats probe.Formats
	// Follow reads the lines; nil follows the file at Path.
	Follow func(ctx context.Context, from follow.Position, handle func(follow.Line) error) error
	// Proxies are one's own, in whose place their clients are blamed.
	Proxies []netip.Prefix
}

// ParseSource reads FORMAT=PATH.
func ParseSource(formats probe.Formats, s string) (Source, error) {
	format, path, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		return Source{}, fmt.Errorf("source %q: want FORMAT=PATH, for instance sshd=/var/log/auth.log", s)
	}
	switch format {
	case "auto", Pcap, Live:
	case Process:
		if path != "host" {
			return Source{}, fmt.Errorf("source %q: want %s=host: the programs of this host", s, Process)
		}
	default:
		if _, err := formats.Lookup(format); err != nil {
			return Source{}, fmt.Errorf("source %q: %w; or auto, %s, %s or %s", s, err, Pcap, Live, Process)
		}
	}
	return Source{Format: format, Path: path, Formats: formats}, nil
}

const (
	// The bounds of memory, whatever an attacker fakes: own evidence, that of
	// others in bytes (60,000 usual reports, 23,000 of the longest), and keys with a
	// report to deliver.
	talliesKept  = 100_000
	evidenceKept = 32 << 20
	lettersKept  = 20_000

	clockSkew    = 2 * time.Minute // evidence may be so far ahead of our clock
	commitEvery  = 100 * time.Millisecond
	sweepEvery   = time.Minute
	replicaDelay = 100 * time.Millisecond // a replica waits its rank times this
)

// Check says what is wrong with the configuration, all of it, before anything is done.
func (c *Config) Check() error {
	var errs []error
	if c.Data == "" {
		errs = append(errs, errors.New("no data directory: say --data DIR"))
	}
	if c.Block != "nft" && c.Block != "observe" {
		errs = append(errs, fmt.Errorf("block mode %q: want nft or observe", c.Block))
	}
	c.Table = cmp.Or(c.Table, block.DefaultTable)
	if err := block.CheckTable(c.Table); err != nil {
		errs = append(errs, fmt.Errorf("--table: %w", err))
	}
	if c.Network == "" {
		c.Network = string(block.Auto)
	}
	if _, err := block.ParseMode(c.Network); err != nil {
		errs = append(errs, fmt.Errorf("--network: %w", err))
	}
	if c.Opinions != "" && c.Opinions != "show" && c.Opinions != "lift" {
		errs = append(errs, fmt.Errorf("--opinions %q: want show or lift", c.Opinions))
	}
	if c.OpinionsQuorum < 0 {
		errs = append(errs, fmt.Errorf("--opinions-quorum %d: want 1 or more", c.OpinionsQuorum))
	}
	if c.WidestIPv4 != 0 && (c.WidestIPv4 < 24 || c.WidestIPv4 > 32) {
		errs = append(errs, fmt.Errorf("--widest-ipv4 %d: want a prefix length of 24 to 32, for instance 28", c.WidestIPv4))
	}
	if c.WidestIPv6 != 0 && (c.WidestIPv6 < 48 || c.WidestIPv6 > 64) {
		errs = append(errs, fmt.Errorf("--widest-ipv6 %d: want a prefix length of 48 to 64, for instance 56", c.WidestIPv6))
	}
	if capacity, err := c.capacity(); err != nil {
		errs = append(errs, fmt.Errorf("--capacity: %w", err))
	} else if c.Leaf && capacity != overlay.None {
		errs = append(errs, fmt.Errorf("--leaf and --capacity %s: a leaf collects for nobody; leave one of them away", c.Capacity))
	}
	if c.Leaf && c.Open && len(c.Bootstrap) == 0 {
		errs = append(errs, errors.New("--leaf and no address to join by: a leaf hangs on others; name the address of one, as `komondor status` shows it there"))
	}
	if _, err := library(c.Follow, c.Scenarios...); err != nil {
		errs = append(errs, err)
	}
	if c.Quorum < 0 {
		errs = append(errs, fmt.Errorf("quorum %d: want 1 or more, or 0 for the policy's own", c.Quorum))
	}
	for what, texts := range map[string][]string{"listen": c.Listen, "announced": c.Announce} {
		if _, err := multiaddrs(what, texts); err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range c.Home {
		if !slices.Contains(c.Allow, p.String()) {
			c.Allow = append(slices.Clip(c.Allow), p.String())
		}
	}
	seen := map[string]bool{}
	for i := range c.Sources {
		s := &c.Sources[i]
		if absolute, err := filepath.Abs(s.Path); err == nil && s.Path != "-" && s.Follow == nil && s.Format != Live && s.Format != Process {
			s.Path = absolute // its position is kept under this name
		}
		if seen[s.Path] {
			errs = append(errs, fmt.Errorf("source %s is named twice", s.Path))
		}
		seen[s.Path] = true
	}
	if err := c.checkHooks(); err != nil {
		errs = append(errs, err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}

// lift is how many organisations' opinions lift blocks; 0: none do.
func (c *Config) lift() int {
	if c.Opinions != "lift" {
		return 0
	}
	return cmp.Or(c.OpinionsQuorum, 2)
}

func (c *Config) capacity() (overlay.Capacity, error) {
	switch {
	case c.Capacity != "":
		return overlay.ParseCapacity(c.Capacity)
	case c.Leaf:
		return overlay.None, nil
	}
	return overlay.Full, nil
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// private reports whether an address says nothing outside its own site.
func private(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsMulticast()
}
