package ids

import (
	"bytes"
	"errors"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func snortFullFormat() text.Format {
	return text.Format{
		Name:    "snort-full",
		Aliases: []string{"snort2-full", "snort3-full", "alert_full"},
		About:   "alerts of several lines: alert_full of Snort 2 and 3",
		New: func(c text.Clock) text.Parser {
			return &snortFullParser{clock: snortClock{Clock: c}, names: new(text.Recent)}
		},
		Recognise: text.EachLine(func(line []byte) bool {
			title, ok := fullTitle(line)
			_, good := (&idsAlert{}).title(title)
			return ok && good
		}),
	}
}

// snortFullParser gathers the lines of an alert:
//
//	[**] [1:1418:11] SNMP request tcp [**]
//	[Classification: Attempted Information Leak] [Priority: 2]
//	11/21/23-22:13:20.820000 198.51.100.39:29686 -> 10.27.2.7:161
//	TCP TTL:56 TOS:0x0 ID:11232 IpLen:20 DgmLen:44
//	…
//	[Xref => http://cve.mitre.org/cgi-bin/cvename.cgi?name=2002-0013][Xref => …]
//
// A blank line ends it, or the next alert's first line, or the end of the file.
type snortFullParser struct {
	clock  snortClock
	names  *text.Recent
	open   bool
	alert  idsAlert
	first  text.Line // where the alert began; its Bytes are a copy
	snort3 bool
	stamp  []byte
	from   []byte
	to     []byte
}

var (
	errFullTitle = errors.New("want [**] [gid:sid:rev] MESSAGE [**]")
	errFullBody  = errors.New("want TIME A:P -> B:Q in the lines that follow")
)

func (p *snortFullParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	b := bytes.TrimRight(line.Bytes, " \r\x00")
	if title, is := fullTitle(b); is {
		ev, ok, err = p.finish()
		return ev, ok, errors.Join(err, p.begin(line, title))
	}
	switch {
	case len(b) == 0:
		return p.finish()
	case !p.open:
	case b[0] == '[':
		p.alert.labels(b)
		if p.alert.class != nil {
			p.alert.class = bytes.Clone(p.alert.class)
		}
		if p.alert.cve.size == 0 {
			p.alert.cve.find(b)
		}
	case p.from == nil:
		p.readAddresses(b)
	case p.alert.protocol == "":
		p.readProtocol(b)
	}
	return ev, false, nil
}

// Flush returns the alert at the end of the input, which needs no blank line.
func (p *snortFullParser) Flush() (ev event.Event, ok bool, err error) { return p.finish() }

// fullTitle returns what stands between "[**] " and " [**]" of a first line.
func fullTitle(b []byte) ([]byte, bool) {
	b, ok := bytes.CutPrefix(b, []byte("[**] "))
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(b, []byte(" [**]"))
}

func (p *snortFullParser) begin(line text.Line, title []byte) error {
	clone := bytes.Clone(title[:min(len(title), 2*text.MaxString)])
	*p = snortFullParser{clock: p.clock, names: p.names, first: line}
	p.first.Bytes = bytes.Clone(line.Bytes[:min(len(line.Bytes), text.MaxString)])
	if p.snort3, p.open = p.alert.title(clone); !p.open {
		return text.Malformed("snort-full", line.Bytes, errFullTitle)
	}
	return nil
}

// readAddresses reads "TIME A[:P] -> B[:Q]". With -e, Snort 2 writes the
// hardware's addresses here and the others at the beginning of the next line,
// before the protocol. The time ends after six decimals: years before 2000 take
// the place of the blank behind it.
func (p *snortFullParser) readAddresses(b []byte) {
	from, after, ok := bytes.Cut(b, []byte(" -> "))
	if !ok {
		return
	}
	if p.stamp == nil {
		end := bytes.IndexByte(from, '.') + len(".000000")
		if end > min(len(from), 40) {
			return
		}
		p.stamp, from = bytes.Clone(from[:end]), bytes.TrimLeft(from[end:], " ")
	}
	to, rest, _ := bytes.Cut(after, []byte(" "))
	if bytes.HasPrefix(rest, []byte("type:")) || len(from) > 64 || len(to) > 64 {
		return
	}
	p.from, p.to = bytes.Clone(from), bytes.Clone(to)
	p.readProtocol(rest)
}

// readProtocol reads "TCP TTL:56 TOS:0x0 …".
func (p *snortFullParser) readProtocol(b []byte) {
	if name, rest, ok := bytes.Cut(b, []byte(" ")); ok && bytes.HasPrefix(rest, []byte("TTL:")) {
		p.alert.protocol = transport(name)
	}
}

// finish returns the alert that is open. One without addresses (ARP, broken
// packets) is not evidence.
func (p *snortFullParser) finish() (ev event.Event, ok bool, err error) {
	if !p.open {
		return ev, false, nil
	}
	p.open = false
	if p.from == nil {
		return ev, false, nil
	}
	if !p.alert.addresses(p.from, p.to, false) || p.stamp == nil {
		return ev, false, text.Malformed("snort-full", p.first.Bytes, errFullBody)
	}
	if p.alert.time, err = p.clock.read(p.stamp, p.snort3); err != nil {
		return ev, false, text.Malformed("snort-full", p.first.Bytes, err)
	}
	if !p.alert.hasSource() {
		return ev, false, nil
	}
	p.alert.cve.find(p.alert.message) // the rule's own word, before its references
	p.alert.event(&ev, "snort-full", p.first.File, p.first.Number, p.names)
	return ev, true, nil
}
