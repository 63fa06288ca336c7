package federation

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/komondor/komondor/event"
)

// verified remembers which signatures have been verified, so that a report that
// comes by three ways costs one verification. Between half and all of
// verifiedKept are remembered, in less than 2 MiB.
type verified struct {
	mu          sync.Mutex // guards both
	young, aged map[[sha256.Size]byte]struct{}
}

const verifiedKept = 16384

func (v *verified) has(s event.Sealed) bool {
	h := hashSealed(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.young[h]; ok {
		return true
	}
	_, ok := v.aged[h]
	return ok
}

func (v *verified) add(s event.Sealed) {
	h := hashSealed(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= verifiedKept/2 || v.young == nil {
		v.young, v.aged = map[[sha256.Size]byte]struct{}{}, v.young
	}
	v.young[h] = struct{}{}
}

// hashSealed is over signer, signature and body, with the lengths of the former
// before them: two statements are never written alike.
func hashSealed(s event.Sealed) [sha256.Size]byte {
	h := sha256.New()
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(s.Signer)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(len(s.Signature)))
	h.Write(lengths[:])
	h.Write([]byte(s.Signer))
	h.Write(s.Signature)
	h.Write(s.Body)
	return [sha256.Size]byte(h.Sum(nil))
}
