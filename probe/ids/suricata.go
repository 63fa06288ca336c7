package ids

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func suricataFormat() text.Format {
	return text.Format{
		Name:    "suricata",
		Aliases: []string{"eve", "suricata-eve", "eve.json"},
		About:   "Suricata's eve.json; of its records, the alerts",
		New:     func(c text.Clock) text.Parser { return &suricataParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"event_type":`))
		}),
	}
}

type suricataParser struct {
	clock  text.Clock
	names  text.Recent
	record eveRecord
}

// eveRecord has the fields of an alert record that matter
// (doc/userguide/output/eve/eve-json-format.rst).
type eveRecord struct {
	top    [len(eveTop)]text.Value
	alert  [len(eveAlert)]text.Value
	flow   [len(eveFlow)]text.Value
	peer   [len(evePeers)]text.Value
	buffer []byte // of texts with escapes
}

var (
	eveTop = [...]string{"timestamp", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "direction", "alert", "flow",
		// Records of protocols that Suricata only follows in an established session.
		"http", "http2", "tls", "ssh", "smtp", "ftp", "smb", "rdp", "rfb", "mqtt"}
	eveAlert = [...]string{"gid", "signature_id", "signature", "category", "severity", "references", "metadata", "rule", "source", "target"}
	eveFlow  = [...]string{"src_ip", "src_port", "dest_ip", "dest_port", "pkts_toclient", "bytes_toclient"}
	evePeers = [...]string{"ip", "port"}
)

const (
	eveTimestamp = iota
	eveEventType
	eveSrcIP // and the three that follow, here and in the flow
	_
	_
	_
	eveProto
	eveDirection
	eveAlertPart
	eveFlowPart
	eveHTTP
)

// evePeer is one side of what a record is about; ip is empty where it has none.
type evePeer struct {
	ip   []byte
	port uint16
}

func (p *suricataParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !text.Contains(line.Bytes, `"event_type":"alert"`) && !text.Contains(line.Bytes, `"event_type": "alert"`) {
		return ev, false, text.WantObject("suricata", line.Bytes)
	}
	r := &p.record
	r.buffer = r.buffer[:0]
	if err := text.Value(line.Bytes).Fields(eveTop[:], r.top[:]); err != nil {
		return ev, false, text.Malformed("suricata", line.Bytes, err)
	}
	if string(r.text(r.top[eveEventType])) != "alert" {
		return ev, false, nil
	}
	a, err := r.read(p.clock)
	if err != nil {
		return ev, false, text.Malformed("suricata", line.Bytes, err)
	}
	if !a.hasSource() {
		return ev, false, nil
	}
	a.event(&ev, "suricata", line.File, line.Number, &p.names)
	return ev, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *suricataParser) Flush() (ev event.Event, ok bool, err error) { return }

// text returns a string, or nothing for what is none.
func (r *eveRecord) text(v text.Value) []byte {
	s, _ := v.Text(&r.buffer)
	return s
}

func number(v text.Value) int64 {
	n, _ := v.Int()
	return n
}

func (r *eveRecord) read(clock text.Clock) (a idsAlert, err error) {
	if r.top[eveAlertPart] == nil {
		return a, errors.New("no alert in a record of type alert")
	}
	if err := r.top[eveAlertPart].Fields(eveAlert[:], r.alert[:]); err != nil {
		return a, fmt.Errorf("alert: %w", err)
	}
	clear(r.flow[:])
	if r.top[eveFlowPart] != nil {
		if err := r.top[eveFlowPart].Fields(eveFlow[:], r.flow[:]); err != nil {
			return a, fmt.Errorf("flow: %w", err)
		}
	}
	a = idsAlert{
		gid: int(number(r.alert[0])), sid: int(number(r.alert[1])), priority: int(number(r.alert[4])),
		class: r.text(r.alert[3]), message: r.text(r.alert[2]),
		protocol: transport(r.text(r.top[eveProto])),
		answered: r.hasSession() || sentData(number(r.flow[4]), number(r.flow[5])),
	}
	for _, b := range [...][]byte{r.alert[5], r.alert[6], a.message, r.alert[7]} {
		if a.cve.size == 0 {
			a.cve.find(b)
		}
	}
	stamp := r.text(r.top[eveTimestamp])
	if a.time, err = clock.ISO(stamp); err != nil {
		return a, fmt.Errorf("timestamp %q: %w", stamp, err)
	}
	attacker, victim, err := r.parties()
	if err != nil {
		return a, err
	}
	if a.source, err = attacker.endpoint(); err == nil {
		a.target, err = victim.endpoint()
	}
	a.hidePorts()
	return a, err
}

// parties tells who did it to whom: what the rule says about it ("target:"); or
// else whoever opened the flow, if it was an answer to them that matched; or else
// the packet's source.
func (r *eveRecord) parties() (attacker, victim evePeer, err error) {
	source, dest := r.tuple(r.top[eveSrcIP:])
	named, err := r.peerOf(r.alert[8])
	if err != nil {
		return attacker, victim, err
	}
	switch opener, other := r.tuple(r.flow[:]); {
	case len(named.ip) > 0:
		victim, err = r.peerOf(r.alert[9])
		if len(victim.ip) == 0 {
			victim = dest
			if bytes.Equal(named.ip, dest.ip) {
				victim = source
			}
		}
		return named, victim, err
	case string(r.text(r.top[eveDirection])) != "to_client":
		return source, dest, nil
	case len(opener.ip) > 0:
		return opener, other, nil
	}
	return dest, source, nil
}

// tuple reads src_ip, src_port, dest_ip, dest_port.
func (r *eveRecord) tuple(fields []text.Value) (source, dest evePeer) {
	return evePeer{r.text(fields[0]), fields[1].Port()}, evePeer{r.text(fields[2]), fields[3].Port()}
}

// peerOf reads a side that the rule names.
func (r *eveRecord) peerOf(v text.Value) (p evePeer, err error) {
	if v == nil || string(v) == "null" {
		return p, nil
	}
	if err := v.Fields(evePeers[:], r.peer[:]); err != nil {
		return p, err
	}
	return evePeer{r.text(r.peer[0]), r.peer[1].Port()}, nil
}

// endpoint returns a zero one for records without addresses.
func (p evePeer) endpoint() (e event.Endpoint, err error) {
	if len(p.ip) == 0 {
		return e, nil
	}
	addr, ok := text.AnyAddress(p.ip)
	if !ok {
		return e, fmt.Errorf("malformed address %q", p.ip)
	}
	return event.Endpoint{Addr: addr, Port: p.port}, nil
}

// hasSession tells whether the record has a part on an application's session.
func (r *eveRecord) hasSession() bool {
	for _, part := range r.top[eveHTTP:] {
		if len(part) > 2 {
			return true
		}
	}
	return false
}
