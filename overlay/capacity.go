package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Capacity is for which share of the keys that it is near to a node collects: the
// answer to what paper 002 leaves open, nodes of different capacity. It is the
// node's own word, which each peer has from the node itself when they connect:
// who understates it does less, as who keeps silent does, and nothing else
// follows from it.
type Capacity uint8

// The capacities; the zero value is that of an ordinary node.
const (
	Full Capacity = iota
	Half
	Quarter
	Eighth
	None // for no key, not even where there is nobody else
)

var capacities = [...]string{Full: "1", Half: "1/2", Quarter: "1/4", Eighth: "1/8", None: "0"}

func (c Capacity) String() string { return capacities[min(c, None)] }

// ParseCapacity reads 1, 1/2, 1/4, 1/8 or 0.
func ParseCapacity(text string) (Capacity, error) {
	c := slices.Index(capacities[:], text)
	if c < 0 {
		return Full, fmt.Errorf("capacity %q: want %s or 0", text, strings.Join(capacities[:None], ", "))
	}
	return Capacity(c), nil
}

// serves says whether a node of this capacity collects for a key, in a way that
// everybody who knows the capacity works out alike. Shares nest: who is given a
// larger capacity keeps its keys. With each day's salt they are others.
func (c Capacity) serves(key, node place) bool {
	switch c {
	case Full:
		return true
	case None:
		return false
	}
	var both [2 * len(key)]byte
	copy(both[copy(both[:], key[:]):], node[:])
	draw := sha256.Sum256(both[:])
	return bits.LeadingZeros64(binary.BigEndian.Uint64(draw[:])) >= int(c)
}

// A node tells its capacity by speaking a protocol that is named after it:
// libp2p's identify tells every peer which protocols a node speaks.
const capacityPrefix = prefix + "/capacity/"

var capacityProtocols = func() (all []protocol.ID) {
	for c := Full; c <= None; c++ {
		all = append(all, capacityPrefix+protocol.ID(c.String()))
	}
	return all
}()

// maxCapacities bounds what is remembered of peers that are not connected now.
const maxCapacities = 4096

// shares are the capacities of the peers that were met. libp2p forgets a peer's
// protocols a minute after its last connection has ended, and members of the
// table are not always connected.
type shares struct {
	mu sync.RWMutex
	of map[peer.ID]Capacity
}

func (s *shares) has(p peer.ID) (c Capacity, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, known = s.of[p]
	return c, known
}

// note reports whether the peer had said, or was believed to have, another one.
func (s *shares) note(p peer.ID, c Capacity) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.of[p]; !known && len(s.of) >= maxCapacities {
		for other := range s.of {
			delete(s.of, other)
			break
		}
	}
	if s.of == nil {
		s.of = map[peer.ID]Capacity{}
	}
	changed = s.of[p] != c
	s.of[p] = c
	return changed
}

// capacityOf is what a peer has said, and Full where it has not been met: it will
// send on what it does not collect, and by then it has been met.
func (o *Overlay) capacityOf(p peer.ID) Capacity {
	if c, known := o.shares.has(p); known {
		return c
	}
	if p == o.host.ID() {
		return o.capacity
	}
	c, known := capacityIn(o.host.Peerstore(), p)
	if known {
		o.shares.note(p, c)
	}
	return c
}

func capacityIn(store peerstore.Peerstore, p peer.ID) (c Capacity, known bool) {
	spoken, err := store.SupportsProtocols(p, capacityProtocols...)
	if err != nil || len(spoken) != 1 {
		return Full, false
	}
	return Capacity(slices.Index(capacityProtocols, spoken[0])), true
}

// introduced takes in what a peer has said of itself when it connected.
func (o *Overlay) introduced(p peer.ID) {
	if c, known := capacityIn(o.host.Peerstore(), p); known && o.shares.note(p, c) {
		o.routes.dropPeer(p) // those that it leads were made for another one
		o.changes.note(change{p, came})
	}
}
