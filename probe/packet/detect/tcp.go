package detect

import (
	"bytes"
	"math"

	"github.com/komondor/komondor/probe/packet"
)

// tcp follows a connection as far as its detectors need.
func (d *Detector) tcp(p *packet.Packet) {
	const control = packet.SYN | packet.ACK | packet.RST | packet.FIN
	flags := p.Flags & control
	if flags&(packet.ACK|packet.RST) == 0 && flags != packet.SYN || flags&packet.SYN != 0 && flags&(packet.FIN|packet.RST) != 0 {
		d.stealth(p)
		return
	}
	k, low := keyOf(hostOf(p.Source), hostOf(p.Target), p.SourcePort, p.TargetPort, packet.TCP)
	i := d.flows.find(k)
	if flags == packet.SYN {
		d.syn(p, k, low, i)
		return
	}
	if i == 0 {
		return // it began before we looked, or somebody else's name was used: it is no try
	}
	f := d.flows.value(i)
	f.tunnel = f.tunnel || p.Tunnel
	fromClient := low == f.clientLow
	switch {
	case f.state == begun && !fromClient && flags == packet.SYN|packet.ACK && p.Ack == f.clientISN+1:
		f.state, f.serverISN = answered, p.Sequence
	case f.state == begun && !fromClient && flags&packet.RST != 0 && p.Ack == f.clientISN+1:
		d.vain(i, refusedTry, true)
		d.flows.remove(i)
	case f.state == answered && fromClient && flags&packet.RST != 0:
		d.vain(i, halfOpenTry, false)
		d.flows.remove(i)
	case f.state == answered && fromClient && p.Ack == f.serverISN+1 && flags&packet.ACK != 0:
		f.state, f.renewed = established, d.now
		d.flows.renew(i, lasting)
		d.completed(hostOf(p.Target), p.TargetPort)
		d.established(p, i, fromClient, flags)
	case f.state == established && f.within(p.Sequence, fromClient):
		d.established(p, i, fromClient, flags)
	}
}

// within tells whether a segment's number is one that its sender can have come to. Somebody who
// can only guess it must not end a session in another's name, nor add to it.
func (f *flow) within(sequence uint32, fromClient bool) bool {
	const ahead, wrapping = 1 << 20, 1 << 30
	isn, sent := f.serverISN, f.serverBytes
	if fromClient {
		isn, sent = f.clientISN, f.clientBytes
	}
	return sent >= wrapping || sequence-isn <= sent+ahead
}

// syn begins a connection, or tries once more to.
func (d *Detector) syn(p *packet.Packet, k flowKey, low bool, place int32) {
	if place != 0 {
		f := d.flows.value(place)
		switch {
		case f.state == established && d.now-f.renewed < int64(Wait), f.state == answered:
			return // an answer to it will say that the connection exists
		case f.state == established && f.clientBytes > 0:
			d.session(place) // its end was not seen
		case f.state == begun && f.clientLow == low && f.clientISN == p.Sequence:
			d.flooded(synFlood, hostOf(p.Target), uint64(p.TargetPort), d.config.SYN, hostOf(p.Source), 1)
			return
		}
		d.flows.remove(place)
	}
	d.begin(p, k, low)
	d.flooded(synFlood, hostOf(p.Target), uint64(p.TargetPort), d.config.SYN, hostOf(p.Source), 1)
}

// established follows a connection that both sides have acknowledged.
func (d *Detector) established(p *packet.Packet, place int32, fromClient bool, flags packet.Flags) {
	f := d.flows.value(place)
	d.renew(place)
	if p.PayloadLength > 0 {
		if f.clientSpoke != fromClient {
			f.unanswered = 0
		}
		f.clientSpoke = fromClient
		f.unanswered = min(f.unanswered, math.MaxUint8-1) + 1
		if fromClient {
			if f.clientBytes == 0 {
				d.served(place)
				d.streamWorm(p, f)
				f.ssh = p.TargetPort == sshPort || bytes.HasPrefix(p.Payload, []byte("SSH-"))
			}
			add32(&f.clientBytes, p.PayloadLength)
			if p.PayloadLength <= keystroke {
				d.step(p, place)
			}
		} else {
			add32(&f.serverBytes, p.PayloadLength)
		}
	} else if f.clientSpoke != fromClient {
		f.unanswered = 0 // it acknowledges
	}
	switch {
	case flags&packet.RST != 0:
		if !f.clientFIN && !f.serverFIN {
			d.lost(place, fromClient)
		}
		d.over(place)
	case flags&packet.FIN != 0:
		if fromClient {
			f.clientFIN = true
		} else {
			f.serverFIN = true
		}
		if f.clientFIN && f.serverFIN {
			d.over(place)
		}
	}
}

// over ends an established connection. Its place is the next to be taken, while it is still in the
// processor's cache.
func (d *Detector) over(place int32) {
	f := d.flows.value(place)
	if f.clientBytes == 0 {
		d.vain(place, emptyTry, false)
	} else {
		d.session(place)
	}
	d.flows.remove(place) // late packets of it begin nothing
}

// served notes that a connection was put to use.
func (d *Detector) served(place int32) {
	client, server, _, port := d.flows.key(place).ends(d.flows.value(place).clientLow)
	d.useful(client, server, port, packet.TCP)
}
