package correlate

import "sync"

// maxVariants is how many equally good alerts of one attack are passed on: the
// replicas of a key may raise theirs at the same moment with other evidence,
// and stopping one at a node that has the other would leave gaps in both floods.
const maxVariants = 4

// Book remembers what has been concluded already, by alert. It is safe for
// concurrent use; memory is bounded as for Attempts.
type Book struct {
	mu      sync.Mutex
	entries generations[string, noted]
}

type noted struct {
	verdict  Verdict
	variants int
}

// News reports whether a verdict says enough more than what is known of the
// alert to be told.
func (b *Book) News(id string, v Verdict) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.entries.get(id)
	return !known || v.Supersedes(old.verdict)
}

// Enter notes a verdict. It returns whether the verdict is news, and whether an
// alert with it should be passed on to others: news always, and an equal of the
// known one a few times.
func (b *Book) Enter(id string, v Verdict) (news, pass bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.entries.get(id)
	switch {
	case !known || v.Supersedes(old.verdict):
		b.entries.put(id, noted{v, 1})
		return true, true
	case old.verdict.Supersedes(v) || old.variants >= maxVariants:
		return false, false
	}
	old.variants++
	b.entries.put(id, old)
	return false, true
}
