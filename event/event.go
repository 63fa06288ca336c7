// Package event is Komondor's vocabulary: what a probe saw (Event), where the
// evidence of it meets (Key), what a member says about one key (Report) and
// what the judges of a key conclude (Alert), with their canonical encoding.
//
// Every other package imports it; it imports none of ours and holds no policy,
// no clock and no I/O.
package event

import (
	"fmt"
	"net/netip"
	"time"
)

// Event is one suspicious (or exonerating) observation, free of policy: it says
// what was seen, not what to do about it.
type Event struct {
	// Time is when the observed thing happened, by the sensor's own record.
	Time time.Time `json:"time" cbor:"1,keyasint"`
	Kind Kind      `json:"kind" cbor:"2,keyasint"`
	// Source is who did it. Its address is never zoned; only a kind that is about the host
	// or the sensor itself (process.*, probe.*), or about all sources of a service
	// together (anomaly.*), has none.
	Source Endpoint `json:"source" cbor:"3,keyasint"`
	// Target is whom it was done to, where the record says so.
	Target Endpoint `json:"target,omitzero" cbor:"4,keyasint,omitzero"`
	// Severity is the kind's default in points (see Kind.Severity); negative
	// points are credit.
	Severity int `json:"severity" cbor:"5,keyasint"`
	// Count is how many observations the record stands for, at least 1
	// ("message repeated 3 times").
	Count int   `json:"count" cbor:"6,keyasint"`
	Proof Proof `json:"proof" cbor:"7,keyasint"`
	// Protocol is the transport in lower case: "tcp", "udp", "icmp".
	Protocol string `json:"protocol,omitempty" cbor:"8,keyasint,omitempty"`
	// Vulnerability names what was probed for: a CVE, else the signature's
	// "gid:sid". Empty where the sensor names nothing.
	Vulnerability string `json:"vulnerability,omitempty" cbor:"9,keyasint,omitempty"`
	// User is the account that was tried. It never leaves the host.
	User string `json:"user,omitempty" cbor:"10,keyasint,omitempty"`
	// Attempt is the same for all lines of one login attempt (the process that
	// served it); empty where lines cannot be told to belong together.
	Attempt string `json:"attempt,omitempty" cbor:"11,keyasint,omitempty"`
	// Detail is for people: an IDS message, a penalty's reason. It never
	// leaves the host.
	Detail string `json:"detail,omitempty" cbor:"12,keyasint,omitempty"`
	// Sensor names the probe that made the event, for instance "sshd".
	Sensor string `json:"sensor,omitempty" cbor:"13,keyasint,omitempty"`
	// File and Line say where the record stands; Line counts from 1.
	File string `json:"file,omitempty" cbor:"14,keyasint,omitempty"`
	Line int64  `json:"line,omitempty" cbor:"15,keyasint,omitempty"`
	// Name is the one domain name that it is about, in small letters and without the last dot. What
	// people ask for is their own affair: it never leaves the host.
	Name string `json:"name,omitempty" cbor:"16,keyasint,omitempty"`
}

// Endpoint is an address and a port; either may be unknown (zero).
type Endpoint struct {
	Addr netip.Addr `json:"addr,omitzero" cbor:"1,keyasint,omitzero"`
	Port uint16     `json:"port,omitzero" cbor:"2,keyasint,omitzero"`
}

// Proof says how sure it is that the source address is the sender's own.
type Proof uint8

const (
	// Spoofable evidence rests on packets whose source anybody could have
	// written. It is counted and shown, and never blocks an address by default.
	Spoofable Proof = iota
	// Handshake evidence rests on an answered exchange: a TCP session was
	// completed or a login was tried.
	Handshake
)

func (p Proof) String() string {
	if p == Handshake {
		return "handshake"
	}
	return "spoofable"
}

// MarshalText makes proofs readable in JSON.
func (p Proof) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Proof) UnmarshalText(text []byte) error {
	switch string(text) {
	case "handshake":
		*p = Handshake
	case "spoofable":
		*p = Spoofable
	default:
		return fmt.Errorf("proof %q: want handshake or spoofable", text)
	}
	return nil
}
