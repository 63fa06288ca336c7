package node

import (
	"net/netip"
	"testing"

	"github.com/komondor/komondor/control"
)

// Only who collects a key says how far the evidence of all is from a threshold. A leaf does not, and says so.
func TestExplainAtWhoDoesNotCollect(t *testing.T) {
	full := start(t, Config{Data: t.TempDir(), Open: true})
	dir := t.TempDir()
	leaf := start(t, Config{Data: dir, Open: true, Leaf: true, Bootstrap: full.status().Node.Addresses, Sources: []Source{attacked(t, dir)}})
	of := func(p *participant, scope string) control.Standing {
		t.Helper()
		x, err := p.node.Load().Explain(t.Context(), netip.MustParseAddr(attacker))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range x.Rules {
			if s.Rule == "ssh-brute-force" && s.Scope == scope {
				return s
			}
		}
		t.Fatal("the rule is not explained")
		return control.Standing{}
	}
	wait(t, "the full node has the leaf's evidence", func() bool { s := of(full, "federation"); return s.Score == 12 && s.Organisations == 1 })
	if s := of(full, "federation"); s.Elsewhere {
		t.Errorf("at the collector: %+v", s)
	}
	if s := of(leaf, "federation"); !s.Elsewhere || s.Score != 0 || s.Threshold == 0 || s.Quorum == 0 {
		t.Errorf("at the leaf: %+v", s)
	}
	if s := of(leaf, "home"); s.Elsewhere || s.Score == 0 {
		t.Errorf("what the leaf has seen: %+v", s)
	}
}
