package database

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var mssql = text.Daemon{
	Name:    "mssql",
	Aliases: []string{"sqlserver"},
	About:   "ERRORLOG of Microsoft SQL Server, as it is (UTF-16) or as UTF-8: refused logins",
	Own: func(m *text.Message, line []byte) (ok bool) {
		if isUTF16(line) {
			m.Buffer = fromUTF16(m.Buffer[:0], line)
			line = m.Buffer
		}
		line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		m.Message, ok = m.OwnStamp(line)
		source, rest, ok2 := bytes.Cut(text.TrimBlanks(m.Message), []byte(" "))
		m.Message = text.TrimBlanks(rest)
		// SPID and "Server", "Logon", "Backup" fill a column of twelve.
		return ok && ok2 && len(line) > 36 && m.ISO && (string(source) == "Logon" || string(source) == "Server" || hasPrefix(source, "spid"))
	},
	New: text.Stateless(readMSSQL),
}

// readMSSQL reads "Login failed for user 'NAME'. Reason: … [CLIENT: IP]". The name is the
// client's choice, and the address is at the very end. Whether the server keeps line breaks in
// names is not documented; as long as it may, no address is proven.
func readMSSQL(m *text.Message) bool {
	if !hasPrefix(m.Text, "Login failed") {
		return false
	}
	what, host, ok := text.CutLast(m.Text, " [CLIENT: ")
	host, ok2 := text.CutSuffix(host, "]")
	if !ok || !ok2 {
		return false
	}
	if user, ok := text.CutPrefix(what, "Login failed for user '"); ok {
		m.User, _, _ = text.CutLast(user, "'. Reason: ")
	}
	m.Kind, m.Target.Port, m.Proof = event.SQLLoginFailed, 1433, event.Spoofable
	m.Source.Addr, ok = text.Address(host)
	return ok
}

// isUTF16 tells a line of UTF-16 (little endian), which begins with a byte order mark,
// with the second half of the line ending before it, or with a digit and nothing.
func isUTF16(line []byte) bool {
	return len(line) > 3 && (line[0] == 0xFF && line[1] == 0xFE || line[0] == 0 && line[2] == 0 || line[1] == 0 && line[3] == 0)
}

// fromUTF16 appends what of a line is ASCII, with a question mark for the rest: nothing that
// matters is anything else.
func fromUTF16(to, line []byte) []byte {
	switch {
	case line[0] == 0xFF:
		line = line[2:]
	case line[0] == 0:
		line = line[1:]
	}
	for ; len(line) > 1; line = line[2:] {
		if line[1] == 0 && line[0] < 0x80 {
			to = append(to, line[0])
		} else {
			to = append(to, '?')
		}
	}
	return bytes.TrimRight(to, "\r")
}
