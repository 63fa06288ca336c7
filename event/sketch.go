package event

import (
	"encoding/binary"
	"slices"
)

// SketchSize is how many distinct values a Sketch counts exactly.
const SketchSize = 16

// Sketch is a bottom-k sketch: the SketchSize smallest keyed hashes of a set,
// ascending. Merging two sketches counts a value that both hold once. Up to
// SketchSize values its length is their number; from there on, Estimate
// extrapolates from the density of the smallest hashes, with a standard error of
// 1/sqrt(SketchSize-2), about 27 %.
type Sketch []uint32

// Hash32 is the keyed hash under which a value enters a Sketch. The salt makes
// hashes of different days and federations incomparable.
func Hash32(federation string, salt []byte, value string) uint32 {
	sum := Key{Selector: "sketch", Value: value}.Hash(federation, salt)
	return binary.BigEndian.Uint32(sum[:4])
}

// Add returns the sketch with the hash in it; the receiver may be reused.
func (s Sketch) Add(hash uint32) Sketch {
	at, found := slices.BinarySearch(s, hash)
	if found || at == SketchSize {
		return s
	}
	s = slices.Insert(s, at, hash)
	return s[:min(len(s), SketchSize)]
}

// Merge returns the union of both; neither is changed.
func (s Sketch) Merge(other Sketch) Sketch {
	union := slices.Clone(s)
	for _, h := range other {
		union = union.Add(h)
	}
	return union
}

// Estimate is the number of distinct values: exact below SketchSize.
func (s Sketch) Estimate() int {
	if len(s) < SketchSize {
		return len(s)
	}
	return max(SketchSize, int(float64(SketchSize-1)/float64(s[SketchSize-1])*(1<<32)))
}

func (s Sketch) valid() bool {
	if len(s) > SketchSize {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i-1] >= s[i] {
			return false
		}
	}
	return true
}
