package event

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func sketchOf(hashes ...uint32) Sketch {
	var s Sketch
	for _, h := range hashes {
		s = s.Add(h)
	}
	return s
}

func TestSketchIsExactUpToItsSize(t *testing.T) {
	var s Sketch
	for n := 1; n <= SketchSize; n++ {
		for range 3 { // a value counts once
			s = s.Add(Hash32("f", []byte("salt"), fmt.Sprint("tcp/", n)))
		}
		if len(s) != n || !s.valid() || n < SketchSize && s.Estimate() != n {
			t.Errorf("%d values: length %d, estimate %d", n, len(s), s.Estimate())
		}
	}
	if Sketch(nil).Estimate() != 0 {
		t.Error("nothing counts for something")
	}
}

func TestSketchKeepsTheSmallestInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint32, 100)
	for i := range hashes {
		hashes[i] = random.Uint32()
	}
	want := Sketch(slices.Clone(hashes))
	slices.Sort(want)
	want = want[:SketchSize]
	for range 20 {
		random.Shuffle(len(hashes), func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
		if got := sketchOf(hashes...); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		a, b := sketchOf(hashes[:60]...), sketchOf(hashes[40:]...) // 20 values in both
		before := slices.Clone(a)
		if got := a.Merge(b); !slices.Equal(got, want) || !slices.Equal(a, before) {
			t.Fatalf("merged %v, want %v", got, want)
		}
	}
	if got := sketchOf(1, 2, 3).Merge(sketchOf(2, 3, 4)); !slices.Equal(got, Sketch{1, 2, 3, 4}) {
		t.Errorf("merged %v: what both have counts once", got)
	}
}

// The doc comment promises a standard error of 1/sqrt(SketchSize-2).
func TestSketchEstimate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{20, 100, 10_000} {
		const runs = 400
		var sum, squares float64
		for range runs {
			var s Sketch
			for range n {
				s = s.Add(random.Uint32())
			}
			off := float64(s.Estimate())/float64(n) - 1
			sum, squares = sum+off, squares+off*off
		}
		bias, deviation := sum/runs, math.Sqrt(squares/runs)
		if math.Abs(bias) > 0.05 || deviation > 1.2/math.Sqrt(SketchSize-2) {
			t.Errorf("%d values: off by %+.2f on average, standard error %.2f", n, bias, deviation)
		}
	}
	extreme := make(Sketch, SketchSize)
	for i := range extreme {
		extreme[i] = uint32(i)
	}
	if n := extreme.Estimate(); n < SketchSize {
		t.Errorf("the smallest possible hashes stand for %d values", n)
	}
}
