// Package host looks at the programs that are run on this host, and at the processes
// that are killed, for those that an intruder runs and kills: shells of servers,
// programs in scratch directories, downloads that are run at once, the end of who
// keeps the logs. What they are is a list of rules in YAML, of which rules.yaml comes
// with Komondor. Programs are seen through the kernel's process connector (Watch), or
// read from the log of auditd, see probe/audit.
//
// An event of a host has no source address: it accuses nobody, and tells people.
package host

import (
	"strconv"

	"github.com/komondor/komondor/event"
)

// MaxArgs is how much of a command line is looked at, in bytes.
const MaxArgs = 4096

// Process is a program that was run, or a process that was killed. Its bytes are only
// looked at during a call; what is not known is empty.
type Process struct {
	Killed bool
	// Exe is the path of the program, by the kernel: what it calls itself does not count.
	Exe []byte
	// Deleted says that the program's file has no name any more, or never had one.
	Deleted bool
	// Args is the command line, its words with a blank between them, up to MaxArgs.
	Args []byte
	// Parent is the path of the program that started it, or that killed it.
	Parent []byte
	UID    uint32
	User   []byte // the name of UID
}

// Stats count what Watch was told of.
type Stats struct {
	Programs uint64 // that were run
	Lost     uint64 // times that the kernel had no room for what it had to tell
	Ended    uint64 // programs that had ended before they were looked at
	Hidden   uint64 // programs that may not be looked at
}

// Event is what a rule makes of a process. The caller adds the time and where it comes
// from.
func (r Rule) Event(p Process) event.Event {
	kind := event.ProcessExec
	if p.Killed {
		kind = event.ProcessKilled
	}
	e := event.Event{Kind: kind, Severity: kind.Severity(), Count: 1, User: printable(p.User, 64)}
	if len(p.User) == 0 {
		e.User = strconv.FormatUint(uint64(p.UID), 10)
	}
	e.Detail = r.Name + ": " + printable(p.Exe, 128)
	if len(p.Args) > 0 {
		e.Detail += ": " + printable(p.Args, 160)
	}
	if len(p.Parent) > 0 {
		e.Detail += ", by " + printable(p.Parent, 64)
	}
	return e
}

// printable is the beginning of what anybody may have written, to be shown.
func printable(b []byte, most int) string {
	cut := len(b) > most
	b = b[:min(len(b), most)]
	shown := make([]rune, 0, len(b))
	for _, r := range string(b) { // what is no UTF-8 becomes U+FFFD
		if !strconv.IsPrint(r) {
			r = '\uFFFD'
		}
		shown = append(shown, r)
	}
	if cut {
		shown = append(shown, '…')
	}
	return string(shown)
}
