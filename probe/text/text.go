// Package text is what the parsers of logs have in common: what a line, a parser and a
// format are, and how to read syslog headers, timestamps, addresses and numbers out of
// bytes that anybody may have written.
//
// Everything read here is hostile: user names, protocol banners and rule texts
// are chosen by attackers who would like to see somebody else blamed. So a
// parser takes an address only from a place where the sensor itself must have
// written it, and gives up a line that could be read in two ways.
package text

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
)

// Line is one line of a source, without its line ending.
type Line struct {
	File   string
	Number int64  // counts from 1
	Bytes  []byte // only valid during the call
}

// Parser turns the lines of one source into events. It may keep state between
// lines, so it must see them in order, and it is not safe for concurrent use.
type Parser interface {
	// Parse reads one line. ok: ev is the event that the line completes. err:
	// the line claims to be a record of this format but is malformed; it names
	// the line's beginning, and the next line can be parsed as ever. Neither:
	// the line is no evidence, and cost no allocation.
	Parse(line Line) (ev event.Event, ok bool, err error)
	// Flush returns the event that was waiting for more lines when the input
	// ended, if any.
	Flush() (ev event.Event, ok bool, err error)
}

// Headed is a parser of logs whose beginning says how to read the rest (Zeek, IIS). It is shown
// the beginning of the file before the first line, wherever reading goes on.
type Headed interface {
	Begin(head []byte)
}

// Proxied is a parser of logs in which a proxy can stand for its clients, and their
// address beside it. Trust names the proxies that are one's own.
type Proxied interface {
	Trust(proxies []netip.Prefix)
}

// Clock tells parsers what a record leaves out.
type Clock struct {
	Now  func() time.Time // for the year of timestamps without one; nil: time.Now
	Zone *time.Location   // of timestamps without one; nil: time.Local
}

// Format is a kind of log that probes can read.
type Format struct {
	Name    string
	Aliases []string
	About   string // one line for people
	// Programs are the names under which its programs write to syslog and to the
	// journal; none where they do not.
	Programs []string
	New      func(Clock) Parser
	// Recognise counts the lines of this format in a source's beginning (up to 64
	// KiB; the last line may be cut off).
	Recognise func(sample []byte) int
}

// EachLine recognises a sample by its lines.
func EachLine(is func(line []byte) bool) func(sample []byte) int {
	return func(sample []byte) (n int) {
		for line := range bytes.Lines(sample) {
			if is(bytes.TrimRight(line, "\r\n")) {
				n++
			}
		}
		return n
	}
}
