package overlay

import (
	"bytes"
	"crypto/sha256"
	"math/bits"

	"github.com/libp2p/go-libp2p/core/peer"
)

// place is a point of Kademlia's key space, and the XOR of two is their
// distance. kad-dht hashes keys and peer IDs alike with SHA-256, so a key of
// ours, though a hash already, is hashed once more.
type place [sha256.Size]byte

func placeOf(p peer.ID) place       { return sha256.Sum256([]byte(p)) }
func placeOfKey(key [32]byte) place { return sha256.Sum256(key[:]) }
func (a place) less(b place) bool   { return bytes.Compare(a[:], b[:]) < 0 }

func (a place) distance(b place) (d place) {
	for i := range a {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// prefixLen is how many leading bits two places share.
func (a place) prefixLen(b place) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return i*8 + bits.LeadingZeros8(x)
		}
	}
	return len(a) * 8
}
