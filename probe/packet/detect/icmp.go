package detect

import "github.com/komondor/komondor/probe/packet"

// icmp looks at errors, which tell of tries, and at requests and replies.
func (d *Detector) icmp(p *packet.Packet) {
	switch {
	case p.Inner != nil:
		d.unreachable(p)
	case isRequest(p), isReply(p):
		source, target := hostOf(p.Source), hostOf(p.Target)
		k, low := keyOf(source, target, 0, 0, p.Protocol)
		i := d.flows.find(k)
		fresh := i == 0
		if fresh {
			i = d.begin(p, k, low)
		}
		f := d.flows.value(i)
		switch {
		case p.Target.IsMulticast():
		case isReply(p) && !fresh && low != f.clientLow && f.state == begun:
			d.answer(i)
		case isReply(p) && !fresh && f.state == answered:
			d.renew(i)
		default:
			d.flooded(icmpFlood, target, 0, d.config.ICMP, source, 1)
			if fresh && isRequest(p) {
				d.swept(p, source, target)
			}
		}
	}
}

// isRequest tells whether the message asks a host whether it is there: echo, timestamp,
// information, address mask.
func isRequest(p *packet.Packet) bool {
	if p.Protocol == packet.ICMPv6 {
		return p.ICMPType == 128
	}
	return p.ICMPType == 8 || p.ICMPType == 13 || p.ICMPType == 15 || p.ICMPType == 17
}

func isReply(p *packet.Packet) bool {
	if p.Protocol == packet.ICMPv6 {
		return p.ICMPType == 129
	}
	return p.ICMPType == 0 || p.ICMPType == 14 || p.ICMPType == 16 || p.ICMPType == 18
}

// unreachable takes an ICMP error for what it says, if it quotes a packet that was
// seen and not answered. Anybody can write an error, so what it quotes is only looked up.
func (d *Detector) unreachable(p *packet.Packet) {
	const fragmentationNeeded = 4
	if p.Protocol == packet.ICMP && (p.ICMPType != 3 || p.ICMPCode == fragmentationNeeded) ||
		p.Protocol == packet.ICMPv6 && p.ICMPType != 1 {
		return
	}
	q, ok := packet.Quoted(p.Inner)
	if !ok || q.Protocol != packet.UDP && q.Protocol != packet.TCP {
		return
	}
	k, low := keyOf(hostOf(q.Source), hostOf(q.Target), q.SourcePort, q.TargetPort, q.Protocol)
	if i := d.flows.find(k); i != 0 {
		if f := d.flows.value(i); f.state == begun && f.clientLow == low {
			d.vain(i, unreachableTry, true)
			d.flows.remove(i)
		}
	}
}
