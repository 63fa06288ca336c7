package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/komondor/komondor/event"
)

func suricataFormat() Format {
	return Format{
		Name:    "suricata",
		Aliases: []string{"eve", "suricata-eve", "eve.json"},
		About:   "Suricata's eve.json; of its records, the alerts",
		New:     func(c Clock) Parser { return &suricataParser{clock: c} },
		Recognise: eachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"event_type":`))
		}),
	}
}

type suricataParser struct {
	clock Clock
}

// eveRecord has the fields of an alert record that matter
// (doc/userguide/output/eve/eve-json-format.rst).
type eveRecord struct {
	Timestamp string `json:"timestamp"`
	EventType string `json:"event_type"`
	eveTuple
	Protocol  string `json:"proto"`
	Direction string `json:"direction"`
	Alert     *struct {
		GID        int             `json:"gid"`
		SID        int             `json:"signature_id"`
		Signature  string          `json:"signature"`
		Category   string          `json:"category"`
		Severity   int             `json:"severity"`
		References json.RawMessage `json:"references"`
		Metadata   json.RawMessage `json:"metadata"`
		Rule       string          `json:"rule"`
		Source     evePeer         `json:"source"`
		Target     evePeer         `json:"target"`
	} `json:"alert"`
	Flow struct {
		eveTuple
		PktsToClient  int64 `json:"pkts_toclient"`
		BytesToClient int64 `json:"bytes_toclient"`
	} `json:"flow"`

	// Records of protocols that Suricata only follows in an established session.
	HTTP, HTTP2, TLS, SSH, SMTP, FTP, SMB, RDP, RFB, MQTT json.RawMessage
}

type eveTuple struct {
	SrcIP    string `json:"src_ip"`
	SrcPort  uint16 `json:"src_port"`
	DestIP   string `json:"dest_ip"`
	DestPort uint16 `json:"dest_port"`
}

type evePeer struct {
	IP   string `json:"ip"`
	Port uint16 `json:"port"`
}

func (p *suricataParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	if !bytes.Contains(line.Bytes, []byte(`"event_type":"alert"`)) && !bytes.Contains(line.Bytes, []byte(`"event_type": "alert"`)) {
		return ev, false, wantObject("suricata", line.Bytes)
	}
	var r eveRecord
	if err := json.Unmarshal(line.Bytes, &r); err != nil {
		return ev, false, malformed("suricata", line.Bytes, err)
	}
	if r.EventType != "alert" {
		return ev, false, nil
	}
	a, err := r.alert(p.clock)
	if err != nil {
		return ev, false, malformed("suricata", line.Bytes, err)
	}
	if !a.hasSource() {
		return ev, false, nil
	}
	return a.event("suricata", line.File, line.Number), true, nil
}

// Flush has nothing to return: every record is one line.
func (p *suricataParser) Flush() (ev event.Event, ok bool, err error) { return }

func (r *eveRecord) alert(clock Clock) (a idsAlert, err error) {
	if r.Alert == nil {
		return a, errors.New("no alert in a record of type alert")
	}
	a = idsAlert{
		gid: r.Alert.GID, sid: r.Alert.SID, priority: r.Alert.Severity,
		class: []byte(r.Alert.Category), message: []byte(r.Alert.Signature),
		protocol: transport([]byte(r.Protocol)),
		answered: r.hasSession() || sentData(r.Flow.PktsToClient, r.Flow.BytesToClient),
	}
	for _, b := range [][]byte{r.Alert.References, r.Alert.Metadata, a.message, []byte(r.Alert.Rule)} {
		if a.cve == "" {
			a.cve = findCVE(b)
		}
	}
	if a.time, err = clock.iso([]byte(r.Timestamp)); err != nil {
		return a, fmt.Errorf("timestamp %q: %w", r.Timestamp, err)
	}
	attacker, victim := r.parties()
	if a.source, err = attacker.endpoint(); err == nil {
		a.target, err = victim.endpoint()
	}
	a.hidePorts()
	return a, err
}

// parties tells who did it to whom: what the rule says about it ("target:"); or
// else whoever opened the flow, if it was an answer to them that matched; or else
// the packet's source.
func (r *eveRecord) parties() (attacker, victim evePeer) {
	source, dest := evePeer{r.SrcIP, r.SrcPort}, evePeer{r.DestIP, r.DestPort}
	switch {
	case r.Alert.Source.IP != "":
		attacker, victim = r.Alert.Source, r.Alert.Target
		if victim.IP == "" {
			victim = dest
			if attacker.IP == dest.IP {
				victim = source
			}
		}
		return attacker, victim
	case r.Direction != "to_client":
		return source, dest
	case r.Flow.SrcIP != "":
		return evePeer{r.Flow.SrcIP, r.Flow.SrcPort}, evePeer{r.Flow.DestIP, r.Flow.DestPort}
	}
	return dest, source
}

// endpoint returns a zero one for records without addresses.
func (p evePeer) endpoint() (e event.Endpoint, err error) {
	if p.IP == "" {
		return e, nil
	}
	addr, ok := anyAddress([]byte(p.IP))
	if !ok {
		return e, fmt.Errorf("malformed address %q", p.IP)
	}
	return event.Endpoint{Addr: addr, Port: p.Port}, nil
}

// hasSession tells whether the record has a part on an application's session.
func (r *eveRecord) hasSession() bool {
	for _, part := range [][]byte{r.HTTP, r.HTTP2, r.TLS, r.SSH, r.SMTP, r.FTP, r.SMB, r.RDP, r.RFB, r.MQTT} {
		if len(part) > 2 {
			return true
		}
	}
	return false
}
