package panel

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var gitea = text.Daemon{
	Name:     "gitea",
	Aliases:  []string{"forgejo"},
	About:    "Gitea's and Forgejo's log, also by syslog: refused logins",
	Programs: []string{"gitea", "forgejo"},
	Own: func(m *text.Message, line []byte) bool { // 2006/01/02 15:04:05 FILE:N:FUNCTION() [LEVEL] MESSAGE
		b := line
		if bytes.IndexByte(b, '\x1b') >= 0 || text.Contains(b, "[0m") {
			b = withoutColours(m, b)
		}
		rest, ok := m.OwnStamp(b)
		m.Message = text.TrimBlanks(rest)
		return ok && b[4] == '/' && text.Contains(b, "() [")
	},
	New: text.Stateless(readGitea),
}

// readGitea reads "FILE:N:FUNCTION() [LEVEL] [ID] Failed authentication attempt for NAME from
// IP[:PORT][: WHY]". The name is what was typed, and WHY has it once more; so there must
// be one place for the address.
func readGitea(m *text.Message) bool {
	b := m.Text
	if i := bytes.Index(b[:min(len(b), 200)], []byte("() [")); i >= 0 {
		b = b[i+len("() "):]
	}
	for hasPrefix(b, "[") {
		_, rest, ok := bytes.Cut(b, []byte("] "))
		if !ok {
			return false
		}
		b = rest
	}
	rest, ok := text.CutPrefix(b, "Failed authentication attempt for ")
	user, from, ok2 := text.CutOnce(rest, " from ")
	if !ok || !ok2 {
		return false
	}
	peer, _, _ := bytes.Cut(from, []byte(": "))
	e, _ := text.HostPort(peer)
	m.Proof = event.Spoofable // a name may have line breaks, and write lines of its own
	return refused(m, user, e, 443)
}

// withoutColours copies a line without the escapes of terminals, "\x1b[36m", or what is
// left of them where the escape character was lost.
func withoutColours(m *text.Message, line []byte) []byte {
	to := m.Buffer[:0]
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '\x1b' && i+1 < len(line) && line[i+1] == '[' || c == '[' {
			at := i + 1
			if c == '\x1b' {
				at++
			}
			end := at
			for end < len(line) && (line[end] >= '0' && line[end] <= '9' || line[end] == ';') {
				end++
			}
			if end > at && end < len(line) && line[end] == 'm' {
				i = end
				continue
			}
		}
		to = append(to, c)
	}
	m.Buffer = to
	return to
}
