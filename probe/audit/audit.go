// Package audit reads the log of auditd, as it stands in /var/log/audit/audit.log, as
// ausearch --raw prints it, and as audisp-syslog and the kernel write it to syslog:
// the programs that are run and the processes that are killed, judged by the rules of
// probe/host; and logins that were refused.
//
// The kernel writes what anybody may have chosen in quotes, or in hexadecimal digits
// where it has blanks, quotes or what is not printable (audit_log_untrustedstring), so
// a blank always ends a field. The text of a program that may write to the audit log,
// msg='…', is less certain: where a field stands twice in it, it is given up.
package audit

import (
	"bytes"
	"errors"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/host"
	"github.com/komondor/komondor/probe/text"
)

const sensor = "auditd"

// Formats lists the formats of this package, with the rules that come with Komondor.
func Formats() []text.Format { return []text.Format{Format(host.Builtin())} }

// Format is auditd's log, judged by rules.
func Format(rules host.Rules) text.Format {
	return text.Format{
		Name:    sensor,
		Aliases: []string{"audit"},
		About:   "auditd's log: programs run, processes killed, logins refused",
		New:     func(text.Clock) text.Parser { return &parser{rules: rules} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r record
			return r.split(line) && r.stamp() == nil
		}),
	}
}

// kind is a type of record that is read.
type kind uint8

const (
	other kind = iota
	syscall
	execve
	target // OBJ_PID: whom a signal went to
	title  // PROCTITLE, the last one of a program that is run
	end    // EOE
	login  // USER_AUTH, USER_LOGIN and USER_ERR
)

// kindOf reads a type: a name, or the number that the kernel itself writes.
func kindOf(b []byte) kind {
	switch string(b) {
	case "SYSCALL", "1300":
		return syscall
	case "EXECVE", "1309":
		return execve
	case "OBJ_PID", "1318":
		return target
	case "PROCTITLE", "1327":
		return title
	case "EOE", "1320":
		return end
	case "USER_AUTH", "USER_LOGIN", "USER_ERR", "1100", "1112", "1109":
		return login
	}
	return other
}

// record is "[node=NAME ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): FIELDS".
type record struct {
	node, kind []byte
	rest       []byte // from "audit(" on, and behind it once the stamp was read
	enriched   fields // what auditd adds with log_format=ENRICHED: names for the numbers
	of         id
}

// id is what the records of one event share.
type id struct {
	seconds, millis, serial int64
	node                    uint32
}

// split finds the type, and what follows it.
func (r *record) split(line []byte) (ok bool) {
	if !bytes.HasPrefix(line, []byte("type=")) && !bytes.HasPrefix(line, []byte("node=")) {
		var h text.Header
		if !h.Split(line) {
			return false
		}
		switch string(h.Process) {
		case "audispd", "audisp-syslog", "kernel":
		default:
			return false
		}
		line = h.Message
		if line, ok = text.CutPrefix(line, "["); ok { // the kernel's time since it started
			_, line, _ = bytes.Cut(line, []byte("] "))
		}
		line, _ = text.CutPrefix(line, "audit: ")
	}
	if line, ok = text.CutPrefix(line, "node="); ok {
		if r.node, line, ok = cut(line, ' '); !ok {
			return false
		}
	}
	if line, ok = text.CutPrefix(line, "type="); !ok {
		return false
	}
	if r.kind, line, ok = cut(line, ' '); !ok {
		return false
	}
	r.rest, _ = text.CutPrefix(line, "msg=")
	return true
}

var (
	errStamp       = errors.New("want audit(SECONDS.MILLISECONDS:SERIAL)")
	errInterpreted = errors.New("it is interpreted, and could be read in two ways: give it as auditd writes it, or as ausearch --raw prints it")
)

// stamp reads "audit(SECONDS.MILLIS:SERIAL):".
func (r *record) stamp() error {
	b, ok := text.CutPrefix(r.rest, "audit(")
	if !ok {
		return errStamp
	}
	seconds, b, ok1 := number(b)
	if len(b) > 0 && b[0] == '/' {
		return errInterpreted
	}
	millis, b, ok2 := number(skip(b, '.'))
	serial, b, ok3 := number(skip(b, ':'))
	if b, ok = text.CutPrefix(b, "):"); !ok || !ok1 || !ok2 || !ok3 || seconds > maxSeconds || millis > 999 {
		return errStamp
	}
	r.of = id{seconds, millis, serial, hash(r.node)}
	r.rest, r.enriched, _ = cut(b, 0x1d) // which the kernel never writes
	return nil
}

const maxSeconds = 253402300799 // the end of the year 9999

func (r *record) time() time.Time { return time.Unix(r.of.seconds, r.of.millis*1e6).UTC() }

// number reads a decimal number of up to 18 digits.
func number(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i < 19 && b[i] >= '0' && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	return n, b[i:], i > 0 && i < 19
}

// skip drops one character, and everything where it does not stand.
func skip(b []byte, c byte) []byte {
	if len(b) == 0 || b[0] != c {
		return nil
	}
	return b[1:]
}

func cut(b []byte, sep byte) (before, after []byte, ok bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// hash tells nodes apart, by FNV-1a.
func hash(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// fields are "name=value" between blanks.
type fields []byte

// next takes the first field off.
func (f *fields) next() (name, value []byte, ok bool) {
	b := text.TrimBlanks(*f)
	if len(b) == 0 {
		return nil, nil, false
	}
	word, rest, _ := cut(b, ' ')
	*f = fields(rest)
	name, value, _ = cut(word, '=')
	return name, value, true
}

// parser keeps the events whose records have not all come.
type parser struct {
	rules   host.Rules
	pending [8]pending // by turns: records of events that come at the same time mix a little
	turn    int
	parents parents
	names   text.Recent
}

func (p *parser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r record
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	k := kindOf(r.kind)
	if k == other || k == syscall && !judged(r.rest) {
		if bytes.HasPrefix(r.rest, []byte("audit(")) && bytes.IndexByte(r.rest[:min(len(r.rest), 12)], '/') > 0 {
			err = text.Malformed(sensor, line.Bytes, errInterpreted)
		}
		return ev, false, err
	}
	if err := r.stamp(); err != nil {
		return ev, false, text.Malformed(sensor, line.Bytes, err)
	}
	switch k {
	case syscall:
		ev, ok = p.begin(&r, line)
	case execve:
		if e := p.find(r.of); e != nil && e.arguments(fields(r.rest)) {
			ev, ok = p.judge(e)
		}
	case target:
		ev, ok = p.killed(&r)
	case title, end:
		if e := p.find(r.of); e != nil {
			ev, ok = p.judge(e)
		}
	case login:
		ev, ok = p.login(&r)
	}
	if ok && ev.Line == 0 {
		ev.File, ev.Line = line.File, line.Number
	}
	return ev, ok, nil
}

// Flush judges the program whose last record the log's end has cut off.
func (p *parser) Flush() (ev event.Event, ok bool, err error) {
	for i := 0; i < len(p.pending) && !ok; i++ {
		ev, ok = p.judge(&p.pending[i])
	}
	return ev, ok, nil
}
