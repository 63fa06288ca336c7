package detect

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/komondor/komondor/probe/packet"
)

const dnsPort = 53

// dns looks at queries and replies for what they ask, not at what is answered.
func (d *Detector) dns(p *packet.Packet) {
	m, ok := readDNS(p.Payload)
	if !ok {
		return
	}
	source, target := hostOf(p.Source), hostOf(p.Target)
	switch {
	case !m.reply && p.TargetPort == dnsPort:
		k := askedKey(source, target, p.SourcePort, m)
		if i := d.asked.find(k); i != 0 {
			d.asked.renew(i, passing) // asked once more
		} else {
			d.asked.add(k, passing)
		}
		known := d.floods.find(floodKey{target, m.name, repeatFlood}) != 0
		d.flooded(repeatFlood, target, m.name, d.config.Repeats, source, 1)
		d.flooded(queryFlood, target, source.hash(0), d.config.Queries, source, 1)
		if !known && m.labels > 2 {
			d.flooded(nameFlood, target, m.zone, d.config.Names, source, 1)
		}
	case m.reply && p.SourcePort == dnsPort:
		i := d.asked.find(askedKey(target, source, p.TargetPort, m))
		if i == 0 {
			d.flooded(replyFlood, target, m.name, d.config.Replies, source, 1)
			return
		}
		d.asked.remove(i)
		if m.code == 0 { // the name exists
			d.flooded(repeatFlood, source, m.name, d.config.Repeats, target, -1)
			d.flooded(queryFlood, source, target.hash(0), d.config.Queries, target, -1)
			d.flooded(nameFlood, source, m.zone, d.config.Names, target, -1)
		}
	}
}

// relays tells whether a client only passes on what it is itself being flooded with.
func (d *Detector) relays(client host, name uint64) bool {
	return d.underFlood(repeatFlood, client, name)
}

func askedKey(client, server host, port uint16, m dnsMessage) number {
	return number(mix(server.hash(client.hash(m.name)), uint64(port)<<16|uint64(m.id)))
}

// dnsMessage is what is known of a message: its header, and hashes of the name in its question
// and of the name without the first label.
type dnsMessage struct {
	id         uint16
	reply      bool
	code       uint8
	labels     int
	name, zone uint64
}

// readDNS reads the header and the first question (RFC 1035, section 4.1). A name that is
// compressed, which a question's never is, or longer than 255 bytes is given up.
func readDNS(b []byte) (m dnsMessage, ok bool) {
	const header, longest = 12, 255
	if len(b) < header || binary.BigEndian.Uint16(b[4:]) == 0 {
		return m, false
	}
	flags := binary.BigEndian.Uint16(b[2:])
	m = dnsMessage{id: binary.BigEndian.Uint16(b), reply: flags&0x8000 != 0, code: uint8(flags & 0xf)}
	var starts [2]int // of the first label and of the second
	at := header
	for {
		if at >= len(b) || at-header >= longest {
			return m, false
		}
		size := int(b[at])
		if size == 0 {
			break
		}
		if size > 63 || at+size >= len(b) {
			return m, false
		}
		if m.labels < len(starts) {
			starts[m.labels] = at
		}
		m.labels++
		at += size + 1
	}
	m.name = hashName(b[header:at])
	if m.labels > 1 {
		m.zone = hashName(b[starts[1]:at])
	}
	return m, true
}

// questionName is the name in the first question of a message that readDNS has read, in small letters and without
// the last dot. It is empty for the root, and where a byte is in no name of a host or a service.
func questionName(b []byte) string {
	const header = 12
	foreign := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	var name []byte
	for b = b[header:]; b[0] > 0; b = b[1+b[0]:] {
		label := b[1 : 1+b[0]]
		if bytes.ContainsFunc(label, foreign) {
			return ""
		}
		name = append(append(name, bytes.ToLower(label)...), '.')
	}
	return strings.TrimSuffix(string(name), ".")
}

// hashName hashes a name whose case does not matter. Length bytes are below 64, so that
// they are no letters.
func hashName(b []byte) (hash uint64) {
	for len(b) > 0 {
		var word [8]byte
		n := copy(word[:], b)
		b = b[n:]
		for i, c := range word {
			if c >= 'A' && c <= 'Z' {
				word[i] = c + 'a' - 'A'
			}
		}
		hash = mix(hash, binary.BigEndian.Uint64(word[:]))
	}
	return hash
}
