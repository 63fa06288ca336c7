package custom

import (
	"bytes"
	"regexp"
	"regexp/syntax"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// patterns reads lines of text.
type patterns struct {
	*spec
	clock text.HeaderClock
}

func (p *patterns) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	for i := range p.matches {
		m := &p.matches[i]
		if !bytes.Contains(line.Bytes, m.literal) {
			continue
		}
		message := line.Bytes
		var header text.Header
		if p.program != "" {
			if !header.Split(message) || string(header.Process) != p.program {
				return ev, false, nil
			}
			message = header.Message
		}
		said, ok := m.read(message)
		if !ok {
			continue
		}
		at, err := p.timeForm.read(p.clock.Clock, said("time"))
		if p.program != "" {
			at, err = p.clock.Read(&header)
		}
		if err != nil {
			return ev, false, text.Malformed(p.name, line.Bytes, err)
		}
		ev, ok = p.event(line, at, m.kind, said)
		return ev, ok, nil
	}
	return ev, false, nil
}

// Flush has nothing to return: every event is one line.
func (p *patterns) Flush() (ev event.Event, ok bool, err error) { return }

// read matches a line. Where the longest and the shortest reading of it, or the first and the last,
// find the source at two places, the attacker may have written one of them, and it is given up.
func (m *match) read(line []byte) (said func(field string) []byte, ok bool) {
	groups := m.pattern.FindSubmatchIndex(line)
	if groups == nil {
		return nil, false
	}
	group := func(of []int, name string) []byte {
		i := 2 * m.pattern.SubexpIndex(name)
		if i < 0 || of[i] < 0 {
			return nil
		}
		return line[of[i]:of[i+1]]
	}
	start := 2 * m.pattern.SubexpIndex("source")
	for _, reading := range [...]*regexp.Regexp{m.lazy, m.last} {
		other := reading.FindSubmatchIndex(line)
		if other == nil || other[start] != groups[start] && !bytes.Equal(group(other, "source"), group(groups, "source")) {
			return nil, false
		}
	}
	return func(field string) []byte { return group(groups, field) }, true
}

// literal is the longest text that every match of a pattern holds.
func literal(pattern string) []byte {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	return longest(parsed.Simplify())
}

func longest(re *syntax.Regexp) (found []byte) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []byte(string(re.Rune))
		}
	case syntax.OpCapture, syntax.OpPlus:
		return longest(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if l := longest(sub); len(l) > len(found) {
				found = l
			}
		}
	}
	return found
}
