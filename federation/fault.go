package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

// proof is two reports of one node that cannot both be true: of the same key and
// version, and not the same. With the node's chain it proves itself to all.
type proof struct {
	Chain Chain           `cbor:"1,keyasint"`
	A     contradictionOf `cbor:"2,keyasint"`
	B     contradictionOf `cbor:"3,keyasint"`
}

// contradictionOf is a sealed report; its signer is in the chain.
type contradictionOf struct {
	Body      []byte `cbor:"1,keyasint"`
	Signature []byte `cbor:"2,keyasint"`
}

type fault struct {
	proof
	by papers
}

// Fault proves to all that a node has contradicted itself: a and b are reports of
// the same key and version that differ. It returns the document, which is not
// yet added here.
func (m *Member) Fault(a, b event.Sealed) ([]byte, error) {
	if a.Signer != b.Signer {
		return nil, fmt.Errorf("no fault: the reports are of %.64q and of %.64q", a.Signer, b.Signer)
	}
	m.mu.RLock()
	p, ok := m.nodes[a.Signer]
	m.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("fault of node %.64q: %w", a.Signer, ErrUnknown)
	}
	if bytes.Compare(a.Body, b.Body) > 0 {
		a, b = b, a // whoever finds the pair writes the same
	}
	evidence := proof{p.chain, contradictionOf{a.Body, a.Signature}, contradictionOf{b.Body, b.Signature}}
	if _, err := evidence.open(m.root, m.name); err != nil {
		return nil, err
	}
	return encodeDocument(KindFault, evidence)
}

func (p proof) open(root ed25519.PublicKey, federation string) (fault, error) {
	f := fault{proof: p}
	var err error
	if f.by, err = p.Chain.open(root, federation); err != nil {
		return f, err
	}
	a, errA := f.report(p.A)
	b, errB := f.report(p.B)
	if err := errors.Join(errA, errB); err != nil {
		return f, fmt.Errorf("fault of node %s: %w", f.by.ID, err)
	}
	if a.Key != b.Key || a.Version != b.Version || bytes.Equal(p.A.Body, p.B.Body) {
		return f, fmt.Errorf("no fault of node %s: its reports do not contradict each other", f.by.ID)
	}
	return f, nil
}

func (f fault) report(c contradictionOf) (event.Report, error) {
	if err := verifySealed(f.by.key, event.Sealed{Body: c.Body, Signer: f.by.ID, Signature: c.Signature}); err != nil {
		return event.Report{}, err
	}
	r, err := event.DecodeReport(c.Body)
	if err == nil && (r.Federation != f.by.Federation || r.Member != f.by.ID) {
		err = fmt.Errorf("a report of %.64q in federation %.64q", r.Member, r.Federation)
	}
	return r, err
}

func (f fault) identity() string { return f.by.ID }

// version is always the same: one proof is enough, and a second is no news.
func (f fault) version() version { return version{} }

// signed is the node that is at fault: all proofs of that say the same.
func (f fault) signed() []byte { return []byte(f.by.ID) }

// ends as the organisation's certificate does: its node must not come back by
// letting its own run out.
func (f fault) ends() int64 { return f.by.by.ends() }

func (f fault) valid(now time.Time) error { return f.by.by.valid(now) }
