package node

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/store"
)

// party is a node's judge and actor without a network.
type party struct {
	*actor
	*federation.Open
	judge    *judge
	accused  int // members that contradicted themselves
	rejudged int // how often own evidence was to be judged again
	heard    heard
	repeated [][]byte // alerts that others told, and the judge once more
	mu       sync.Mutex
	told     [][]byte // alerts that the judge raised
	store    *store.Store
	never    *block.Never
}

func newMember(t testing.TB) *federation.Open {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m, err := federation.NewOpen(key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "komondor.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newParty(t testing.TB, policy ...func(*block.Policy)) *party {
	t.Helper()
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{Open: newMember(t), store: newStore(t, t.TempDir())}
	if p.never, err = block.NewNever(block.NeverOptions{}); err != nil {
		t.Fatal(err)
	}
	wanted := block.DefaultPolicy()
	for _, change := range policy {
		change(&wanted)
	}
	manager, err := block.NewManager(block.Observer{}, p.never, kept{p.store.Blocks}, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.Restore(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	log, book := slog.New(slog.DiscardHandler), new(correlate.Book)
	p.actor = &actor{turn: make(chan struct{}, 1), log: log, rules: rules, member: p.Open, book: book, blocks: manager, again: func(context.Context, attackKey) { p.rejudged++ }, kept: keptAlert(p.store.Alerts), voices: allowance{limit: opinionsPerSecond, burst: opinionsAtOnce}, open: true, counters: new(counters), warnings: allowance{limit: warningsPerSecond, burst: warningsAtOnce},
		doubt: func(time.Time) string { return "" }, hear: p.heard.note, assessed: func(time.Time, []netip.Prefix) []string { return nil }}
	p.judge = &judge{log: log, rules: rules, member: p.Open, book: book, rank: func([32]byte) int { return 0 },
		near:   func([32]byte) bool { return true },
		accuse: func(context.Context, *correlate.Contradiction) { p.accused++ },
		heard:  p.heard.has,
		freed:  p.actor.freed,
		repeat: func(_ context.Context, id string) {
			if alert, ok := p.heard.take(id); ok {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.repeated = append(p.repeated, alert)
			}
		},
		raise: func(ctx context.Context, alert []byte) {
			if p.receive(ctx, "", alert) != broadcast.Fresh {
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told = append(p.told, alert)
		},
		counters: p.actor.counters, collector: correlate.NewCollector(rules, evidenceKept), waiting: make(map[string]bool)}
	return p
}

// since returns the alerts that the judge has raised after the first n.
func (p *party) since(n uint64) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[n:]
}

func (p *party) alerts() int { return len(p.since(0)) }

const attacker = "203.0.113.66"

var attackerKey = event.Key{Selector: event.BySource, Value: attacker}

// failures is a report of n invalid users in the last minutes.
func failures(m *federation.Open, version uint64, n uint32, last time.Time) event.Report {
	return event.Report{Federation: m.Name(), Member: m.Member(), Key: attackerKey, Version: version,
		Tallies: []event.Tally{{Kind: event.SSHUserInvalid, First: last.Add(-time.Minute).Unix(), Last: last.Unix(), Proven: n}}}
}

// seal signs a report as m.
func seal(t testing.TB, m *federation.Open, r event.Report) event.Sealed {
	t.Helper()
	body, err := event.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := m.Seal(body)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := event.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
