package federation

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
)

// pool holds documents in their order of arrival, one for each thing that they
// are about, and what of it is not yet on disk.
type pool struct {
	held   map[string]*record // by keyOf
	known  map[[sha256.Size]byte]bool
	order  []*record // ascending; replaced and retired ones are dropped now and then
	out    int       // how many of order are out
	seq    uint64
	sum    *[sha256.Size]byte // see digest; nil when it has to be worked out anew
	unkept map[string][]byte  // by keyOf; nil: to delete
}

type record struct {
	key       string
	seq       uint64
	hash      [sha256.Size]byte
	document  []byte
	statement statement
	out       bool // no longer passed on
}

const documentPrefix = "document/"

func keyOf(k Kind, s statement) string { return documentPrefix + string(k) + "/" + s.identity() }

func kindOf(key string) Kind {
	kind, _, _ := strings.Cut(strings.TrimPrefix(key, documentPrefix), "/")
	return Kind(kind)
}

// newPool numbers documents from seq on. Numbers of a former run must be lower,
// so that a neighbour which remembers one misses nothing.
func newPool(seq uint64) pool {
	return pool{held: map[string]*record{}, known: map[[sha256.Size]byte]bool{}, seq: seq, unkept: map[string][]byte{}}
}

// put takes a document in, in the place of the one about the same.
func (p *pool) put(key string, s statement, document []byte) {
	p.drop(key)
	p.seq++
	r := &record{key: key, seq: p.seq, hash: sha256.Sum256(document), document: document, statement: s}
	p.held[key], p.known[r.hash] = r, true
	p.order, p.sum = append(p.order, r), nil
	p.unkept[key] = document
}

func (p *pool) drop(key string) {
	r, ok := p.held[key]
	if !ok {
		return
	}
	p.retire(r)
	delete(p.held, key)
	delete(p.known, r.hash)
	p.unkept[key] = nil
}

// retire keeps a document without passing it on.
func (p *pool) retire(r *record) {
	if r.out {
		return
	}
	r.out, p.sum = true, nil
	if p.out++; p.out > len(p.order)/2 {
		p.order = slices.DeleteFunc(p.order, func(r *record) bool { return r.out })
		p.out = 0
	}
}

// after returns documents that arrived after seq, up to size bytes but at least
// one, and the number to go on from.
func (p *pool) after(seq uint64, size int) (documents [][]byte, next uint64) {
	if seq > p.seq {
		seq = 0 // of a life before the clock was set back
	}
	from, _ := slices.BinarySearchFunc(p.order, seq+1, func(r *record, seq uint64) int {
		if r.seq < seq {
			return -1
		}
		return 1
	})
	for _, r := range p.order[from:] {
		if r.out {
			continue
		}
		if size -= len(r.document); size < 0 && len(documents) > 0 {
			return documents, seq
		}
		documents, seq = append(documents, r.document), r.seq
	}
	return documents, p.seq
}

// digest is the same for pools that pass on the same documents, however they came.
func (p *pool) digest() [sha256.Size]byte {
	if p.sum == nil {
		var hashes [][sha256.Size]byte
		for _, r := range p.order {
			if !r.out {
				hashes = append(hashes, r.hash)
			}
		}
		slices.SortFunc(hashes, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
		all := sha256.New()
		for _, h := range hashes {
			all.Write(h[:])
		}
		sum := [sha256.Size]byte(all.Sum(nil))
		p.sum = &sum
	}
	return *p.sum
}
