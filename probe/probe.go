// Package probe turns what sensors write into events: the log lines of sshd, of web and
// file servers, and the alerts of Snort and Suricata. A format is one file here and one entry in
// Builtin.
//
// Everything read here is hostile: user names, protocol banners and rule texts
// are chosen by attackers who would like to see somebody else blamed. So a
// parser takes an address only from a place where the sensor itself must have
// written it, and gives up a line that could be read in two ways.
package probe

import (
	"bytes"
	"fmt"
	"strings"
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
	New     func(Clock) Parser
	// Recognise counts the lines of this format in a source's beginning (up to 64
	// KiB; the last line may be cut off).
	Recognise func(sample []byte) int
}

// Builtin lists the formats that come with Komondor, the general before the special:
// where a sample is as much of the one as of the other, it is of the latter.
func Builtin() []Format {
	return []Format{
		sshdFormat(),
		journaldFormat(),
		suricataFormat(),
		snortJSONFormat(),
		snortFastFormat(),
		snortFullFormat(),
		webAccessFormat(),
		webErrorFormat(),
		vsftpdFormat(),
	}
}

// Lookup finds a format by its name or an alias.
func Lookup(name string) (Format, error) {
	var names []string
	for _, f := range Builtin() {
		for _, n := range append([]string{f.Name}, f.Aliases...) {
			if strings.EqualFold(n, name) {
				return f, nil
			}
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("unknown log format %q: want one of %s", name, strings.Join(names, ", "))
}

// Detect finds the format of a source from its beginning: that of most of its lines.
func Detect(sample []byte) (Format, error) {
	var names []string
	var found Format
	most := 0
	for _, f := range Builtin() {
		if n := f.Recognise(sample); n > 0 && n >= most {
			found, most = f, n
		}
		names = append(names, f.Name)
	}
	if most > 0 {
		return found, nil
	}
	if len(bytes.TrimSpace(sample)) == 0 {
		return Format{}, fmt.Errorf("cannot detect the format of an empty log: name it with --format (%s)", strings.Join(names, ", "))
	}
	return Format{}, fmt.Errorf("the log begins with %s, which is none of %s: name its format with --format", beginning(sample), strings.Join(names, ", "))
}

// eachLine recognises a sample by its lines.
func eachLine(is func(line []byte) bool) func(sample []byte) int {
	return func(sample []byte) (n int) {
		for line := range bytes.Lines(sample) {
			if is(bytes.TrimRight(line, "\r\n")) {
				n++
			}
		}
		return n
	}
}
