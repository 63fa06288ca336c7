//go:build !race

// The race detector crashes in synctest bubbles with many timers
// (go.dev/issue/78156).

package cast

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/overlay"
)

// latency of every message, one way.
const latency = 10 * time.Millisecond

// net is an overlay over which one kind of broadcast runs at a time.
type net struct {
	wire  wire
	nodes []*node
	log   arrivals
	sent  atomic.Uint64 // payloads, which numbers them
}

type node struct {
	*overlay.Overlay
	net  *net
	host host.Host

	mu   sync.Mutex
	cast *broadcast.Broadcast // nil while gossipsub runs
}

// arrivals notes when each payload came to whom, and by how many hops.
type arrivals struct {
	mu sync.Mutex
	at map[string]map[peer.ID]arrival
}

type arrival struct {
	when time.Time
	hops int
}

func (a *arrivals) note(payload string, from, to peer.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at == nil {
		a.at = map[string]map[peer.ID]arrival{}
	}
	if a.at[payload] == nil {
		a.at[payload] = map[peer.ID]arrival{}
	}
	if _, again := a.at[payload][to]; !again {
		hops := 0
		if from != to {
			hops = a.at[payload][from].hops + 1
		}
		a.at[payload][to] = arrival{time.Now(), hops}
	}
}

// newNet makes n nodes that know one another, as far as their tables hold so many.
func newNet(t *testing.T, n int) *net {
	t.Helper()
	mn := mocknet.New()
	mn.SetLinkDefaults(mocknet.LinkOptions{Latency: latency})
	t.Cleanup(func() { mn.Close() })
	made := new(net)
	for range n {
		h, err := mn.GenPeer()
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range made.nodes {
			if _, err := mn.LinkPeers(h.ID(), other.ID()); err != nil {
				t.Fatal(err)
			}
		}
		node := &node{net: made, host: made.wire.on(h)}
		c := overlay.Config{Host: node.host}
		if len(made.nodes) > 0 {
			c.Bootstrap = []peer.AddrInfo{{ID: made.nodes[0].ID(), Addrs: made.nodes[0].host.Addrs()}}
		}
		if node.Overlay, err = overlay.New(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		node.Handle(func(context.Context, peer.ID, [32]byte, []byte) error { return nil }, node.receive, node.answer)
		made.nodes = append(made.nodes, node)
	}
	made.settle(t)
	return made
}

// settle waits until the tables are full again.
func (n *net) settle(t *testing.T) {
	t.Helper()
	const bucket = 20 // of so many peers a node is sure to keep all
	want := min(len(n.nodes)-1, bucket)
	for end := time.Now().Add(20 * time.Minute); ; time.Sleep(time.Second) {
		if !slices.ContainsFunc(n.nodes, func(n *node) bool { _, known := n.Peers(); return known < want }) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a table has less than %d contacts", want)
		}
	}
	time.Sleep(10 * time.Second)
}

func (n *node) running() *broadcast.Broadcast {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cast
}

func (n *node) receive(ctx context.Context, from peer.ID, frame []byte) error {
	if cast := n.running(); cast != nil {
		return cast.Receive(ctx, from, frame)
	}
	return context.Canceled
}

func (n *node) answer(_ context.Context, _ peer.ID, request []byte) ([]byte, error) {
	if cast := n.running(); cast != nil {
		return cast.Answer(request)
	}
	return nil, context.Canceled
}

// A way is one kind of broadcast, running on all nodes.
type way struct {
	name    string
	publish func(from int, payload []byte) error
	repair  func()        // begins to repair what was lost; nil: it does so all the time
	copies  func() uint64 // of payloads, sent so far
	stop    func()
}

// tree is the product's broadcast.
func (n *net) tree(t *testing.T, name string, replicas int) way {
	ctx, cancel := context.WithCancel(t.Context())
	var repairs sync.WaitGroup
	for _, node := range n.nodes {
		c := broadcast.New(node.Overlay, broadcast.Config{Replicas: replicas,
			About: func(payload []byte) (broadcast.About, bool) {
				return broadcast.About{Topic: string(payload[:topicSize])}, true
			},
			Receive: func(_ context.Context, from peer.ID, payload []byte) broadcast.Verdict {
				n.log.note(string(payload[:topicSize]), from, node.ID())
				return broadcast.Fresh
			}})
		node.mu.Lock()
		node.cast = c
		node.mu.Unlock()
	}
	return way{
		name: name,
		publish: func(from int, payload []byte) error {
			n.log.note(string(payload[:topicSize]), n.nodes[from].ID(), n.nodes[from].ID())
			return n.nodes[from].running().Publish(ctx, payload)
		},
		repair: func() {
			for _, node := range n.nodes {
				repairs.Go(func() { node.running().Repair(ctx) })
			}
		},
		copies: func() (sent uint64) {
			for _, node := range n.nodes {
				sent += node.running().Stats().Sent
			}
			return sent
		},
		stop: func() {
			cancel()
			repairs.Wait()
			for _, node := range n.nodes {
				node.running().Close()
				node.mu.Lock()
				node.cast = nil
				node.mu.Unlock()
			}
		},
	}
}

// tracer counts the payloads that gossipsub sends.
type tracer struct{ copies atomic.Uint64 }

func (t *tracer) SendRPC(rpc *pubsub.RPC, _ peer.ID)                 { t.copies.Add(uint64(len(rpc.GetPublish()))) }
func (*tracer) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (*tracer) OnClosedOutboundStream(peer.ID)                       {}
func (*tracer) Join(string)                                          {}
func (*tracer) Leave(string)                                         {}
func (*tracer) Graft(peer.ID, string)                                {}
func (*tracer) Prune(peer.ID, string)                                {}
func (*tracer) ValidateMessage(*pubsub.Message)                      {}
func (*tracer) DeliverMessage(*pubsub.Message)                       {}
func (*tracer) RejectMessage(*pubsub.Message, string)                {}
func (*tracer) DuplicateMessage(*pubsub.Message)                     {}
func (*tracer) ThrottlePeer(peer.ID)                                 {}
func (*tracer) RecvRPC(*pubsub.RPC)                                  {}
func (*tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (*tracer) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (*tracer) UndeliverableMessage(*pubsub.Message)                 {}

// gossip is gossipsub as it comes, on the connections that the overlay has made:
// its peers are those of the Kademlia tables. Payloads prove themselves, so it
// signs none.
func (n *net) gossip(t *testing.T) way {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	var topics []*pubsub.Topic
	tracer := &tracer{}
	for _, node := range n.nodes {
		ps, err := pubsub.NewGossipSub(ctx, node.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
			pubsub.WithMessageIdFn(func(m *pb.Message) string { sum := sha256.Sum256(m.Data); return string(sum[:]) }),
			pubsub.WithRawTracer(tracer))
		if err != nil {
			t.Fatal(err)
		}
		topic, err := ps.Join("alerts")
		if err != nil {
			t.Fatal(err)
		}
		sub, err := topic.Subscribe(pubsub.WithBufferSize(1024))
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			for {
				m, err := sub.Next(ctx)
				if err != nil {
					return
				}
				n.log.note(string(m.Data[:topicSize]), m.ReceivedFrom, node.ID())
			}
		})
		topics = append(topics, topic)
	}
	time.Sleep(30 * time.Second) // thirty heartbeats: the meshes stand
	return way{
		name:    "gossipsub",
		publish: func(from int, payload []byte) error { return topics[from].Publish(ctx, payload) },
		copies:  tracer.copies.Load,
		stop: func() {
			cancel()
			readers.Wait()
		},
	}
}
