package detect

import "github.com/komondor/komondor/probe/packet"

// udp follows an exchange of datagrams.
func (d *Detector) udp(p *packet.Packet) {
	source, target := hostOf(p.Source), hostOf(p.Target)
	d.datagramWorm(p)
	k, low := keyOf(source, target, p.SourcePort, p.TargetPort, packet.UDP)
	i := d.flows.find(k)
	if i == 0 {
		i = d.begin(p, k, low)
		// At the start an answer may come first, to what was asked before we looked.
		if d.now-d.first < int64(Wait) && p.SourcePort < 1024 && p.TargetPort >= 1024 {
			d.flows.value(i).clientLow = !low
		}
	}
	switch f := d.flows.value(i); {
	case f.state == answered:
		d.renew(i)
	case low != f.clientLow:
		if p.SourcePort == dnsPort {
			f.state = answered // and over: who asks again mostly does so from another port
		} else {
			d.answer(i)
		}
		d.useful(target, source, p.SourcePort, packet.UDP)
	case !p.Target.IsMulticast():
		d.flooded(udpFlood, target, 0, d.config.UDP, source, 1)
	}
	if p.SourcePort == dnsPort || p.TargetPort == dnsPort {
		d.dns(p)
	}
}
