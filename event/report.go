package event

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// MaxReport is the largest encoded report in bytes (reference: trust, design 5).
// Whoever makes one sheds its oldest tallies to stay below.
const MaxReport = 1024

// Report is all that one member has seen for one key: cumulative, so that a
// newer version simply replaces an older one and a duplicate, a replay or a
// lost message does no harm.
type Report struct {
	Federation string `cbor:"1,keyasint"`
	// Member is the libp2p peer ID of the node that saw it.
	Member string `cbor:"2,keyasint"`
	Key    Key    `cbor:"3,keyasint"`
	// Version only grows, over restarts too.
	Version uint64  `cbor:"4,keyasint"`
	Tallies []Tally `cbor:"5,keyasint"`
	// Shed counts the observations that found no room in the tallies.
	Shed uint64 `cbor:"6,keyasint,omitempty"`
}

// Tally counts the observations of one kind, by one source, in one time slot.
type Tally struct {
	Kind Kind `cbor:"1,keyasint"`
	// Source is set under keys that do not name the source themselves.
	Source netip.Prefix `cbor:"2,keyasint,omitzero"`
	// First and Last are the Unix seconds of the earliest and latest
	// observation; both lie in one slot of the event time.
	First int64 `cbor:"3,keyasint"`
	Last  int64 `cbor:"4,keyasint"`
	// Proven counts the observations with proof of source, Spoofable the others.
	Proven    uint32 `cbor:"5,keyasint,omitempty"`
	Spoofable uint32 `cbor:"6,keyasint,omitempty"`
	// Values is a sketch of the distinct values that the key's rules count:
	// ports under a source, targets under a port. Victims' addresses never
	// travel, only keyed hashes.
	Values Sketch `cbor:"7,keyasint,omitempty"`
}

// Count is all observations of the tally.
func (t Tally) Count() uint64 { return uint64(t.Proven) + uint64(t.Spoofable) }

// LastTime is the time of the latest observation.
func (t Tally) LastTime() time.Time { return time.Unix(t.Last, 0).UTC() }

// Sealed is a statement with its author's signature over exactly these bytes:
// they are shipped as they were signed, and never encoded again.
type Sealed struct {
	Body      []byte `cbor:"1,keyasint"`
	Signer    string `cbor:"2,keyasint"`
	Signature []byte `cbor:"3,keyasint"`
}

// Core deterministic encoding (RFC 8949, 4.2.1): one value has one encoding.
// Unknown fields are ignored when decoding, which leaves room for new ones.
var (
	encMode = must(cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339Nano,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		MaxArrayElements: 4096, MaxMapPairs: 256, MaxNestedLevels: 8,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options are constants: a mistake in them shows in every test
	}
	return v
}

// Encode returns the canonical encoding of any type of this package.
func Encode(v any) ([]byte, error) { return encMode.Marshal(v) }

// Decode reads what Encode wrote into v. Hostile bytes give an error, never a panic.
func Decode(data []byte, v any) error { return decMode.Unmarshal(data, v) }

// DecodeReport reads a report and checks what can be checked of it alone.
func DecodeReport(body []byte) (Report, error) {
	var r Report
	if len(body) > MaxReport {
		return r, fmt.Errorf("report of %d bytes is over the %d allowed", len(body), MaxReport)
	}
	if err := Decode(body, &r); err != nil {
		return r, fmt.Errorf("decode report: %w", err)
	}
	if r.Key.Selector.Has(BySource) {
		if _, err := r.Key.Source(); err != nil {
			return r, fmt.Errorf("report: %w", err)
		}
	}
	var subnet netip.Prefix
	if r.Key.Selector.Has(BySourceSubnet) {
		var err error
		if subnet, err = r.Key.SourceSubnet(); err != nil {
			return r, fmt.Errorf("report: %w", err)
		}
	}
	for _, t := range r.Tallies {
		if err := t.check(r.Key.Selector); err != nil {
			return r, fmt.Errorf("report on %q: %w", r.Key, err)
		}
		if subnet.IsValid() && t.Source.IsValid() && !subnet.Contains(t.Source.Addr()) {
			return r, fmt.Errorf("report on %q: tally of source %s, which is not of that subnet", r.Key, t.Source)
		}
	}
	return r, nil
}

// maxTime is the end of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799

func (t Tally) check(by Selector) error {
	switch {
	case t.First < 0 || t.Last > maxTime:
		return fmt.Errorf("tally from %d to %d: want Unix seconds of 1970 to 9999", t.First, t.Last)
	case t.First > t.Last:
		return fmt.Errorf("tally from %d to %d ends before it begins", t.First, t.Last)
	case t.Source != netip.Prefix{} && by.Has(BySource):
		return fmt.Errorf("tally names source %s, which the key does already", t.Source)
	case t.Source != netip.Prefix{} && t.Source != SourcePrefix(t.Source.Addr()):
		return fmt.Errorf("tally of source %s, which is no IPv4 address and no IPv6 /64", t.Source)
	case !t.Values.valid():
		return fmt.Errorf("tally with a sketch of %d values: want up to %d, ascending", len(t.Values), SketchSize)
	}
	return nil
}
