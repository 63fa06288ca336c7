package virtual

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
)

// Who picks nodes of an overlay.
type Who func(*Net) []*Node

// Everyone is all nodes that run.
func Everyone(net *Net) []*Node {
	return slices.DeleteFunc(slices.Clone(net.nodes), func(n *Node) bool { return !n.runs() })
}

// Anyone is Everyone, where that reads better.
func Anyone(net *Net) []*Node { return Everyone(net) }

// Nodes picks by number.
func Nodes(numbers ...int) Who {
	return func(net *Net) (some []*Node) {
		for _, i := range numbers {
			some = append(some, net.nodes[i])
		}
		return some
	}
}

// But picks all that run except some.
func But(some Who) Who {
	return func(net *Net) []*Node {
		not := some(net)
		return slices.DeleteFunc(Everyone(net), func(n *Node) bool { return slices.Contains(not, n) })
	}
}

// Colleagues picks all that run and are of the same organisations as some.
func Colleagues(some Who) Who {
	return func(net *Net) []*Node {
		ours := map[string]bool{}
		for _, n := range some(net) {
			ours[n.speaksFor()] = true
		}
		return slices.DeleteFunc(Everyone(net), func(n *Node) bool { return !ours[n.speaksFor()] })
	}
}

// Nearest picks the n running nodes that are nearest to an attacker's key today,
// so its first collectors.
func Nearest(attacker string, n int) Who {
	return func(net *Net) []*Node { return net.byDistance(attacker, Everyone(net))[:n] }
}

// Farthest picks the n running nodes that are farthest from an attacker's key,
// the last one farthest, and no two of one organisation: what they see has to
// travel, and counts in full.
func Farthest(attacker string, n int) Who {
	return func(net *Net) (far []*Node) {
		spoken := map[string]bool{}
		for _, n := range slices.Backward(net.byDistance(attacker, Everyone(net))) {
			if organisation := n.speaksFor(); !spoken[organisation] {
				spoken[organisation] = true
				far = append(far, n)
			}
		}
		if len(far) < n {
			net.t.Fatalf("%d organisations have nodes that run, want %d", len(far), n)
		}
		far = far[:n]
		slices.Reverse(far)
		return far
	}
}

// voice is a node's membership, of either kind of overlay.
type voice interface {
	Name() string
	Member() string
	Organisation(id string) string
	Seal(body []byte) (event.Sealed, error)
	Salts(t time.Time, overlap time.Duration) [][]byte
}

func (n *Node) voice() voice {
	if n.member != nil {
		return n.member
	}
	return n.open
}

// speaksFor is the node's organisation; in an open overlay, itself.
func (n *Node) speaksFor() string { return n.voice().Organisation(n.id.String()) }

// byDistance sorts nodes by the XOR of their place in Kademlia's key space and
// the key's; both are SHA-256 hashes of what names them.
func (net *Net) byDistance(attacker string, nodes []*Node) []*Node {
	voice := net.nodes[0].voice()
	hash := event.Key{Selector: event.BySource, Value: attacker}.Hash(voice.Name(), voice.Salts(time.Now(), 0)[0])
	target := sha256.Sum256(hash[:])
	distance := func(id peer.ID) (d [sha256.Size]byte) {
		for i, b := range sha256.Sum256([]byte(id)) {
			d[i] = b ^ target[i]
		}
		return d
	}
	slices.SortFunc(nodes, func(a, b *Node) int {
		da, db := distance(a.id), distance(b.id)
		return slices.Compare(da[:], db[:])
	})
	return nodes
}

// Near returns an address of the documentation range 2001:db8::/32, as the key
// of its /64 names it, to whose key a node is the nearest of all, whether or not
// it runs.
func (net *Net) Near(n *Node) (attacker string) {
	for i := range math.MaxUint16 {
		attacker = fmt.Sprintf("2001:db8:0:%x::/64", i+1)
		if net.byDistance(attacker, slices.Clone(net.nodes))[0] == n {
			return attacker
		}
	}
	net.t.Fatalf("%s is nearest to no attacker", n)
	return ""
}

// collectors are the nodes that run and should collect what is seen of an
// attacker now, in an open overlay.
func (net *Net) collectors(attacker string) []*Node {
	all := Everyone(net)
	r := 3
	if len(all) >= 20 {
		r = 5
	}
	return net.byDistance(attacker, all)[:min(r, len(all))]
}
