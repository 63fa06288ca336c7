package correlate

import (
	"container/list"
	"math/bits"
)

// budget chooses who goes when there is too much, however many sources an
// attacker fakes: the least telling key, and among equals the one that has been
// quiet longest. Telling is measured in powers of two, so a key is found in
// constant time.
type budget struct {
	classes [classes]list.List // of *page, the quietest in front
	evicted uint64
}

const classes = 32

// place is where a page is in the budget.
type place struct {
	class   int
	element *list.Element // nil: nowhere yet
}

// touch notes that the page has weight now.
func (b *budget) touch(p *page, weight int) {
	class := min(bits.Len(uint(max(weight, 0))), classes-1)
	if p.place.element != nil && p.place.class == class {
		b.classes[class].MoveToBack(p.place.element)
		return
	}
	b.drop(p)
	p.place = place{class, b.classes[class].PushBack(p)}
}

// evict gives up the least telling page but the newest one, which could otherwise
// never gather weight beside heavier ones. It returns nil where there is no other.
func (b *budget) evict(newest *page) *page {
	for c := range b.classes {
		for element := b.classes[c].Front(); element != nil; element = element.Next() {
			if p := element.Value.(*page); p != newest {
				b.drop(p)
				b.evicted++
				return p
			}
		}
	}
	return nil
}

func (b *budget) drop(p *page) {
	if p.place.element != nil {
		b.classes[p.place.class].Remove(p.place.element)
		p.place.element = nil
	}
}
