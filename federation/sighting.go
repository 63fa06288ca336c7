package federation

import (
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// sighting is what this node remembers of another besides its chain. It is kept
// as long as that.
type sighting struct {
	// First is the Unix second at which the node's first chain came here; of this
	// node itself, when it ran for the first time.
	First int64 `cbor:"1,keyasint"`
	// Lost is when the node's certificate ended, and was renewed without a word of
	// it; 0 since it was last renewed alive.
	Lost int64 `cbor:"2,keyasint,omitempty"`
}

const (
	sightingPrefix = "sighting/"
	// settling is how long a new node believes others since when they are members:
	// it has met nobody before.
	settling = time.Hour
)

// see remembers the sighting of a node; m.mu is held.
func (m *Member) see(id string, s sighting) error {
	record, err := event.Encode(s)
	if err != nil {
		return err
	}
	m.sightings[id], m.pool.unkept[sightingPrefix+id] = s, record
	return nil
}

// unsee forgets a node; m.mu is held.
func (m *Member) unsee(id string) {
	delete(m.sightings, id)
	m.pool.unkept[sightingPrefix+id] = nil
}

// recallSighting takes in what the keeper has. A damaged one is forgotten: the
// node then counts as new.
func (m *Member) recallSighting(key string, value []byte) {
	id, ok := strings.CutPrefix(key, sightingPrefix)
	if !ok {
		return
	}
	var s sighting
	if decodeExact(value, &s) != nil {
		m.pool.unkept[key] = nil
		return
	}
	m.sightings[id] = s
	delete(m.pool.unkept, key) // it is on disk
}

// since is from when on a node counts as a member: from when its organisation
// says, which can say what it likes, but not from before the node was first seen.
func (m *Member) since(p papers) int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	first, began := m.sightings[p.ID].First, m.sightings[m.id].First
	if first < began+int64(settling/time.Second) {
		return p.Since
	}
	return max(p.Since, first)
}
