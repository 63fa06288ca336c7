package virtual

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/komondor/komondor/federation"
)

// seniority is for how long members have been so already: in a large federation
// who is new does not collect.
const seniority = 48 * time.Hour

// founders is what people hold who run a closed federation: the root's key, and
// for each organisation its key and the node that certifies further ones.
type founders struct {
	name          string
	root          ed25519.PrivateKey
	organisations int // among which Add shares the nodes out
	keys          map[string]ed25519.PrivateKey
	issuers       map[string]*Node
}

// anchor is the organisation that founded the federation.
const anchor = "org-0"

// found makes a node the first one of a new federation, whose root has said
// just now that nobody is revoked.
func (f *founders) found(n *Node) error {
	founded, err := federation.Found(time.Now().Add(-seniority), f.name, anchor, n.key)
	if err != nil {
		return err
	}
	f.root = founded.Root
	f.keys, f.issuers = map[string]ed25519.PrivateKey{anchor: founded.Organisation}, map[string]*Node{anchor: n}
	if err := n.admit(founded.Membership, founded.Organisation, founded.Documents); err != nil {
		return err
	}
	list, err := f.revoke(n.member)
	if err != nil {
		return err
	}
	return n.learn(list)
}

// enrol has a node redeem an invitation to an organisation some time ago, which
// the root admits with it where it is new. The words are the real ones, and go by hand.
func (f *founders) enrol(n *Node, organisation string, tier federation.Tier, ago time.Duration) error {
	then := time.Now().Add(-ago)
	key, desk := ed25519.PrivateKey(nil), f.issuers[organisation]
	offer, token, err := federation.InviteNode(organisation, time.Hour, then)
	founds := desk == nil
	if founds {
		desk = f.issuers[anchor]
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return err
		}
		terms := federation.Terms{Tier: tier, Quota: 1000, Validity: 365 * 24 * time.Hour}
		offer, token, err = federation.Invite(f.root, f.name, organisation, terms, time.Hour, then)
	}
	if err != nil {
		return err
	}
	if err := desk.member.Deposit(then, offer); err != nil {
		return err
	}
	applicant, err := federation.NewApplicant(federation.Invitation{
		Federation: f.name, Organisation: organisation, Founds: founds, Root: f.root.Public().(ed25519.PublicKey),
		Token: token, Addresses: []string{"by hand"}, Expires: offer.Expires,
	}, n.key, key)
	if err != nil {
		return err
	}
	request, err := applicant.Request()
	if err != nil {
		return err
	}
	reply, _, err := desk.member.Welcome(then, n.id.String(), request)
	if err != nil {
		return err
	}
	membership, documents, err := applicant.Accept(then, reply)
	if err != nil {
		return err
	}
	if founds {
		f.keys[organisation], f.issuers[organisation] = key, n
	}
	return n.admit(membership, key, documents)
}

// revoke signs the root's next revocation list, on top of the one that a member
// has. Without entries it says that the list is still the newest.
func (f *founders) revoke(known *federation.Member, more ...federation.Entry) ([]byte, error) {
	list, ok := federation.Latest(known.Revocations(), f.root.Public().(ed25519.PublicKey))
	if !ok {
		return nil, fmt.Errorf("%s knows no list of the root", known.Member())
	}
	return federation.SignRevocations(f.root, list.Next(time.Now(), more...))
}

// admit is the node's own side of becoming a member.
func (n *Node) admit(ms federation.Membership, organisation ed25519.PrivateKey, documents [][]byte) error {
	n.membership, n.organisation, n.enrolled = ms, organisation, time.Now()
	if err := n.remember(); err != nil {
		return err
	}
	return n.learn(documents...)
}

func (n *Node) learn(documents ...[]byte) error {
	for _, document := range documents {
		if _, err := n.member.Add(time.Now(), document); err != nil {
			return err
		}
	}
	return n.member.Keep()
}

// remember makes the membership of what the node has kept, as a start does.
func (n *Node) remember() (err error) {
	save := func(ms federation.Membership) error { n.membership = ms; return nil }
	n.member, err = federation.NewMember(n.membership, n.key, n.organisation, &n.shelf, save, time.Now())
	return err
}

// introduce shows two members each other's certificates, as the handshake does
// that the network in memory does not have.
func introduce(a, b *Node) error {
	if a.member == nil || b.member == nil {
		return nil
	}
	if _, err := a.member.Add(time.Now(), b.member.Hello()); err != nil {
		return err
	}
	_, err := b.member.Add(time.Now(), a.member.Hello())
	return err
}

// doorman ends the connections that the handshake would have refused, and takes
// the wire away: a dial that is refused fails, and is not a connection for a moment.
func (n *Node) doorman() network.Notifiee {
	member := n.member
	return &network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		if member.Admitted(time.Now(), c.RemotePeer().String()) {
			return
		}
		go func() { // closing waits for whoever is being told of the connection
			_ = n.net.wires.UnlinkPeers(n.id, c.RemotePeer()) // fails where the other side has done it
			c.Close()
		}()
	}}
}

// shelf is a federation.Keeper in memory. It outlives the product, as a disk does.
type shelf struct {
	mu      sync.Mutex
	records map[string][]byte
}

func (s *shelf) Put(records map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string][]byte{}
	}
	maps.Copy(s.records, records)
	return nil
}

func (s *shelf) Delete(keys ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.records, key)
	}
	return nil
}

func (s *shelf) Each(fn func(key string, value []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range s.records {
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}
