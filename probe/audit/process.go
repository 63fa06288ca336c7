package audit

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/host"
	"github.com/komondor/komondor/probe/text"
)

// pending is a system call whose other records have not come.
type pending struct {
	waiting bool
	of      id
	file    string
	line    int64
	killed  bool // a signal was sent; else a program is run

	pid, uid uint32
	deleted  bool
	exe      []byte
	parent   []byte // the path of who started it
	user     []byte
	args     []byte
	wanted   int // words of the command line
	seen     int
}

const longestPath = 4096

// Numbers of the system calls that are judged, by the architecture in hexadecimal
// digits (linux/audit.h): of execve and execveat, of kill, tkill and pidfd_send_signal,
// and of tgkill, whose signal is its third argument.
var architectures = []struct {
	name                                         string
	execve, execveat, kill, tkill, pidfd, tgkill int
}{
	{"c000003e", 59, 322, 62, 200, 424, 234},   // x86_64
	{"40000003", 11, 358, 37, 238, 424, 270},   // i386
	{"c00000b7", 221, 281, 129, 130, 424, 131}, // aarch64
	{"40000028", 11, 387, 37, 238, 424, 268},   // arm
	{"c00000f3", 221, 281, 129, 130, 424, 131}, // riscv64
	{"80000016", 11, 354, 37, 237, 424, 241},   // s390x
	{"c0000015", 11, 362, 37, 208, 424, 250},   // ppc64le
}

// call is what a system call does.
type call uint8

const (
	nothing call = iota
	runs
	signals  // with the signal as its second argument
	signals3 // as its third one
)

func callOf(architecture, number []byte) call {
	n, ok := text.Number(number)
	for i := range architectures {
		a := &architectures[i]
		if !ok || string(architecture) != a.name {
			continue
		}
		switch n {
		case a.execve, a.execveat:
			return runs
		case a.kill, a.tkill, a.pidfd:
			return signals
		case a.tgkill:
			return signals3
		}
	}
	return nothing
}

// judged tells by the first fields of a SYSCALL record, "arch=X syscall=N", whether it
// is looked at; most are not.
func judged(rest []byte) bool {
	_, f, ok := bytes.Cut(rest[:min(len(rest), 120)], []byte("arch="))
	architecture, f, ok1 := cut(f, ' ')
	f, ok2 := text.CutPrefix(f, "syscall=")
	number, _, _ := cut(f, ' ')
	return ok && ok1 && ok2 && callOf(architecture, number) != nothing
}

// begin takes a SYSCALL record in. It returns what the oldest pending one is worth, in
// whose place it is kept.
func (p *parser) begin(r *record, line text.Line) (ev event.Event, ok bool) {
	e := &p.pending[p.turn]
	p.turn = (p.turn + 1) % len(p.pending)
	ev, ok = p.judge(e)
	*e = pending{of: r.of, file: line.File, line: line.Number, exe: e.exe[:0], parent: e.parent[:0], user: e.user[:0], args: e.args[:0]}
	rest := r.rest
	does := callOf(take(&rest, " arch="), take(&rest, " syscall="))
	success := string(take(&rest, " success=")) == "yes"
	second, third := take(&rest, " a1="), take(&rest, " a2=")
	ppid := small(take(&rest, " ppid="))
	e.pid, e.uid = small(take(&rest, " pid=")), small(take(&rest, " uid="))
	exe := take(&rest, " exe=")
	e.exe, _ = decode(e.exe, exe[:min(len(exe), 2*longestPath)])
	e.user = append(e.user, r.name("UID")...)
	if !success || len(e.exe) == 0 {
		return ev, ok
	}
	switch {
	case does == runs:
		e.exe, e.deleted = text.CutSuffix(e.exe, " (deleted)")
		e.parent = append(e.parent, p.parents.of(r.of.node, ppid)...)
		p.parents.put(r.of.node, e.pid, p.names.String(e.exe))
		e.waiting = true
	case does == signals && deadly(second), does == signals3 && deadly(third):
		e.waiting, e.killed = true, true
	}
	return ev, ok
}

// take finds a field behind those that were taken: the kernel writes them in one order
// (audit_log_exit and audit_log_task_info in kernel/auditsc.c and audit.c).
func take(rest *[]byte, field string) []byte {
	i := bytes.Index(*rest, []byte(field))
	if i < 0 {
		return nil
	}
	value, _, _ := cut((*rest)[i+len(field):], ' ')
	*rest = (*rest)[i+len(field)+len(value):]
	return value
}

// small reads a number of 32 bits; 0 is none.
func small(b []byte) uint32 {
	if n, rest, ok := number(b); ok && len(rest) == 0 && n < 1<<32 {
		return uint32(n)
	}
	return 0
}

