package federation

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// kindRedemption marks a greeting that redeems an invitation. It has the form of
// a document and is none: it does not spread.
const kindRedemption Kind = "redemption"

// Hello is what a node shows right after the handshake: its own chain.
func (m *Member) Hello() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.pool.held[documentPrefix+string(KindChain)+"/"+m.id].document
}

// Welcome answers what a node that connects has shown. A member's hello is
// answered with our own, and it is admitted. A redemption is answered with
// certificates, or with the reason why not, and the connection should end.
// Everybody else gets an error and no answer.
func (m *Member) Welcome(now time.Time, from string, said []byte) (reply []byte, admitted bool, err error) {
	d, err := decodeDocument(said, MaxGreeting)
	if err != nil {
		return nil, false, fmt.Errorf("greeting of node %.64q: %w", from, err)
	}
	if d.Kind == kindRedemption {
		reply, err := m.redeem(now, from, d.Data)
		if err != nil {
			err = fmt.Errorf("redemption by node %.64q: %w", from, err)
		}
		return reply, false, err
	}
	if err := m.Meet(now, from, said); err != nil {
		return nil, false, err
	}
	return m.Hello(), true, nil
}

// Meet checks the hello of a node. It is admitted on the newest chain that is
// known of it: what it shows may be older than what its organisation has
// renewed, or newer than what is known here.
func (m *Member) Meet(now time.Time, from string, said []byte) error {
	if len(said) > MaxGreeting {
		return fmt.Errorf("greeting of node %.64q: %d bytes are over the %d allowed", from, len(said), MaxGreeting)
	}
	_, s, err := openDocument(m.root, m.name, said)
	if err != nil {
		return fmt.Errorf("greeting of node %.64q: %w", from, err)
	}
	shown, ok := s.(papers)
	if !ok || shown.ID != from {
		return fmt.Errorf("greeting of node %.64q: it does not show its own chain", from)
	}
	_, errShown := m.Add(now, said)
	if _, err := m.known(now, from); err != nil {
		if errShown != nil {
			err = errShown
		}
		return fmt.Errorf("greeting: %w", err)
	}
	return nil
}

// Introduction is what others should hear of a node that has come or is back: its
// chain, and its organisation's statement of freshness where it makes those. What
// it made while it was alone nobody has heard.
func (m *Member) Introduction() [][]byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	keys := []string{documentPrefix + string(KindChain) + "/" + m.id}
	if m.organisation != nil {
		keys = append(keys, documentPrefix+string(KindFreshness)+"/"+m.nodes[m.id].Node.Organisation)
	}
	var documents [][]byte
	for _, key := range keys {
		if r, ok := m.pool.held[key]; ok {
			documents = append(documents, r.document)
		}
	}
	return documents
}

// Chain returns the newest chain of a node, as a document.
func (m *Member) Chain(id string) (document []byte, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.pool.held[documentPrefix+string(KindChain)+"/"+id]
	if !ok {
		return nil, false
	}
	return r.document, true
}

// Holds says whether the document is one of those that hold now.
func (m *Member) Holds(document []byte) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.pool.known[sha256.Sum256(document)]
}

// Digest is over all documents that this node passes on, and the same for members
// that have the same. Seq is the number from which After has what comes later.
func (m *Member) Digest() (sum [sha256.Size]byte, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pool.digest(), m.pool.seq
}

// After returns documents in their order of arrival here, for a neighbour that
// has had those up to seq (0: none): up to size bytes but at least one, so ask for
// MaxDocument or more. It goes on from next.
func (m *Member) After(seq uint64, size int) (documents [][]byte, next uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.pool.after(seq, size)
}
