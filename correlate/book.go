package correlate

import "sync"

// maxVariants is how many equally good alerts of one attack are passed on: the
// replicas of a key may raise theirs at the same moment with other evidence,
// and stopping one at a node that has the other would leave gaps in both floods.
const maxVariants = 4

// alertsKnown is how many alerts a Book remembers, at the least: about as
// many as a ledger has keys, so that a flood of sources is not news again and again.
const alertsKnown = 1 << 16

// Book remembers what has been concluded already, by alert. It is safe for
// concurrent use; memory is bounded: it forgets the older half when more than
// twice alertsKnown are remembered.
type Book struct {
	mu      sync.Mutex
	entries generations[string, noted]
}

type noted struct {
	gist
	variants int
}

// News reports whether a verdict says enough more than what is known of the
// alert to be told.
func (b *Book) News(id string, v Verdict) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.entries.get(id)
	return !known || v.gist().supersedes(old.gist)
}

// Knows reports whether anything has been concluded of the alert.
func (b *Book) Knows(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.entries.get(id)
	return known
}

// Enter notes a verdict. It returns whether the verdict is news, and whether an
// alert with it should be passed on to others: news always, and an equal of the
// known one a few times.
func (b *Book) Enter(id string, v Verdict) (news, pass bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries.kept = alertsKnown
	old, known := b.entries.get(id)
	switch {
	case !known || v.gist().supersedes(old.gist):
		b.entries.put(id, noted{v.gist(), 1})
		return true, true
	case old.supersedes(v.gist()) || old.variants >= maxVariants:
		return false, false
	}
	old.variants++
	b.entries.put(id, old)
	return false, true
}

// Forget takes back what has been concluded of an alert, because its evidence no
// longer counts: the next verdict is news, whatever it says.
func (b *Book) Forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries.drop(id)
}