// deadly tells whether a signal, in hexadecimal digits, ends or stops who does not
// expect it. Others ask who keeps logs to begin new ones.
func deadly(b []byte) bool {
	switch string(b) {
	case "2", "3", "4", "6", "7", "8", "9", "b", "f", "13": // INT QUIT ILL ABRT BUS FPE KILL SEGV TERM STOP
		return true
	}
	return false
}

// name is one that auditd has added behind the record.
func (r *record) name(of string) []byte {
	f := r.enriched
	for key, value, more := f.next(); more; key, value, more = f.next() {
		if string(key) == of {
			value, _ = text.CutPrefix(value, `"`)
			value, _ = text.CutSuffix(value, `"`)
			if string(value) == "unset" || string(value) == "unknown" {
				return nil
			}
			return value[:min(len(value), text.MaxString)]
		}
	}
	return nil
}

// find returns the pending system call of an event.
func (p *parser) find(of id) *pending {
	for i := range p.pending {
		if e := &p.pending[i]; e.waiting && e.of == of {
			return e
		}
	}
	return nil
}

// arguments takes an EXECVE record in: "argc=3 a0="sh" a1="-c" a2=6964"; a long word
// comes in parts, "a2[0]=… a2[1]=…", and a long command line in several records. It
// reports whether nothing is missing any more.
func (e *pending) arguments(f fields) (complete bool) {
	inParts := false
	for name, value, more := f.next(); more; name, value, more = f.next() {
		if string(name) == "argc" {
			e.wanted, _ = text.Number(value)
			continue
		}
		if len(name) < 2 || name[0] != 'a' || name[1] < '0' || name[1] > '9' || bytes.HasSuffix(name, []byte("_len")) {
			continue
		}
		inParts = name[len(name)-1] == ']'
		if first := !inParts || bytes.HasSuffix(name, []byte("[0]")); first {
			if e.seen++; e.seen > 1 {
				e.args = append(e.args, ' ')
			}
		}
		if len(e.args) < host.MaxArgs {
			e.args, _ = decode(e.args, value[:min(len(value), 2*host.MaxArgs)])
		}
		if len(e.args) >= host.MaxArgs {
			e.args = e.args[:host.MaxArgs]
			return true
		}
	}
	return e.wanted > 0 && e.seen >= e.wanted && !inParts
}

// decode appends what the kernel wrote as "text" or in hexadecimal digits; false if it
// is neither.
func decode(into, b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == '"' {
		b = b[1:]
		if i := bytes.IndexByte(b, '"'); i >= 0 {
			b = b[:i]
		}
		return append(into, b...), true
	}
	if len(b)%2 != 0 {
		return into, false
	}
	n := len(into)
	into = append(into, make([]byte, len(b)/2)...)
	if _, err := hex.Decode(into[n:], b); err != nil {
		return into[:n], false
	}
	return into, true
}

// judge ends the wait for more of a program that is run, and says what it is worth.
func (p *parser) judge(e *pending) (ev event.Event, ok bool) {
	if !e.waiting {
		return ev, false
	}
	e.waiting = false
	if e.killed {
		return ev, false // nobody's pid was told
	}
	return p.event(e, host.Process{Exe: e.exe, Deleted: e.deleted, Args: e.args, Parent: e.parent, UID: e.uid, User: e.user})
}

// killed takes whom a signal went to, by the name of its process.
func (p *parser) killed(r *record) (ev event.Event, ok bool) {
	e := p.find(r.of)
	if e == nil || !e.killed {
		return ev, false
	}
	var room [64]byte
	rest := fields(r.rest)
	for name, value, more := rest.next(); more; name, value, more = rest.next() {
		if string(name) == "ocomm" && len(value) < len(room) {
			// Rules know paths; of the path nothing is known but its end.
			if exe, ok := decode(append(room[:0], '/'), value); ok {
				return p.event(e, host.Process{Killed: true, Exe: exe, Parent: e.exe, UID: e.uid, User: e.user})
			}
		}
	}
	return ev, false
}

func (p *parser) event(e *pending, process host.Process) (ev event.Event, ok bool) {
	rule, ok := p.rules.Match(process)
	if !ok {
		return ev, false
	}
	ev = rule.Event(process)
	ev.Time = (&record{of: e.of}).time()
	ev.Sensor, ev.File, ev.Line, ev.Attempt = sensor, e.file, e.line, strconv.FormatUint(uint64(e.pid), 10)
	return ev, true
}

// parents knows which programs processes run, as far as they were seen to begin: the
// latest of those that share a place.
type parents [4096]struct {
	node, pid uint32
	exe       string
}

func place(node, pid uint32) uint32 { return (node ^ pid) % uint32(len(parents{})) }

func (t *parents) put(node, pid uint32, exe string) {
	x := &t[place(node, pid)]
	x.node, x.pid, x.exe = node, pid, exe
}

func (t *parents) of(node, pid uint32) string {
	if x := &t[place(node, pid)]; x.node == node && x.pid == pid && pid != 0 {
		return x.exe
	}
	return ""
}
