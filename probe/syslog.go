package probe

import (
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// syslogFormat reads files that many programs write to, with the formats of those that do.
func syslogFormat(formats []text.Format) text.Format {
	return text.Format{
		Name:    "syslog",
		Aliases: []string{"messages", "mail.log"},
		About:   "a file of syslog's that many programs write to (syslog, messages, auth.log, mail.log): whichever of them have a format here",
		New: func(c text.Clock) text.Parser {
			p := &syslogParser{programs: newPrograms(formats, c)}
			for _, f := range formats {
				switch f.Name {
				case "sshd":
					p.headless = f.New(c)
				case "pam":
					p.others = f.New(c)
				}
			}
			return p
		},
		// A file of one program's is better read as that, if there is little else in it
		// that we read.
		Recognise: func(sample []byte) int {
			programs, headers, known := newPrograms(formats, text.Clock{}), 0, 0
			lines := map[string]int{}
			text.EachLine(func(line []byte) bool {
				var h text.Header
				if !h.Split(line) {
					return false
				}
				if _, err := (&text.HeaderClock{}).Read(&h); err != nil {
					return false
				}
				headers++
				if found := programs.of(h.Process); len(found) > 0 {
					lines[found[0].format]++
					known++
				}
				return true
			})(sample)
			most := 0
			for _, n := range lines {
				most = max(most, n)
			}
			if known-most < known/8+1 {
				return 0
			}
			return headers
		},
	}
}

type syslogParser struct {
	programs programs
	headless text.Parser // sshd's, which complains of lines that were cut off
	others   text.Parser // PAM's, which any program calls
}

func (p *syslogParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var h text.Header
	if !h.Split(line.Bytes) {
		return p.headless.Parse(line)
	}
	readers := p.programs.of(h.Process)
	if len(readers) == 0 {
		return p.others.Parse(line)
	}
	return readers.parse(line)
}

// Flush has nothing to return: every event is one line.
func (p *syslogParser) Flush() (ev event.Event, ok bool, err error) { return }

// programs has the readers of syslog's lines by the names of the programs that write them.
type programs map[string]readers

type readers []reader

type reader struct {
	format string
	names  []string // of the format's programs, and its own
	parser text.Parser
}

func newPrograms(formats []text.Format, c text.Clock) programs {
	known := programs{}
	for _, f := range formats {
		if len(f.Programs) == 0 {
			continue
		}
		r := reader{format: f.Name, names: append(append([]string{f.Name}, f.Aliases...), f.Programs...), parser: f.New(c)}
		for _, name := range f.Programs {
			known[name] = append(known[name], r)
		}
	}
	return known
}

// of finds the readers for a tag, as text.IsProgram compares it.
func (p programs) of(tag []byte) readers {
	if found, ok := p[string(tag)]; ok {
		return found
	}
	for i := min(len(tag), 64) - 1; i > 0; i-- {
		end := i
		switch tag[i] {
		case '-':
			end++
		case '/', '(':
		default:
			continue
		}
		if found, ok := p[string(tag[:end])]; ok {
			return found
		}
	}
	return nil
}

// parse has the readers read a line by turns: a name can be that of several programs.
func (r readers) parse(line text.Line) (ev event.Event, ok bool, err error) {
	for _, one := range r {
		if ev, ok, err = one.parser.Parse(line); ok || err != nil {
			break
		}
	}
	return ev, ok, err
}
