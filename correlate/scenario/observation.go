package scenario

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Observation is what binds to actions: an event or an alert, own or received.
type Observation struct {
	// ID is the same wherever the observation arrives, and no other one's: it counts once.
	ID string `json:"id"`
	// Time is when it was detected, by the clock of who saw it.
	Time time.Time `json:"time"`
	// Kind is an event's, "alert.RULE" for an alert of a rule, "scenario.NAME" for what another
	// scenario has concluded.
	Kind   event.Kind     `json:"kind"`
	Source event.Endpoint `json:"source,omitzero"`
	Target event.Endpoint `json:"target,omitzero"`
	// Host is the address of the host where it was seen, as far as it was a host's own sensor.
	Host netip.Addr `json:"host,omitzero"`
	// Direction tells whose hosts they are, from the view of who saw it.
	Direction     Direction `json:"direction,omitempty"`
	Protocol      string    `json:"protocol,omitempty"`
	Vulnerability string    `json:"vulnerability,omitempty"`
	// Name is the domain name that it is about.
	Name       string `json:"name,omitempty"`
	User       string `json:"user,omitempty"`
	Executable string `json:"executable,omitempty"`
	// Values are, of what a scenario has concluded, those of its objective's parameters.
	Values map[string]string `json:"values,omitempty"`
	// Count is how many it stands for, at least 1.
	Count int `json:"count"`
	// Own says that this participant saw it, so that it can be acted on here.
	Own bool `json:"own,omitempty"`
	// Unproved says that a stranger may have made it up: packets that came in under any name, or what
	// rests on such. A response that needs it to be true is left to a person.
	Unproved bool `json:"unproved,omitempty"`
	// Cell is the participant that saw it.
	Cell string `json:"cell,omitempty"`
	// Concluded names the scenarios that it rests on. It binds in none of them, so that
	// no conclusion is its own cause.
	Concluded []string `json:"concluded,omitempty"`
}

// Direction is where what was observed went.
type Direction string

// The directions. In comes to one's own hosts, Out goes from them to others; Inside does neither.
const (
	In      Direction = "in"
	Out     Direction = "out"
	Inside  Direction = "inside"
	Unknown Direction = "unknown"
)

// FromEvent is the observation of an event. host is the address of the host where it was seen, if that
// is known: it is the target of what a host's own log tells without one. home are one's own networks.
func FromEvent(e event.Event, cell string, host netip.Addr, home []netip.Prefix) Observation {
	o := Observation{
		ID: identify(e, cell), Time: e.Time, Kind: e.Kind, Source: e.Source, Target: e.Target, Host: host.Unmap().WithZone(""), Protocol: e.Protocol,
		Vulnerability: e.Vulnerability, Name: e.Name, User: e.User, Count: max(e.Count, 1), Cell: cell,
	}
	if e.Kind.Matches("process.*") {
		o.Executable, o.Direction = executable(e.Detail), Inside
		return o
	}
	o.Direction = direction(e, o.Host, home)
	if !o.Target.Addr.IsValid() && o.Direction == In {
		o.Target.Addr = o.Host
	}
	// What leaves one's own networks is there whatever name it bears; what comes in, or stays, may bear anybody's.
	o.Unproved = e.Proof == event.Spoofable && o.Direction != Out
	return o
}

// direction says where an event went. What leaves with forged sources goes out, too: who watches his own
// networks sees nothing else for a stranger.
func direction(e event.Event, host netip.Addr, home []netip.Prefix) Direction {
	ours := func(a netip.Addr) bool {
		a = a.Unmap().WithZone("")
		return a == host || slices.ContainsFunc(home, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	from, to := e.Source.Addr, e.Target.Addr
	known := host.IsValid() || len(home) > 0
	switch {
	case known && from.IsValid() && ours(from) && (!to.IsValid() || !ours(to)):
		return Out
	case known && from.IsValid() && ours(from):
		return Inside
	case !to.IsValid() || known && ours(to):
		return In
	case known:
		return Out
	}
	return Unknown
}

// identify names an event of a cell, by all that it says.
func identify(e event.Event, cell string) string {
	body, err := event.Encode(e)
	if err != nil {
		panic(err) // an event's fields all have an encoding
	}
	sum := sha256.Sum256(append([]byte(cell+"\x00"), body...))
	return hex.EncodeToString(sum[:16])
}

// executable is the program that the detail of a process names: "RULE: PROGRAM: ARGUMENTS, by
// PARENT" (probe/host).
func executable(detail string) string {
	_, rest, _ := strings.Cut(detail, ": ")
	rest, _, _ = strings.Cut(rest, ": ")
	rest, _, _ = strings.Cut(rest, ", by ")
	if !strings.HasPrefix(rest, "/") {
		return ""
	}
	return rest
}

// countField is the field that is a measure: it says how much, and two of different counts may be
// the same.
const countField = "count"

// Fields are the fields of an observation that a binding may name.
func Fields() []string {
	return []string{
		"source.ip", "source.port", "target.ip", "target.port", "host", "protocol", "vulnerability", "name",
		"user", "executable", "direction", countField, "kind",
	}
}

// field is the value of a field, empty where it is not known.
func (o *Observation) field(name string) string {
	switch name {
	case "source.ip":
		return address(o.Source.Addr)
	case "source.port":
		return port(o.Source.Port)
	case "target.ip":
		return address(o.Target.Addr)
	case "target.port":
		return port(o.Target.Port)
	case "host":
		return address(o.Host)
	case "protocol":
		return o.Protocol
	case "vulnerability":
		return o.Vulnerability
	case "name":
		return o.Name
	case "user":
		return o.User
	case "executable":
		return o.Executable
	case "direction":
		return string(cmp.Or(o.Direction, Unknown))
	case countField:
		return strconv.Itoa(max(o.Count, 1))
	case "kind":
		return string(o.Kind)
	}
	return o.Values[name]
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

func port(p uint16) string {
	if p == 0 {
		return ""
	}
	return strconv.Itoa(int(p))
}

// holds tells whether the observation is of the binding's kind and meets its conditions.
func (b *Binding) holds(o *Observation) bool {
	return o.Kind.Matches(b.Kind) && !slices.ContainsFunc(b.Where, func(c Comparison) bool {
		value := o.field(c.Field)
		return value == "" || (value == c.Value) == c.Not
	})
}
