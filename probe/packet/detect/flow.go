package detect

import (
	"math"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// idle is after how long without a packet an exchange is taken to be over.
const idle = 15 * time.Minute

// flowKey names an exchange, whichever way a packet of it goes: a is the lower end.
type flowKey struct {
	a, b     host
	ports    uint32 // a's and b's
	protocol packet.Protocol
}

func (k flowKey) hash(seed uint64) uint64 {
	return mix(k.b.hash(k.a.hash(seed)), uint64(k.ports)<<8|uint64(k.protocol))
}

// keyOf also tells whether the sender is the key's lower end.
func keyOf(source, target host, sourcePort, targetPort uint16, protocol packet.Protocol) (k flowKey, low bool) {
	if source.less(target) || source == target && sourcePort <= targetPort {
		return flowKey{source, target, uint32(sourcePort)<<16 | uint32(targetPort), protocol}, true
	}
	return flowKey{target, source, uint32(targetPort)<<16 | uint32(sourcePort), protocol}, false
}

// flow is one exchange between a client, which began it, and a server.
type flow struct {
	begun, renewed           int64 // by the detector's clock; renewed lags by a second
	number                   int64 // of the packet that began it
	clientISN, serverISN     uint32
	clientBytes, serverBytes uint32 // of payload; they stop at the highest
	state                    state
	clientLow                bool  // the client is the key's lower end
	clientSpoke              bool  // last
	unanswered               uint8 // packets with payload since the other side spoke last
	clientFIN, serverFIN     bool
	tunnel                   bool // whoever wrote the tunnel's packets wrote both sides
	forged                   bool // its source cannot be where it is said to be
	ssh                      bool // by its port, or by what its client said first
}

type state uint8

const (
	begun       state = iota // nothing has come back
	answered                 // the server has answered; over TCP, with a SYN-ACK
	established              // the client has acknowledged the server's number
)

func (k flowKey) ends(clientLow bool) (client, server host, clientPort, serverPort uint16) {
	a, b := uint16(k.ports>>16), uint16(k.ports)
	if clientLow {
		return k.a, k.b, a, b
	}
	return k.b, k.a, b, a
}

func (f *flow) proof() event.Proof {
	if f.state >= established && !f.tunnel {
		return event.Handshake
	}
	return event.Spoofable
}

func add32(n *uint32, more int) {
	*n = uint32(min(uint64(*n)+uint64(max(more, 0)), math.MaxUint32))
}

// begin remembers a new exchange and returns its place. What can be said of it without
// an answer is said here.
func (d *Detector) begin(p *packet.Packet, k flowKey, low bool) int32 {
	i := d.flows.add(k, passing)
	*d.flows.value(i) = flow{
		begun: d.now, renewed: d.now, number: p.Number, clientISN: p.Sequence, clientLow: low, clientSpoke: true,
		tunnel: p.Tunnel, forged: d.forgedSource(p),
	}
	return i
}

// renew keeps an exchange that goes on from being forgotten as the oldest. Once a second is
// enough, and spares the table's memory.
func (d *Detector) renew(place int32) {
	if f := d.flows.value(place); d.now-f.renewed > int64(time.Second) {
		f.renewed = d.now
		d.flows.renew(place, lasting)
	}
}

// silent forgets an exchange that nobody answered in time.
func (d *Detector) silent(place int32, report bool) {
	f, k := d.flows.value(place), d.flows.key(place)
	if f.state == begun {
		_, server, _, port := k.ends(f.clientLow)
		switch {
		case k.protocol == packet.TCP && !d.underFlood(synFlood, server, uint64(port)):
			d.vain(place, silentTry, report)
		case k.protocol == packet.UDP && soughtUDP(port) && !d.underFlood(udpFlood, server, 0):
			d.vain(place, silentTry, false)
		}
	}
	d.flows.remove(place)
}

// answer notes that the other side has answered.
func (d *Detector) answer(place int32) {
	f := d.flows.value(place)
	f.state, f.renewed = answered, d.now
	d.flows.renew(place, lasting)
}

func addrPort(h host, port uint16) event.Endpoint { return event.Endpoint{Addr: h.addr(), Port: port} }

func ends(p *packet.Packet) (source, target event.Endpoint) {
	return event.Endpoint{Addr: p.Source, Port: p.SourcePort}, event.Endpoint{Addr: p.Target, Port: p.TargetPort}
}
