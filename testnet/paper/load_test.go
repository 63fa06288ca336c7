package paper

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func nearly(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestSpread(t *testing.T) {
	s := NewSpread([]float64{0, 1, 10, 109})
	if s.Carriers != 3 || s.Idle != 1 || s.Least != 1 || s.Most != 109 || s.Mean != 30 {
		t.Errorf("%+v", s)
	}
	if want := math.Sqrt((900+841+400+79*79)/4.0) / 30; !nearly(s.CV, want) {
		t.Errorf("deviation %v, want %v", s.CV, want)
	}
	if !nearly(s.Magnitude(), math.Log10(109)) || !nearly(s.MaxMean(), 109.0/30) {
		t.Errorf("magnitude %v, busiest %v", s.Magnitude(), s.MaxMean())
	}
	for _, none := range [][]float64{nil, {0, 0}} {
		if s := NewSpread(none); s.Magnitude() != 0 || s.MaxMean() != 0 || s.CV != 0 {
			t.Errorf("no load at all: %+v", s)
		}
	}
	if s := NewSpread([]float64{5, 5, 5}); s.Magnitude() != 0 || s.MaxMean() != 1 || s.CV != 0 {
		t.Errorf("even load: %+v", s)
	}
}

// Two crowded subnets, whose keys are spread by hand: 1000 and 10 events become
// 505 in each half, a magnitude of 2 becomes one of 0.
var byHand = []Attacker{
	{Addr: netip.MustParseAddr("10.0.0.1"), Place: 0x00000000, Events: 500, Reports: 3},
	{Addr: netip.MustParseAddr("10.0.0.2"), Place: 0x80000000, Events: 500, Reports: 2},
	{Addr: netip.MustParseAddr("200.0.0.1"), Place: 0x01000000, Events: 5, Reports: 1},
	{Addr: netip.MustParseAddr("200.0.0.2"), Place: 0x81000000, Events: 5, Reports: 1},
}

func TestFactorByHand(t *testing.T) {
	for _, c := range []struct {
		what        string
		byAddr, key []float64
		lower       float64
	}{
		{"halves", cells(byHand, address, events, 1), cells(byHand, hashed, events, 1), 2},
		{"two nodes' ranges", ranges(byHand, address, events, 2), ranges(byHand, hashed, events, 2), 2},
		{"two nodes, nearest", nodes(byHand, address, events, []uint32{1, 1 << 31}, 1), nodes(byHand, hashed, events, []uint32{1, 1 << 31}, 1), 2},
		{"octets", cells(byHand, address, events, 8), cells(byHand, hashed, events, 8), 0},
	} {
		if lower := NewSpread(c.byAddr).Magnitude() - NewSpread(c.key).Magnitude(); !nearly(lower, c.lower) {
			t.Errorf("%s: lower by %v, want %v", c.what, lower, c.lower)
		}
	}
	if got := nodes(byHand, hashed, reports, []uint32{1, 1 << 31}, 2); !slices.Equal(got, []float64{7, 7}) {
		t.Errorf("reports to both nodes: %v", got)
	}
}

func TestNearestIsNearest(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 6))
	for _, n := range []int{1, 2, 7, 100} {
		ids := randomIDs(n, chance)
		for range 1000 {
			key, r := chance.Uint32(), 1+chance.IntN(5)
			want := make([]int, n)
			for i := range want {
				want[i] = i
			}
			slices.SortFunc(want, func(a, b int) int { return cmp.Compare(ids[a]^key, ids[b]^key) })
			if got := nearest(nil, ids, key, r); !slices.Equal(got, want[:min(r, n)]) {
				t.Fatalf("%d nodes, %d nearest to %x: %v, want %v", n, r, key, got, want[:min(r, n)])
			}
		}
	}
}

// What is alike in all draws of node ids is what it is, and its magnitude is kept.
func TestTypical(t *testing.T) {
	s := typical(4, rand.New(rand.NewPCG(1, 7)), func([]uint32) []float64 { return []float64{0, 1, 10, 100} })
	if want := NewSpread([]float64{0, 1, 10, 100}); !nearly(s.Magnitude(), 2) || s.Idle != 1 || !nearly(s.MaxMean(), want.MaxMean()) || !nearly(s.CV, want.CV) {
		t.Errorf("%+v, want %+v", s, want)
	}
}
