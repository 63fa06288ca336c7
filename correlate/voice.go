package correlate

import (
	"cmp"
	"slices"
)

// few is up to how many testimonies are compared one by one, which is quicker than a map.
const few = 16

// voices numbers the organisations that testify: each testimony's number is the place of the
// first one of the same organisation.
func voices(said []Testimony) []int {
	numbers := make([]int, len(said))
	if len(said) <= few {
		for i := range said {
			for said[numbers[i]].Organisation != said[i].Organisation {
				numbers[i]++
			}
		}
		return numbers
	}
	first := make(map[string]int, len(said))
	for i := range said {
		if _, known := first[said[i].Organisation]; !known {
			first[said[i].Organisation] = i
		}
		numbers[i] = first[said[i].Organisation]
	}
	return numbers
}

// each holds something of each organisation that there is something of, by its number: most sources
// are known to a few of many. Testimonies are looked at one after the other, so that it is
// mostly the last one that is asked for, which is several times as quick as a map by name.
type each[T any] []voiced[T]

type voiced[T any] struct {
	voice int
	value T
}

// of is what it holds of an organisation, the zero value at first. It is to be used before the next is asked for.
func (e *each[T]) of(voice int) *T {
	list := *e
	at := len(list)
	switch {
	case at > 0 && list[at-1].voice == voice:
		return &list[at-1].value
	case at > 0 && list[at-1].voice > voice:
		var found bool
		at, found = slices.BinarySearchFunc(list, voice, func(v voiced[T], voice int) int { return cmp.Compare(v.voice, voice) })
		if found {
			return &list[at].value
		}
	}
	*e = slices.Insert(list, at, voiced[T]{voice: voice})
	return &(*e)[at].value
}
