package virtual

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/node"
)

// Node is one participant: a data directory, an sshd log, and the product that
// runs on them from Start until Stop or Crash. The methods of the product may be
// called while it runs.
type Node struct {
	Number int

	net      *Net
	dir      string
	key      crypto.PrivKey
	id       peer.ID
	open     *federation.Open // its membership where there is no federation
	log      log              // its sshd's
	snort    log
	suricata log
	host     host.Host
	firewall *firewall
	running  atomic.Pointer[node.Node] // nil: it does not run
	cancel   context.CancelFunc
	ended    chan error         // has one value once Run has returned
	rogue    *rogue             // runs in the place of the product
	tune     func(*node.Config) // changes what it is told, where it is not an ordinary node

	// In a closed federation:
	membership   federation.Membership
	organisation ed25519.PrivateKey // nil unless the node is its organisation's first
	enrolled     time.Time
	shelf        shelf
	member       *federation.Member
}

func (n *Node) String() string { return fmt.Sprint("node ", n.Number) }

func (n *Node) makeIdentity() (err error) {
	path := filepath.Join(n.dir, "identity")
	if seed := n.net.seed; seed != 0 { // so that the same nodes lie at the same places again
		key := sha256.Sum256(fmt.Appendf(nil, "virtual node %d %d", seed, n.Number))
		if err := os.MkdirAll(n.dir, 0o700); err != nil {
			return err
		}
		if err := federation.SaveKey(path, ed25519.NewKeyFromSeed(key[:]), ""); err != nil {
			return err
		}
	}
	if n.key, err = federation.LoadIdentity(path, ""); err != nil {
		return err
	}
	if n.id, err = peer.IDFromPrivateKey(n.key); err != nil {
		return err
	}
	n.open, err = federation.NewOpen(n.key)
	return err
}

// Start runs the product, joins by the first node that runs, and returns when
// the product is ready.
func (n *Node) Start() {
	n.net.t.Helper()
	if err := n.start(); err != nil {
		n.net.t.Fatalf("start %s: %v", n, err)
	}
}

func (n *Node) start() error {
	if err := n.wait(); err != nil {
		return err
	}
	var bootstrap []string
	if others := Everyone(n.net); len(others) > 0 {
		bootstrap = others[0].Status().Node.Addresses
	}
	if err := n.plugIn(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	n.firewall = &firewall{since: map[netip.Prefix]time.Time{}}
	c := node.Config{
		Data: n.dir, Open: n.member == nil, Member: n.member, Bootstrap: bootstrap, Host: n.host, Block: "observe", Backend: n.firewall,
		Sources: []node.Source{
			{Format: "sshd", Path: "auth.log", Follow: n.log.follow},
			{Format: "snort-fast", Path: "alert", Follow: n.snort.follow},
			{Format: "suricata", Path: "eve.json", Follow: n.suricata.follow},
		},
	}
	if n.net.tap != nil {
		c.Host = n.net.tap.on(n.host)
	}
	if n.net.loss != nil {
		c.Host = n.net.loss.on(c.Host)
	}
	if n.tune != nil {
		n.tune(&c)
	}
	if n.net.meter != nil {
		c.Host = n.net.meter.on(c.Host)
	}
	var first sync.Once
	begun := func(product *node.Node) {
		if ctx.Err() == nil {
			n.running.Store(product)
		}
		first.Do(func() { close(ready) })
	}
	go func() { ended <- node.Run(ctx, c, begun) }()
	n.cancel, n.ended = cancel, ended
	select {
	case <-ready:
		return nil
	case err := <-ended:
		ended <- err
		return err
	}
}

// Status, Alerts and Blocks are the product's, and Product is the product itself:
// another one after each new policy, under which it begins anew.
func (n *Node) Status() control.Status           { return n.Product().Status() }
func (n *Node) Alerts() ([]control.Alert, error) { return n.Product().Alerts() }
func (n *Node) Blocks() ([]control.Block, error) { return n.Product().Blocks() }
func (n *Node) Product() *node.Node              { return n.running.Load() }

// plugIn gives the node a new host with its old name, linked to all others on its
// side, and introduces it to the members among them.
func (n *Node) plugIn() error {
	if n.member != nil {
		if err := n.remember(); err != nil {
			return err
		}
	}
	addr, err := multiaddr.NewMultiaddr(fmt.Sprintf("/ip6/2001:db8:ffff::%x/tcp/4001", n.Number+1))
	if err != nil {
		return err
	}
	if n.host, err = n.net.wires.AddPeer(n.key, addr); err != nil {
		return err
	}
	for _, other := range n.net.nodes {
		if other != n && other.host != nil && !n.net.parted(n, other) {
			if err := n.net.link(n, other); err != nil {
				return err
			}
		}
	}
	if n.member != nil {
		n.host.Network().Notify(n.doorman())
	}
	return nil
}

// unplug cuts all links at once. A closed host would stay reachable over them.
func (n *Node) unplug() {
	n.net.severed = append(n.net.severed, n.host.Network().Conns()...)
	for _, other := range n.net.nodes {
		if other != n && other.host != nil {
			n.net.severed = append(n.net.severed, other.host.Network().ConnsToPeer(n.id)...)
			_ = n.net.wires.UnlinkPeers(n.id, other.id)     // fails where there is no link
			_ = n.net.wires.DisconnectPeers(n.id, other.id) // never fails
		}
	}
}

func (n *Node) runs() bool { return n.running.Load() != nil }

// leave asks the product to end.
func (n *Node) leave() {
	if n.runs() {
		n.cancel()
		n.running.Store(nil)
	}
}

// wait waits until the product has ended, if it has not been waited for yet, or
// ends what runs in its place.
func (n *Node) wait() (err error) {
	switch {
	case n.rogue != nil:
		err = n.rogue.close()
	case n.ended != nil:
		err = <-n.ended
	default:
		return nil
	}
	n.unplug()
	if closed := n.host.Close(); err == nil {
		err = closed
	}
	n.ended, n.rogue, n.host = nil, nil, nil
	n.running.Store(nil)
	if err != nil {
		return fmt.Errorf("%s: %w", n, err)
	}
	return nil
}

// Stop ends the product in good order.
func (n *Node) Stop() {
	n.leave()
	if err := n.wait(); err != nil {
		n.net.t.Error(err)
	}
}

// Crash takes the node away from one moment to the next: its connections break
// and nobody can reach it any more. What then ends in good order, out of reach
// of all, is memory only.
func (n *Node) Crash() {
	n.unplug()
	n.leave()
}
