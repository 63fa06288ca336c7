package detect

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// datagramWorm recognises worms that come in one datagram.
func (d *Detector) datagramWorm(p *packet.Packet) {
	switch {
	// Slammer overflows the resolution service of SQL Server 2000 with one datagram: a request of
	// type 4 and 375 bytes more (Moore et al., "Inside the Slammer Worm", 2003).
	case p.TargetPort == 1434 && p.PayloadLength == 376 && len(p.Payload) > 0 && p.Payload[0] == 4:
		d.tellWorm(p, "Slammer", "CVE-2002-0649", event.Spoofable)
	// Witty is sent from port 4000, as ICQ is, to any port (Shannon and Moore, "The Spread of the Witty
	// Worm", 2004); its text is at the datagram's 120th byte or so.
	case p.SourcePort == 4000 && bytes.Contains(p.Payload[:min(len(p.Payload), 256)], []byte("insert witty message here")):
		d.tellWorm(p, "Witty", "CVE-2004-0362", event.Spoofable)
	}
}

// streamWorm recognises worms by what a client says first.
func (d *Detector) streamWorm(p *packet.Packet, f *flow) {
	if p.TargetPort != 80 {
		return
	}
	switch {
	// CERT advisories CA-2001-19 and CA-2001-13.
	case bytes.HasPrefix(p.Payload, []byte("GET /default.ida?NNNN")), bytes.HasPrefix(p.Payload, []byte("GET /default.ida?XXXX")):
		d.tellWorm(p, "Code Red", "CVE-2001-0500", f.proof())
	// What Code Red II left behind is what Nimda looks for (CA-2001-26).
	case bytes.HasPrefix(p.Payload, []byte("GET /scripts/root.exe?/c+dir")), bytes.HasPrefix(p.Payload, []byte("GET /MSADC/root.exe?/c+dir")):
		d.tellWorm(p, "Nimda", "", f.proof())
	}
}

func (d *Detector) tellWorm(p *packet.Packet, name, vulnerability string, proof event.Proof) {
	news := d.notify(noticeKey{source: hostOf(p.Source), kind: worm}, 1)
	if news == 0 {
		return
	}
	e := event.Event{
		Time: d.at(d.now), Kind: event.Worm, Count: news, Proof: proof, Protocol: p.Protocol.String(),
		Vulnerability: vulnerability, Detail: name,
	}
	e.Source, e.Target = ends(p)
	d.tell(e, p.Number)
}
