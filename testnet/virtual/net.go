// Package virtual runs overlays of whole nodes in one process and in virtual
// time: the product's own node.Run, libp2p with kad-dht over a network in
// memory, a store on disk and an sshd log each. What happens when, and what must
// come of it, stands in a Timetable.
package virtual

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"

	"github.com/komondor/komondor/federation"
)

// Latency of every message, one way: that of a network over a continent.
const Latency = 10 * time.Millisecond

const (
	stagger  = 100 * time.Millisecond // from one node's start to the next one's
	settling = 3 * time.Second        // for the last look-ups of joining
)

// Net is an overlay. Its nodes are numbered in the order in which they were
// added, and the first is the one that the others join by.
type Net struct {
	seed    uint64 // of the nodes' identities; 0: they are made by chance
	t       testing.TB
	dir     string
	wires   mocknet.Mocknet
	nodes   []*Node
	severed []network.Conn

	founders *founders     // nil in an open overlay
	tap      *tap          // on all hosts that are plugged in from now on; nil: none
	loss     *loss         // likewise
	meter    *meter        // likewise
	side     map[*Node]int // of a partition; nil where there is none
}

// New returns an overlay of n nodes that know one another, as far as their
// tables hold so many. The end of the test ends it, and fails the test if a
// node ends with an error. In a synctest bubble its time is virtual.
func New(t testing.TB, n int) *Net {
	t.Helper()
	return begin(t, n, nil)
}

// NewSeeded is New with identities that follow from a seed above 0.
func NewSeeded(t testing.TB, n int, seed uint64) *Net {
	t.Helper()
	net := newNet(t, nil)
	net.seed = seed
	net.fill(n)
	return net
}

// NewFederation is New for a closed federation. The organisations are named
// org-0, the anchor, org-1 and so on, and share the nodes out in turn.
func NewFederation(t testing.TB, n, organisations int) *Net {
	t.Helper()
	return begin(t, n, &founders{name: "virtual", organisations: organisations})
}

func begin(t testing.TB, n int, f *founders) *Net {
	t.Helper()
	net := newNet(t, f)
	net.fill(n)
	return net
}

func newNet(t testing.TB, f *founders) *Net {
	net := &Net{t: t, dir: t.TempDir(), wires: mocknet.New(), founders: f}
	net.wires.SetLinkDefaults(mocknet.LinkOptions{Latency: Latency})
	t.Cleanup(net.close)
	return net
}

// fill starts n nodes, and waits until they know one another.
func (net *Net) fill(n int) {
	net.t.Helper()
	for range n {
		net.Add().Start()
		time.Sleep(stagger)
	}
	net.settle()
}

// Add prepares one more node, with an identity and an empty log, which does not
// run yet. In a federation it is a member of the organisation whose turn it is.
func (net *Net) Add() *Node {
	net.t.Helper()
	organisation := ""
	if f := net.founders; f != nil {
		organisation = fmt.Sprint("org-", len(net.nodes)%f.organisations)
	}
	return net.AddTo(organisation, federation.TierMember)
}

// AddTo is Add for an organisation of a federation; the tier is that of one that
// is new. In an open overlay each node is an organisation of its own anyway.
func (net *Net) AddTo(organisation string, tier federation.Tier) *Node {
	net.t.Helper()
	return net.addTo(organisation, tier, seniority)
}

func (net *Net) addTo(organisation string, tier federation.Tier, ago time.Duration) *Node {
	net.t.Helper()
	return net.add(func(n *Node) error {
		switch f := net.founders; {
		case f == nil:
			return nil
		case f.root == nil:
			return f.found(n)
		default:
			return f.enrol(n, organisation, tier, ago)
		}
	})
}

// AddStranger is Add for somebody whom nobody has invited.
func (net *Net) AddStranger() *Node {
	net.t.Helper()
	return net.add(func(*Node) error { return nil })
}

func (net *Net) add(enrol func(*Node) error) *Node {
	net.t.Helper()
	n := &Node{net: net, Number: len(net.nodes)}
	n.dir = filepath.Join(net.dir, fmt.Sprint("node", n.Number))
	if err := n.makeIdentity(); err != nil {
		net.t.Fatal(err)
	}
	if err := enrol(n); err != nil {
		net.t.Fatalf("%s becomes a member: %v", n, err)
	}
	net.nodes = append(net.nodes, n)
	return n
}

// settle waits until the nodes know one another.
func (net *Net) settle() {
	net.t.Helper()
	const bucket = 20 // of so many peers a node is sure to keep all
	all := Everyone(net)
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		alone := slices.IndexFunc(all, func(n *Node) bool { return n.Status().Peers < min(len(all)-1, bucket) })
		if alone < 0 {
			break
		}
		if time.Now().After(end) {
			net.t.Fatalf("%s knows %d peers after three minutes", all[alone], all[alone].Status().Peers)
		}
	}
	time.Sleep(settling)
}

func (net *Net) close() {
	var errs []error
	for _, n := range net.nodes {
		n.leave()
	}
	for _, n := range net.nodes {
		errs = append(errs, n.wait())
	}
	errs = append(errs, net.wires.Close())
	// The network in memory lets streams be opened on a connection that is being
	// severed, and forgets their other ends.
	for _, c := range net.severed {
		for _, stream := range c.GetStreams() {
			stream.Reset()
		}
	}
	if err := errors.Join(errs...); err != nil {
		net.t.Error(err)
	}
}

// sum adds up a counter of all running nodes.
func (net *Net) sum(counter func(*Node) uint64) (total uint64) {
	for _, n := range Everyone(net) {
		total += counter(n)
	}
	return total
}
