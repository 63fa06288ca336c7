package node

import (
	"bytes"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/store"
)

// tablesInKernel are the tables of family inet.
func tablesInKernel(t *testing.T) string {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		t.Skip("no firewall: ", err)
	}
	var names []string
	for _, table := range tables {
		names = append(names, table.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// What an earlier run blocked is dropped by no table that this one does not know of.
func TestOtherTablesGo(t *testing.T) {
	newCable(t)
	tablesInKernel(t)
	path := filepath.Join(t.TempDir(), "komondor.db")
	attacker := netip.MustParsePrefix("203.0.113.66/32")
	// run starts to block, as a node does, and returns what is blocked and what the log says.
	run := func(mode, table string) (blocks []block.Block, said string, err error) {
		t.Helper()
		s, err := store.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var log bytes.Buffer
		n := &Node{config: Config{Block: mode, Table: table, Network: "auto", Log: slog.New(slog.NewTextHandler(&log, nil))}, started: time.Now(), store: s}
		if err := n.startBlocking(t.Context()); err != nil {
			return nil, "", err
		}
		defer n.backend.Close()
		if _, err := n.blocks.Propose(t.Context(), n.started, block.Proposal{Prefix: attacker, Evidence: n.started, Manual: true}); err != nil {
			t.Fatal(err)
		}
		if err := n.blocks.Keep(); err != nil {
			t.Fatal(err)
		}
		return n.blocks.List(n.started), log.String(), nil
	}
	for _, step := range []struct {
		mode, table string
		kernel      string // the tables afterwards
		state       string
		gone        string // what the log says of another table
	}{
		{"nft", "komondor", "komondor", block.Blocked, ""},
		{"nft", "komondor", "komondor", block.Blocked, ""},
		{"nft", "guard", "guard", block.Blocked, "komondor"},
		{"observe", "komondor", "", block.Observed, "guard"},
		{"observe", "guard", "", block.Observed, ""},
		{"nft", "", "komondor", block.Blocked, ""},
	} {
		blocks, said, err := run(step.mode, step.table)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) != 1 || blocks[0].Prefix != attacker || blocks[0].State != step.state {
			t.Errorf("%+v: blocks %+v", step, blocks)
		}
		if got := tablesInKernel(t); got != step.kernel {
			t.Errorf("%+v: the kernel has %q", step, got)
		}
		if (step.gone != "") != strings.Contains(said, "gone") || !strings.Contains(said, step.gone) {
			t.Errorf("%+v: said %s", step, said)
		}
	}

	// A table that somebody else has made is not used, and later not removed.
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	conn.AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyINet})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run("nft", "filter"); err == nil || tablesInKernel(t) != "filter komondor" {
		t.Errorf("the kernel has %q, %v", tablesInKernel(t), err)
	}
	if ended, flushed, err := Flush(path, ""); ended != 1 || !slices.Equal(flushed, []string{"komondor"}) || err != nil || tablesInKernel(t) != "filter" {
		t.Errorf("without a node: %d ended, of %q, %v; the kernel has %q", ended, flushed, err, tablesInKernel(t))
	}
}
