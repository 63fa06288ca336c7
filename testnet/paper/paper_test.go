package paper

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/golden.md anew")

// small is a page that takes a second.
func small(t *testing.T) Options {
	return Options{
		Data: "testdata/no real logs", Out: filepath.Join(t.TempDir(), "figures"), Seed: 1,
		Nodes: []int{7, 100}, Ways: 200, Shapes: []Shape{{Attacks: 300, Most: 1000, Busiest: 5}},
	}
}

// figures reads the folder that a page was drawn into.
func figures(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range files {
		if all[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestPage(t *testing.T) {
	var page, again bytes.Buffer
	first, second := small(t), small(t)
	if err := Run(t.Context(), first, &page); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/golden.md", page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile("testdata/golden.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page.Bytes(), golden) {
		t.Errorf("not what testdata/golden.md has (go test ./testnet/paper -update):\n%s", page.Bytes())
	}
	drawn := figures(t, first.Out)
	if want := []string{"addresses-made-300.svg", "attacks-password-made-300.svg", "duration-password-made-300.svg", "hops.svg", "keys-made-300.svg", "load-made-300.svg", "messages-100.svg"}; !slices.Equal(slices.Sorted(maps.Keys(drawn)), want) {
		t.Errorf("drew %v, want %v", slices.Sorted(maps.Keys(drawn)), want)
	}
	if err := Run(t.Context(), second, &again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page.Bytes(), again.Bytes()) || !maps.EqualFunc(drawn, figures(t, second.Out), bytes.Equal) {
		t.Error("the same seed gives another page")
	}
}

func TestPageEndsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, small(t), new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Table I's formulas, and that a message to oneself is none.
func TestCosts(t *testing.T) {
	var c Costs
	c.add(Traffic{Events: 1000, Reports: 10, Lookups: 2}, Path{Chord: 3, Kademlia: 2, Store: 1, Lookup: 2, Report: 5, Nearest: 1}, 128)
	if want := (Costs{Events: 1000, ChordComputed: 7000, Chord: 3000, KademliaComputed: 1007, Kademlia: 1002, One: 14, All: 54}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	chance := rand.New(rand.NewPCG(1, 10))
	if p := NewOverlays(1, chance).Path(0, 42); p != (Path{}) {
		t.Errorf("alone: %+v", p)
	}
	o := NewOverlays(7, chance)
	mean := o.Mean(4000, chance)
	// Any of seven nodes is the key's with the same chance, and three of seven collect.
	if math.Abs(mean.Store-6.0/7) > 0.05 || math.Abs(mean.Report-(3-3.0/7)) > 0.1 {
		t.Errorf("%+v", mean)
	}
	if c := o.Guess(builtin(t), mean, 100, time.Second); c.Events != 100 || !nearly(c.Chord, 100*mean.Chord) || c.One >= c.All {
		t.Errorf("%+v", c)
	}
}
