package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/block"
)

// clockwork is a kernel that blocks until the time to live is over.
type clockwork struct {
	block.Observer
	until map[netip.Prefix]time.Time
}

func (clockwork) Enforcing() bool { return true }

func (c clockwork) Add(_ context.Context, entries []block.Entry) error {
	for _, e := range entries {
		c.until[e.Prefix] = time.Now().Add(e.TTL)
	}
	return nil
}

func (c clockwork) Counters(context.Context, ...netip.Prefix) (map[netip.Prefix]block.Counter, error) {
	all := map[netip.Prefix]block.Counter{}
	for prefix, until := range c.until {
		all[prefix] = block.Counter{Remaining: time.Until(until)}
	}
	return all, nil
}

// A name of the allow-list that nobody resolves costs time, and no block is taken for
// missing or lasts for longer by it. Who only asks what is blocked does not wait.
func TestNamesThatDoNotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := clockwork{until: map[netip.Prefix]time.Time{}}
		n := newResponding(t, kernel, nil)
		var log bytes.Buffer
		n.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		never, err := block.NewNever(block.NeverOptions{Allow: []string{"admin.example.net"}, Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, errors.New("no answer")
		}})
		if err != nil {
			t.Fatal(err)
		}
		if n.blocks, err = block.NewManager(kernel, never, kept{n.store.Blocks}, block.DefaultPolicy()); err != nil {
			t.Fatal(err)
		}
		decision, err := n.blocks.Propose(t.Context(), time.Now(), block.Proposal{Prefix: netip.MustParsePrefix("203.0.113.66/32"), Evidence: time.Now(), Manual: true})
		if err != nil || !decision.Applied {
			t.Fatalf("%+v, %v", decision, err)
		}
		start := time.Now()
		n.reconcile(t.Context())
		if time.Since(start) < time.Second {
			t.Error("the name was not asked for")
		}
		if log.Len() > 0 || len(kernel.until) != 1 {
			t.Errorf("%d blocks; said %s", len(kernel.until), &log)
		}
		for prefix, until := range kernel.until {
			if !until.Equal(decision.Block.Until) {
				t.Errorf("%s is blocked until %s, want %s", prefix, until, decision.Block.Until)
			}
		}
		if warning := n.blocks.Status(time.Now()).Warning; !strings.Contains(warning, `"admin.example.net"`) {
			t.Errorf("warning %q", warning)
		}
		start = time.Now()
		if blocks, err := n.Blocks(); len(blocks) != 1 || err != nil || time.Since(start) > 0 {
			t.Errorf("%+v, %v after %s", blocks, err, time.Since(start))
		}
		if warning := n.blocks.Status(time.Now()).Warning; warning == "" {
			t.Error("the warning is forgotten")
		}
	})
}
