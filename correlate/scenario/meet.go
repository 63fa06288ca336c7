package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/komondor/komondor/event"
)

// Meeting says where the evidence of scenarios meets: under a key for each variable that joins
// actions, because who has seen one action knows the variable's value and nothing of who has seen the
// other. It does not change, and may be used by several goroutines.
type Meeting struct {
	plans map[string]*plan // by the scenario's name
	kinds []string
}

// Place is a key under which an observation is evidence.
type Place struct {
	Key event.Key
	// Field is the field of the observation that the key tells: one of Fields.
	Field string
}

// NewMeeting is for the scenarios of the library.
func NewMeeting(library Library) *Meeting {
	m := &Meeting{plans: map[string]*plan{}}
	for _, s := range library.scenarios {
		m.plans[s.Name] = newPlan(s)
		for _, model := range s.Models {
			for _, b := range slices.Concat(model.Binds, model.Refines) {
				if !slices.Contains(m.kinds, b.Kind) {
					m.kinds = append(m.kinds, b.Kind)
				}
			}
		}
	}
	slices.Sort(m.kinds)
	return m
}

// Kinds are those that are an action of any scenario: kinds, and beginnings of them that end in ".*".
func (m *Meeting) Kinds() []string { return slices.Clone(m.kinds) }

// Concerns tells whether observations of the kind may be an action of any scenario. It may be
// called by several goroutines, and while others observe.
func (e *Engine) Concerns(kind event.Kind) bool { return len(e.bound(kind)) > 0 }

// Places are where an observation is evidence of the scenario, each once.
func (m *Meeting) Places(name string, o Observation) (places []Place) {
	p := m.plans[name]
	if p == nil {
		return nil
	}
	for b, a := range p.assignments() {
		value := o.field(a.Field)
		if value == "" || !b.holds(&o) {
			continue
		}
		for _, j := range p.joins {
			place := Place{event.Key{Selector: ByScenario, Value: event.JoinValue(name, j.name+"="+value)}, a.Field}
			if slices.Contains(j.variables, a.variable) && !slices.Contains(places, place) {
				places = append(places, place)
			}
		}
	}
	return places
}

// Read is the observation that a member's tally under a scenario's key stands for; false where
// it stands for none. It is what Places says, read backwards: the key gives one field, and the tally the kind,
// the time, the count, and the source where it names one.
func (m *Meeting) Read(key event.Key, t event.Tally, member string) (Observation, bool) {
	name, variable, value, ok := parseKey(key)
	p := m.plans[name]
	if !ok || p == nil {
		return Observation{}, false
	}
	j := slices.IndexFunc(p.joins, func(j join) bool { return j.name == variable })
	if j < 0 {
		return Observation{}, false
	}
	for b, a := range p.assignments() {
		if !t.Kind.Matches(b.Kind) || !slices.Contains(p.joins[j].variables, a.variable) {
			continue
		}
		o := Observation{Time: t.LastTime(), Kind: t.Kind, Count: int(min(t.Count(), 1e9)), Cell: member}
		if t.Source.IsSingleIP() {
			o.Source.Addr = t.Source.Addr()
		}
		// Versions of a report may cut the same evidence into other tallies: what is of ten minutes counts once.
		o.ID = identity(member, key.String(), string(t.Kind), strconv.FormatInt(t.First/600, 10))
		if o.set(a.Field, value) && o.field(a.Field) == value { // a value has one spelling
			return o, true
		}
	}
	return Observation{}, false
}

// assignments are all of actions' bindings, in order.
func (p *plan) assignments() func(yield func(*Binding, *Assignment) bool) {
	return func(yield func(*Binding, *Assignment) bool) {
		for i := range p.s.Models {
			for _, bindings := range [][]Binding{p.s.Models[i].Binds, p.s.Models[i].Refines} {
				for b := range bindings {
					for a := range bindings[b].Fields {
						if !yield(&bindings[b], &bindings[b].Fields[a]) {
							return
						}
					}
				}
			}
		}
	}
}

// parseKey reads the key of a scenario: "NAME|VARIABLE=VALUE".
func parseKey(key event.Key) (name, variable, value string, ok bool) {
	if key.Selector != ByScenario || len(key.Value) > 2*maxText {
		return "", "", "", false
	}
	// A name and a value that were joined come apart as the parts of any selector of two parts do.
	pair := event.Key{Selector: "name,value", Value: key.Value}
	name, _ = pair.Part("name")
	rest, _ := pair.Part("value")
	variable, value, ok = strings.Cut(rest, "=")
	// A place has one spelling: with two, evidence would have two.
	return name, variable, value, ok && value != "" && event.JoinValue(name, rest) == key.Value
}

// identity names an observation by what makes it one.
func identity(words ...string) string {
	sum := sha256.Sum256([]byte(event.JoinValue(words...)))
	return hex.EncodeToString(sum[:16])
}

// set gives a field a value; false where the value is none of the field's, or the field's values
// stay at the host where they were seen.
func (o *Observation) set(field, value string) bool {
	switch field {
	case "source.ip", "target.ip", "host":
		addr, err := netip.ParseAddr(value)
		at := map[string]*netip.Addr{"source.ip": &o.Source.Addr, "target.ip": &o.Target.Addr, "host": &o.Host}[field]
		*at = addr
		return err == nil
	case "source.port", "target.port":
		n, err := strconv.ParseUint(value, 10, 16)
		at := map[string]*uint16{"source.port": &o.Source.Port, "target.port": &o.Target.Port}[field]
		*at = uint16(n)
		return err == nil
	case "protocol":
		o.Protocol = value
	case "vulnerability":
		o.Vulnerability = value
	case "name":
		o.Name = value
	default:
		return false
	}
	return true
}
