package federation

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// Kind says what a document is.
type Kind string

const (
	KindChain        Kind = "chain"        // Chain: a node's certificates
	KindOrganisation Kind = "organisation" // Organisation: its certificate, renewed by the root
	KindRevocations  Kind = "revocations"  // RevocationList of the root or of an organisation
	KindFreshness    Kind = "freshness"    // Freshness: an anchor's word on the root's list
	KindPolicy       Kind = "policy"       // Policy of the federation
	KindFault        Kind = "fault"        // a proof that a node contradicted itself
)

// Document is what spreads in the overlay. It verifies by itself, with nothing
// but the root's public key.
type Document struct {
	Kind Kind   `cbor:"1,keyasint"`
	Data []byte `cbor:"2,keyasint"`
}

// A statement is what a document says; its signatures verify. Whether it holds
// depends on the time, and what it is worth on other documents.
type statement interface {
	// identity names, within the kind, what the statement is about: a newer one
	// about the same replaces the older.
	identity() string
	version() version
	// signed is what its author signed: equal ones say the same.
	signed() []byte
	// valid says whether it may be taken in now.
	valid(now time.Time) error
	// ends is the Unix second from which on it is of no use.
	ends() int64
}

// A version only grows with what is said about one thing.
type version struct{ major, minor uint64 }

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}

// openDocument verifies a document, up to dates.
func openDocument(root ed25519.PublicKey, federation string, data []byte) (Kind, statement, error) {
	d, err := decodeDocument(data, MaxDocument)
	if err != nil {
		return "", nil, err
	}
	var s statement
	switch d.Kind {
	case KindChain:
		s, err = openAs(d, func(c Chain) (papers, error) { return c.open(root, federation) })
	case KindOrganisation:
		s, err = openAs(d, func(o Organisation) (charter, error) { return o.open(root, federation) })
	case KindRevocations:
		s, err = openAs(d, func(w witnessed) (revocations, error) { return openRevocations(w, root, federation) })
	case KindFreshness:
		s, err = openAs(d, func(w witnessed) (freshness, error) { return openFreshness(w, root, federation) })
	case KindPolicy:
		s, err = openAs(d, func(s Signed) (policy, error) { return openPolicy(s, root, federation) })
	case KindFault:
		s, err = openAs(d, func(p proof) (fault, error) { return p.open(root, federation) })
	default:
		err = fmt.Errorf("kind %.64q is not known here: a newer version of this program may know it", d.Kind)
	}
	if err != nil {
		return "", nil, fmt.Errorf("document: %w", err)
	}
	return d.Kind, s, nil
}

// openAs reads the data of a document as a T and opens that.
func openAs[T any, S statement](d Document, open func(T) (S, error)) (statement, error) {
	var t T
	if err := decodeExact(d.Data, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Kind, err)
	}
	return open(t)
}

func decodeDocument(data []byte, longest int) (Document, error) {
	var d Document
	if len(data) > longest {
		return d, fmt.Errorf("document of %d bytes is over the %d allowed", len(data), longest)
	}
	if err := decodeExact(data, &d); err != nil {
		return d, fmt.Errorf("decode document: %w", err)
	}
	return d, nil
}

func encodeDocument(kind Kind, v any) ([]byte, error) {
	data, err := event.Encode(v)
	if err != nil {
		return nil, err
	}
	document, err := event.Encode(Document{Kind: kind, Data: data})
	if err == nil && len(document) > MaxDocument {
		err = fmt.Errorf("%s of %d bytes is over the %d allowed: say less in it", kind, len(document), MaxDocument)
	}
	return document, err
}

// witnessed is what an organisation says, with its certificate; the root needs none.
type witnessed struct {
	Organisation *Organisation `cbor:"1,keyasint,omitempty"`
	Statement    Signed        `cbor:"2,keyasint"`
}

func (p papers) identity() string { return p.ID }
func (p papers) version() version { return version{uint64(p.NotBefore), p.Serial} }
func (p papers) signed() []byte   { return p.chain.Node.Body }
func (p papers) ends() int64      { return p.NotAfter }

func (c charter) identity() string { return c.Organisation }
func (c charter) version() version { return version{uint64(c.NotBefore), c.Serial} }
func (c charter) ends() int64      { return c.NotAfter }
func (c charter) signed() []byte   { return slices.Concat(c.form.Admission.Body, c.form.Grant.Body) }
