package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/komondor/komondor/event"
)

// Keeper keeps records over restarts. Put and Delete are all or nothing.
type Keeper interface {
	Put(map[string][]byte) error
	Delete(keys ...string) error
	Each(func(key string, value []byte) error) error
}

// Member is one node's membership in a closed federation: what it holds of the
// federation's documents, and what follows from them. It is safe for concurrent
// use; nothing waits for the disk but Keep, Deposit and the redemption of an
// invitation.
type Member struct {
	name         string
	root         ed25519.PublicKey
	rootName     string // its fingerprint
	identity     ed25519.PrivateKey
	id           string
	organisation ed25519.PrivateKey // nil unless this node holds its organisation's key
	keeper       Keeper
	save         func(Membership) error

	verified verified
	desk     desk
	keeping  sync.Mutex // held while writing to the keeper

	mu            sync.RWMutex // guards all below
	membership    Membership
	unsaved       bool // the membership differs from the file
	pool          pool
	nodes         map[string]papers      // by id
	organisations map[string]charter     // the newest certificate, by name
	lists         map[string]revocations // by the issuer's key
	freshness     map[string]freshness   // by organisation
	faults        map[string]fault       // by node id
	policy        Policy                 // Version 0: none has arrived
	census        census
}

// NewMember returns the membership of the node that holds the identity, with the
// documents that keep has of former runs. The organisation's key is nil unless
// this node holds it. Save is called by Keep when the node has another chain,
// and may be nil.
//
// An expired chain is no error: the node's organisation may have renewed it
// meanwhile, which other members know.
func NewMember(ms Membership, identity crypto.PrivKey, organisation ed25519.PrivateKey, keep Keeper,
	save func(Membership) error, now time.Time) (*Member, error) {
	key, id, err := signingKey(identity)
	if err != nil {
		return nil, err
	}
	own, err := ms.Chain.open(ms.Root, ms.Federation)
	if err != nil {
		return nil, fmt.Errorf("membership in federation %.64q: %w", ms.Federation, err)
	}
	if own.ID != id {
		return nil, fmt.Errorf("membership is of node %s, and the identity of node %s: restore the key that belongs to it, or join again", own.ID, id)
	}
	if organisation != nil && !bytes.Equal(publicOf(organisation), own.by.key) {
		return nil, fmt.Errorf("the organisation's key is not that of organisation %s's certificate: restore the key that belongs to it", own.by.Organisation)
	}
	m := &Member{
		name: ms.Federation, root: ms.Root, rootName: Fingerprint(ms.Root), identity: key, id: id, organisation: organisation, keeper: keep, save: save,
		membership: ms, pool: newPool(uint64(now.UnixNano())),
		nodes: map[string]papers{}, organisations: map[string]charter{}, lists: map[string]revocations{},
		freshness: map[string]freshness{}, faults: map[string]fault{},
	}
	document, err := encodeDocument(KindChain, ms.Chain)
	if err != nil {
		return nil, err
	}
	if _, err := m.take(now, KindChain, own, document); err != nil {
		return nil, err
	}
	if err := m.recall(now); err != nil {
		return nil, fmt.Errorf("recall the federation's documents: %w", err)
	}
	return m, nil
}

// recall takes in what the keeper has of former runs. What no longer verifies,
// or is over, is forgotten.
func (m *Member) recall(now time.Time) error {
	var documents []Document // with the key in the place of the kind
	err := m.keeper.Each(func(key string, value []byte) error {
		if strings.HasPrefix(key, documentPrefix) {
			documents = append(documents, Document{Kind(key), bytes.Clone(value)})
		}
		return m.desk.recall(key, value)
	})
	if err != nil {
		return err
	}
	// Revoked nodes do not count for the quota: whom the lists name must be known first.
	slices.SortStableFunc(documents, func(a, b Document) int { return rank(a) - rank(b) })
	for _, d := range documents {
		kind, s, err := openDocument(m.root, m.name, d.Data)
		if err == nil {
			_, err = m.take(now, kind, s, d.Data)
		}
		if err != nil {
			m.pool.unkept[string(d.Kind)] = nil
		}
	}
	return nil
}

func rank(d Document) int {
	kinds := []Kind{KindRevocations, KindOrganisation, KindFault}
	if i := slices.Index(kinds, kindOf(string(d.Kind))); i >= 0 {
		return i
	}
	return len(kinds)
}

// Keep writes what has changed since the last call, in one batch. What it could
// not write it writes the next time.
func (m *Member) Keep() error {
	m.keeping.Lock()
	defer m.keeping.Unlock()
	m.mu.Lock()
	changed, ms, unsaved := m.pool.unkept, m.membership, m.unsaved && m.save != nil
	m.pool.unkept, m.unsaved = map[string][]byte{}, false
	m.mu.Unlock()

	put, gone := map[string][]byte{}, []string(nil)
	for key, document := range changed {
		if document == nil {
			gone = append(gone, key)
		} else {
			put[key] = document
		}
	}
	var errDocuments, errChain error
	if len(put) > 0 {
		errDocuments = m.keeper.Put(put)
	}
	if len(gone) > 0 {
		errDocuments = errors.Join(errDocuments, m.keeper.Delete(gone...))
	}
	if unsaved {
		errChain = m.save(ms)
	}
	if errDocuments != nil || errChain != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unsaved = m.unsaved || errChain != nil
		if errDocuments != nil {
			for key, document := range changed {
				if _, newer := m.pool.unkept[key]; !newer {
					m.pool.unkept[key] = document
				}
			}
		}
		return fmt.Errorf("keep the federation's documents: %w", errors.Join(errDocuments, errChain))
	}
	return nil
}

// Name is the federation's name, which enters every key and report.
func (m *Member) Name() string { return m.name }

// Member is this node's peer ID.
func (m *Member) Member() string { return m.id }

// Seal signs body as this node's statement.
func (m *Member) Seal(body []byte) (event.Sealed, error) { return seal(m.identity, m.id, body), nil }

// Salts returns the salts that are valid for evidence at t: the day's, and for
// overlap after midnight UTC the day's before as well, so that an attack across
// midnight stays in one place. There is none before the first policy has arrived.
//
// Every member can work out those of all days. So they keep strangers from
// preparing node ids next to a key, and not members.
func (m *Member) Salts(t time.Time, overlap time.Duration) [][]byte {
	p := m.Policy()
	if p.Version == 0 {
		return nil
	}
	var salts [][]byte
	for _, date := range dates(t, overlap) {
		salts = append(salts, p.salt(date))
	}
	return salts
}

// Membership is what the membership's file should hold.
func (m *Member) Membership() Membership {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.membership
}

// Policy is the federation's; its Version is 0 before one has arrived. It must
// not be changed.
func (m *Member) Policy() Policy {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.policy
}
