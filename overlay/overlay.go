// Package overlay joins the peer-to-peer network and brings bytes to the
// members that are responsible for a key: one libp2p host and one Kademlia
// table (go-libp2p-kad-dht), a greedy iterative lookup with cached routes (paper
// 002, section III.B: n + log2 N messages for n events of one key), acknowledged
// delivery to the r members chosen near a key, acknowledged frames between
// contacts for the broadcast, and questions with one answer. An Admission keeps
// out who is no member, before the first byte. It knows no events and no
// certificates.
package overlay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	"github.com/komondor/komondor/overlay/kademlia"
)

const (
	prefix         protocol.ID = "/komondor/1"
	kadProtocol                = prefix + "/kad/1.0.0"
	reportProtocol             = prefix + "/report"
	frameProtocol              = prefix + "/broadcast"
	askProtocol                = prefix + "/ask"
	attachProtocol             = prefix + "/attach"
)

const (
	// rpcTimeout ends a dial, a lookup request, or a stream on which an
	// acknowledgement is due and none comes.
	rpcTimeout = 2 * time.Second
	// MaxReplicas bounds r: one answer of a peer must be able to hold them all.
	MaxReplicas = 16
)

// Config is what a node brings to the overlay.
type Config struct {
	Identity  crypto.PrivKey        // Ed25519: the node's name is made of it
	Listen    []multiaddr.Multiaddr // for instance /ip4/0.0.0.0/tcp/4001, or …/udp/4001/quic-v1; at least one, but for a leaf
	Announce  []multiaddr.Multiaddr // where others reach this node from outside of its NAT, beside what it listens on
	Bootstrap []peer.AddrInfo       // members to join through; none for the first node
	// Remembered are Contacts of an earlier run: tried like Bootstrap, but nobody
	// is told of those that are gone.
	Remembered []peer.AddrInfo
	// Admission says who is a member. Nil: an open overlay, for a lab; its nodes
	// and those of a federation cannot connect. Members listen on TCP only.
	Admission Admission
	// ReportRate and FrameRate are what one peer may send here before it has to
	// wait. Zero: 2,000 reports a second and 4,000 at once, 500 broadcast frames
	// and 1,000.
	ReportRate, FrameRate Rate
	// Capacity is for which share of the keys near to it this node collects. The zero
	// value is all of them.
	Capacity Capacity
	// Leaf is a node that collects for nobody and stands in nobody's table: it needs
	// no address at which others reach it, and hangs on three full nodes, its Hosts.
	Leaf bool
	// Private admits private and loopback addresses: for a lab, not the Internet.
	Private bool
	// Host, when set, is used as it is instead of Identity, Listen and Private
	// (which filters nothing then), and Close leaves it open. There is no
	// handshake then: only who is Admitted without one gets a stream.
	Host host.Host
	// Notice gets sentences for the operator. It may be called from several
	// goroutines. Nil drops them.
	Notice func(string)
}

// Collector receives a payload that this node is responsible for. The payload
// is its to keep. An error refuses it: the text goes back to the sender, who
// does not try again; one that wraps ErrBusy has it given to the next member, and
// this node left alone for 30 seconds. Payloads of different senders come concurrently, those of
// one stream in turn, so it must not wait for the network.
type Collector func(ctx context.Context, from peer.ID, key [32]byte, payload []byte) error

// Receiver receives a broadcast frame, under the same terms as a Collector.
type Receiver func(ctx context.Context, from peer.ID, frame []byte) error

// ErrRefused is wrapped by errors of Deliver and Send when the other side is
// alive and does not want the payload. Sending it again is no use.
var ErrRefused = errors.New("refused")

// ErrBusy is wrapped by errors of a Collector that takes no payloads now, and of
// a Deliver that found nobody who does. Trying again later is of use.
var ErrBusy = errors.New("busy")

