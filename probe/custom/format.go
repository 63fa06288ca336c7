package custom

import (
	"bytes"
	"slices"

	"github.com/komondor/komondor/probe/text"
)

// format is the probe as a format among the others. `auto` takes it for a log of which it
// matches most lines, which is seldom: most lines of most logs are no evidence.
func (s spec) format() text.Format {
	f := text.Format{Name: s.name, About: s.about}
	if s.program != "" {
		f.Programs = []string{s.program}
	}
	if s.paths != nil {
		f.New = func(c text.Clock) text.Parser { return &objects{spec: &s, clock: c} }
		f.Recognise = text.EachLine(func(line []byte) bool {
			m, err := (&objects{spec: &s}).find(line)
			return err == nil && m != nil
		})
		return f
	}
	f.New = func(c text.Clock) text.Parser {
		return &patterns{spec: &s, clock: text.HeaderClock{Clock: c}}
	}
	f.Recognise = text.EachLine(func(line []byte) bool {
		return slices.ContainsFunc(s.matches, func(m match) bool { return bytes.Contains(line, m.literal) && m.pattern.Match(line) })
	})
	return f
}
