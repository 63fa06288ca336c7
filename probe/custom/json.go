package custom

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// objects reads lines of JSON, an object each. A field on the way of a path that stands there
// twice, or anything behind the object, makes a line malformed: programs that put JSON together
// by themselves let their users write such.
type objects struct {
	*spec
	clock  text.Clock
	buffer []byte // of texts with escapes
}

func (o *objects) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if err := text.WantObject(o.name, line.Bytes); err != nil {
		return ev, false, err
	}
	o.buffer = o.buffer[:0]
	m, err := o.find(line.Bytes)
	if err != nil {
		return ev, false, text.Malformed(o.name, line.Bytes, err)
	}
	if m == nil {
		return ev, false, nil
	}
	said := func(field string) (value []byte) {
		if path, named := o.paths[field]; named && err == nil {
			value, err = o.lookup(line.Bytes, path)
		}
		return value
	}
	at, timeErr := o.timeForm.read(o.clock, said("time"))
	ev, ok = o.event(line, at, m.kind, said)
	if err == nil {
		err = timeErr
	}
	if err != nil {
		return event.Event{}, false, text.Malformed(o.name, line.Bytes, err)
	}
	return ev, ok, nil
}

// Flush has nothing to return: every event is one line.
func (o *objects) Flush() (ev event.Event, ok bool, err error) { return }

// find tells which of the matches a line is for, nil if it is for none.
func (o *objects) find(line []byte) (*match, error) {
	for i := range o.matches {
		m := &o.matches[i]
		if !m.mayMatch(line) {
			continue
		}
		if holds, err := o.holds(line, m.where); holds || err != nil {
			return m, err
		}
	}
	return nil, nil
}

// mayMatch tells without looking for them whether a line can have all the paths that are asked
// for: it has the last name of each. A name can be written with escapes, which no program does.
func (m *match) mayMatch(line []byte) bool {
	for _, c := range m.where {
		if !bytes.Contains(line, []byte(c.path[strings.LastIndexByte(c.path, '.')+1:])) {
			return false
		}
	}
	return true
}

func (o *objects) holds(line []byte, where []condition) (bool, error) {
	for _, c := range where {
		value, err := o.lookup(line, c.path)
		if err != nil || value == nil || !slices.Contains(c.values, string(value)) {
			return false, err
		}
	}
	return true, nil
}

// lookup follows a path to a string, a number or a truth value, as text; nil where there is
// none. A name may itself have dots in it, as many of the Elastic Common Schema do.
func (o *objects) lookup(line []byte, path string) ([]byte, error) {
	at := text.Value(bytes.TrimLeft(line, " \t"))
	for len(path) > 0 && len(at) > 0 {
		name, rest, _ := strings.Cut(path, ".")
		switch at[0] {
		case '{':
			var found [2]text.Value // of the whole path, and of its first name
			if err := at.Fields([]string{path, name}, found[:]); err != nil {
				return nil, err
			}
			if at = found[1]; found[0] != nil {
				at, rest = found[0], ""
			}
		case '[':
			place, err := strconv.Atoi(name)
			if err != nil {
				return nil, nil
			}
			array := at
			at = nil
			if err := array.Elements(func(v text.Value) bool {
				if place--; place == -1 {
					at = v
				}
				return place >= 0
			}); err != nil {
				return nil, err
			}
		default:
			return nil, nil
		}
		path = rest
	}
	return o.scalar(at), nil
}

// scalar is the text of a string, a number or a truth value.
func (o *objects) scalar(v text.Value) []byte {
	if s, ok := v.Text(&o.buffer); ok {
		return s
	}
	if len(v) == 0 || v[0] != '-' && (v[0] < '0' || v[0] > '9') && string(v) != "true" && string(v) != "false" {
		return nil
	}
	return v
}