// Overlay is one running node.
type Overlay struct {
	host    host.Host
	ownHost bool
	dht     *dht.IpfsDHT
	kad     *pb.ProtocolMessenger
	self    place
	private bool
	// admission is nil in an open overlay.
	admission Admission
	notice    func(string)
	seeds     []*seed

	capacity Capacity // this node's own
	leaf     bool
	leaves   leaves // of a full node
	hosts    hosts  // of a leaf
	routes   routes
	dead     graveyard
	lost     lost
	avoid    avoided
	shares   shares
	changes  changes
	redials  chan struct{} // bounds concurrent re-dials of lost contacts

	reports   *client
	frames    *client
	attaching *client
	asking    chan struct{} // taken by each question of this node

	collect Collector     // valid once ready is closed
	receive Receiver      // likewise
	answer  Answerer      // likewise
	ready   chan struct{} // closed by Handle

	count counters

	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // guards closed, and with it wg against a late Go
	closed bool
	wg     sync.WaitGroup
}

// New starts a node and returns while it is still joining. The context bounds
// the start only. A New that fails leaves nothing running. Call Handle next.
func New(ctx context.Context, c Config) (*Overlay, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start overlay: %w", err)
	}
	o := &Overlay{
		host: c.Host, private: c.Private || c.Host != nil, admission: c.Admission, notice: c.Notice, capacity: c.Capacity, leaf: c.Leaf,
		redials: make(chan struct{}, maxRedials), asking: make(chan struct{}, maxAsking), ready: make(chan struct{}),
	}
	if c.Leaf {
		o.capacity = None
	}
	if o.notice == nil {
		o.notice = func(string) {}
	}
	if o.host == nil {
		h, err := newHost(c, &o.count.refused)
		if err != nil {
			return nil, err
		}
		o.host, o.ownHost = h, true
	}
	if c.Admission != nil {
		o.host = memberHost{o.host, c.Admission}
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	if err := o.start(c); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// start has every protocol in place before the first byte can arrive: peers
// learn a node's protocols when they connect, and later news of them is
// rate-limited by address.
func (o *Overlay) start(c Config) (err error) {
	o.self = placeOf(o.host.ID())
	o.routes.init()
	o.changes.init()
	o.hosts.full, o.hosts.wake = map[peer.ID]time.Time{}, make(chan struct{}, 1)
	o.lost.init()
	o.reports = o.newClient(reportProtocol, &o.count.report)
	o.frames = o.newClient(frameProtocol, &o.count.frame)
	o.attaching = o.newClient(attachProtocol, &o.count.attach)
	if o.kad, err = pb.NewProtocolMessenger(sender{o.host}); err != nil {
		return fmt.Errorf("start overlay: %w", err)
	}
	if o.dht, err = o.newDHT(); err != nil {
		return fmt.Errorf("start overlay: %w", err)
	}
	if err := o.watch(); err != nil {
		return err
	}
	o.host.SetStreamHandler(capacityProtocols[o.capacity], func(s network.Stream) { s.Reset() }) // its name says all
	if !o.leaf {
		o.serve(reportProtocol, &o.count.report, c.ReportRate.or(reportRate), o.answerReport)
		o.serve(attachProtocol, &o.count.attach, attachRate, o.answerAttach)
	}
	o.serve(frameProtocol, &o.count.frame, c.FrameRate.or(frameRate), o.answerFrame)
	o.serveAsk()
	if o.ownHost {
		if err := listen(o.host, c.Listen); err != nil {
			return err
		}
		if len(o.host.Addrs()) == 0 && !o.leaf {
			o.notice("none of this node's addresses is public: other members cannot reach it; listen on a public address, announce the one that a NAT forwards, or allow private addresses in a lab")
		}
	}
	for _, info := range c.Bootstrap {
		if info.ID != o.host.ID() { // one list may serve all nodes
			o.seeds = append(o.seeds, &seed{info: info})
		}
	}
	for _, info := range c.Remembered {
		o.seeds = append(o.seeds, &seed{info: info, remembered: true})
	}
	o.spawn(o.bootstrap)
	o.spawn(o.refresh)
	if o.leaf {
		o.spawn(o.hang)
	}
	return nil
}

func (o *Overlay) newDHT() (*dht.IpfsDHT, error) {
	mode := dht.ModeServer
	if o.leaf {
		mode = dht.ModeClient // in nobody's table
	}
	d, err := dht.New(o.host,
		dht.ProtocolPrefix(prefix),
		dht.Mode(mode), // the default waits for a public reachability that closed nets never show
		dht.WithCustomMessageSender(func(h host.Host, _ []protocol.ID) pb.MessageSenderWithDisconnect { return sender{h} }),
		dht.BucketSize(kademlia.K),
		dht.DisableProviders(),
		dht.DisableValues(),
		dht.RoutingTableRefreshPeriod(24*time.Hour), // refresh does it in time
		dht.RoutingTableRefreshQueryTimeout(10*time.Second),
		dht.RoutingTableLatencyTolerance(10*time.Second),
		dht.RoutingTableFilter(func(_ any, p peer.ID) bool { return o.admitted(p) }),
		dht.QueryFilter(func(_ any, info peer.AddrInfo) bool { return o.promising(info.ID) }),
		dht.AddressFilter(func(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr { return usable(addrs, o.private) }),
	)
	if err != nil {
		return nil, err
	}
	// Both run with the table's lock held: they must not call back into it.
	table := d.RoutingTable()
	added, removed := table.PeerAdded, table.PeerRemoved
	table.PeerAdded = func(p peer.ID) { added(p); o.changes.note(change{p, came}) }
	table.PeerRemoved = func(p peer.ID) { removed(p); o.changes.note(change{p, left}) }
	return d, nil
}

// Handle says who receives what arrives. It is called once; what arrives before
// waits for it, as long as its sender does. A nil answer refuses all questions.
func (o *Overlay) Handle(collect Collector, receive Receiver, answer Answerer) {
	o.collect, o.receive, o.answer = collect, receive, answer
	close(o.ready)
}

// handled waits until Handle has been called.
func (o *Overlay) handled(ctx context.Context) error {
	select {
	case <-o.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-o.ctx.Done():
		return errClosed
	}
}

// Close leaves the overlay and waits until everything that was started has
// ended. It is safe to call more than once.
func (o *Overlay) Close() error {
	o.mu.Lock()
	again := o.closed
	o.closed = true
	o.mu.Unlock()
	if again {
		return nil
	}
	o.cancel()
	for _, p := range []protocol.ID{reportProtocol, frameProtocol, askProtocol, attachProtocol, capacityProtocols[o.capacity]} {
		o.host.RemoveStreamHandler(p)
	}
	var errs []error
	if o.dht != nil {
		errs = append(errs, o.dht.Close())
	}
	if o.ownHost {
		errs = append(errs, o.host.Close())
	}
	o.wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close overlay: %w", err)
	}
	return nil
}

// spawn runs f in a goroutine that Close waits for; false once closed.
func (o *Overlay) spawn(f func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.wg.Go(f)
	return true
}

// ID is this node's peer ID.
func (o *Overlay) ID() peer.ID { return o.host.ID() }

// Addrs are the addresses that others can join through, each with /p2p/ID.
func (o *Overlay) Addrs() []multiaddr.Multiaddr {
	var addrs []multiaddr.Multiaddr
	name := multiaddr.StringCast("/p2p/" + o.host.ID().String())
	for _, a := range o.host.Addrs() {
		addrs = append(addrs, a.Encapsulate(name))
	}
	return addrs
}

// Peers is how many peers are connected, and how many members the table holds.
// An empty table means that this node is alone.
func (o *Overlay) Peers() (connected, table int) {
	return len(o.host.Network().Peers()), o.dht.RoutingTable().Size()
}

// dialContext bounds whatever a call needs, a dial included.
func dialContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(network.WithDialPeerTimeout(ctx, timeout), timeout)
}
