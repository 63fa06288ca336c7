package virtual

import "github.com/libp2p/go-libp2p/core/network"

// Partition cuts all links between nodes of different groups, and the connections
// over them break. Who is in no group makes one more with the others of that kind.
// Dials across fail at once, as where a router says that there is no route. Nodes
// that start meanwhile are linked with their own group only. It ends with Heal.
func (net *Net) Partition(groups ...[]*Node) {
	net.t.Helper()
	net.side = map[*Node]int{}
	for i, group := range groups {
		for _, n := range group {
			net.side[n] = i + 1
		}
	}
	net.across(func(a, b *Node) error {
		if err := net.wires.UnlinkPeers(a.id, b.id); err != nil {
			return err
		}
		return net.wires.DisconnectPeers(a.id, b.id)
	})
}

// Heal links again what Partition has cut. Nobody is told: the nodes have to find
// one another.
func (net *Net) Heal() {
	net.t.Helper()
	net.across(net.link)
	net.side = nil
}

// across calls do for each two nodes that run and are parted.
func (net *Net) across(do func(a, b *Node) error) {
	net.t.Helper()
	all := Everyone(net)
	for i, a := range all {
		for _, b := range all[:i] {
			if net.parted(a, b) {
				if err := do(a, b); err != nil {
					net.t.Fatalf("%s and %s: %v", a, b, err)
				}
			}
		}
	}
}

func (net *Net) parted(a, b *Node) bool { return net.side[a] != net.side[b] }

// link lays a wire between two nodes, and introduces them if they are members.
func (net *Net) link(a, b *Node) error {
	if _, err := net.wires.LinkPeers(a.id, b.id); err != nil {
		return err
	}
	return introduce(a, b)
}

// connected is with how many of some nodes a node has a connection.
func (n *Node) connected(with []*Node) (count int) {
	for _, other := range with {
		if n.host.Network().Connectedness(other.id) == network.Connected {
			count++
		}
	}
	return count
}
