// Package kademlia decides where things are in the overlay: whom a lookup asks
// next, when it is over, and which members collect what belongs to a key
// (Maymounkov and Mazières, "Kademlia: a peer-to-peer information system based on
// the XOR metric", 2002; greedy as in section III.B of paper 002). It has no
// clock and no network, and knows members by an ID of any type, so that nodes and
// a simulation of a million of them decide by the same lines.
package kademlia

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// K is Kademlia's k: contacts a bucket and peers an answer.
const K = 20

// Place is a point of the key space, and the XOR of two is their distance.
type Place [sha256.Size]byte

// Of is where a name lies. kad-dht hashes keys and peer IDs alike with SHA-256,
// so a key of ours, though a hash already, is hashed once more.
func Of(name []byte) Place { return sha256.Sum256(name) }

// Compare orders distances: negative if a is less than b, 0 if they are equal.
func (a Place) Compare(b Place) int { return bytes.Compare(a[:], b[:]) }

// Distance is how far a and b are apart.
func (a Place) Distance(b Place) (d Place) {
	for i := 0; i < len(a); i += 8 {
		binary.NativeEndian.PutUint64(d[i:], binary.NativeEndian.Uint64(a[i:])^binary.NativeEndian.Uint64(b[i:]))
	}
	return d
}

// PrefixLen is how many leading bits two places share, up to 256.
func (a Place) PrefixLen(b Place) int {
	for i := 0; i < len(a); i += 8 {
		if x := binary.BigEndian.Uint64(a[i:]) ^ binary.BigEndian.Uint64(b[i:]); x != 0 {
			return i*8 + bits.LeadingZeros64(x)
		}
	}
	return len(a) * 8
}
