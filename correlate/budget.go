package correlate

import (
	"container/list"
	"math/bits"

	"github.com/komondor/komondor/event"
)

// budget chooses who goes when there is too much, however many sources an
// attacker fakes: the least telling key, and among equals the one that has been
// quiet longest. Telling is measured in powers of two, so a key is found in
// constant time.
type budget struct {
	classes [classes]list.List // of event.Key, the quietest in front
	places  map[event.Key]place
	evicted uint64
}

const classes = 32

type place struct {
	class   int
	element *list.Element
}

// touch notes that the key has weight now.
func (b *budget) touch(key event.Key, weight int) {
	if b.places == nil {
		b.places = make(map[event.Key]place)
	}
	class := min(bits.Len(uint(max(weight, 0))), classes-1)
	if p, ok := b.places[key]; ok {
		if p.class == class {
			b.classes[class].MoveToBack(p.element)
			return
		}
		b.classes[p.class].Remove(p.element)
	}
	b.places[key] = place{class, b.classes[class].PushBack(key)}
}

// evict gives up the least telling key but the newest one, which could otherwise
// never gather weight beside heavier ones.
func (b *budget) evict(newest event.Key) (event.Key, bool) {
	for c := range b.classes {
		for element := b.classes[c].Front(); element != nil; element = element.Next() {
			if key := element.Value.(event.Key); key != newest {
				b.drop(key)
				b.evicted++
				return key, true
			}
		}
	}
	return event.Key{}, false
}

func (b *budget) drop(key event.Key) {
	if p, ok := b.places[key]; ok {
		b.classes[p.class].Remove(p.element)
		delete(b.places, key)
	}
}
