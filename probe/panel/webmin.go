package panel

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var webmin = text.Daemon{
	Name:     "webmin",
	About:    "Webmin's webmin.log, and what miniserv says by syslog: refused logins",
	Programs: []string{"webmin", "usermin"},
	Own:      ownWebmin,
	New:      text.Stateless(readWebmin),
}

// ownWebmin splits "SECONDS.PID.N [02/Jan/2006 15:04:05] USER SESSION IP MODULE PROGRAM "ACTION" …".
func ownWebmin(m *text.Message, line []byte) bool {
	id, rest, ok := bytes.Cut(line[:min(len(line), 80)], []byte(" ["))
	stamp, _, ok2 := bytes.Cut(rest, []byte("] "))
	day, stamp2, ok3 := bytes.Cut(stamp, []byte("/"))
	if first, dot := text.Digits(id); !ok || !ok2 || !ok3 || len(first) == 0 || len(dot) == 0 || dot[0] != '.' || len(stamp2) != len("Jan/2006 15:04:05") || len(day) > 2 || len(day) == 0 {
		return false
	}
	month := text.MonthOf(stamp2[:3])
	s := append(append(m.Buffer[:0], stamp2[4:8]...), '-', '0'+byte(month/10), '0'+byte(month%10), '-')
	if len(day) == 1 {
		s = append(s, '0')
	}
	s = append(append(append(s, day...), 'T'), stamp2[9:]...)
	m.Buffer, m.Stamp, m.ISO = s, s, true
	m.Message = line[len(id)+len(" [")+len(stamp)+len("] "):]
	return month > 0
}

// readWebmin reads "USER SESSION IP global miniserv.pl "failed" …" and "Invalid login as USER
// from IP". The name is what was typed.
func readWebmin(m *text.Message) bool {
	if who, _, ok := text.CutOnce(m.Text, ` global miniserv.pl "failed" `); ok {
		who, addr, ok := text.CutLastByte(who, ' ')
		user, _, _ := text.CutLastByte(who, ' ') // the session
		m.Proof = event.Spoofable                // a file, in which a name may have line breaks
		return ok && refused(m, user, host(addr), 10000)
	}
	who, addr, ok := text.CutLast(m.Text, " from ")
	for _, form := range [...]string{"Invalid login as ", "Non-existent login as "} {
		if user, is := text.CutPrefix(who, form); ok && is {
			return refused(m, user, host(addr), 10000)
		}
	}
	return false
}
