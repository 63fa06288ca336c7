package ids

import (
	"errors"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func snortFastFormat() text.Format {
	return text.Format{
		Name:    "snort-fast",
		Aliases: []string{"snort2-fast", "snort3-fast", "snort-alert-fast", "suricata-fast", "alert_fast", "fast.log"},
		About:   "alerts on one line: alert_fast of Snort 2 and 3, fast.log of Suricata",
		New:     func(c text.Clock) text.Parser { return &snortFastParser{clock: snortClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			ok, err := (&snortFastParser{}).read(line, new(idsAlert))
			return ok && err == nil
		}),
	}
}

type snortFastParser struct {
	clock snortClock
	names text.Recent
}

var errFast = errors.New("want TIME [**] [gid:sid:rev] MESSAGE [**] … {PROTOCOL} A:P -> B:Q")

func (p *snortFastParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var a idsAlert
	ok, err = p.read(line.Bytes, &a)
	if err != nil {
		return ev, false, text.Malformed("snort-fast", line.Bytes, err)
	}
	if !ok {
		return ev, false, nil
	}
	a.event(&ev, "snort-fast", line.File, line.Number, &p.names)
	return ev, true, nil
}

// Flush has nothing to return: every alert is one line.
func (p *snortFastParser) Flush() (ev event.Event, ok bool, err error) { return }

// read reads "TIME [ACTION] [**] TITLE [**] LABELS {PROTOCOL} A[:P] -> B[:Q]". ok
// is false for what is no alert, and for alerts without a source: ARP, and
// packets too broken to have addresses.
func (p *snortFastParser) read(line []byte, a *idsAlert) (ok bool, err error) {
	const mark = "[**]"
	head, rest, ok := text.Cut(line, mark)
	if !ok {
		return false, nil
	}
	stamp, _, _ := text.CutByte(head, ' ')
	title, rest, ok := text.CutLast(rest, mark)
	if !ok || len(stamp) == 0 {
		return false, errFast
	}
	snort3, ok := a.title(text.TrimBlanks(title))
	if !ok {
		return false, errFast
	}
	labels, addresses, ok := text.CutLast(rest, "} ")
	labels, protocol, ok2 := text.CutLastByte(labels, '{')
	from, to, ok3 := text.Cut(text.TrimEnd(addresses), " -> ")
	if !ok || !ok2 || !ok3 {
		return false, nil
	}
	a.labels(labels)
	a.protocol = transport(protocol)
	if !a.addresses(from, to, suricataStamp(stamp)) {
		return false, errFast
	}
	if a.time, err = p.clock.read(stamp, snort3); err != nil {
		return false, err
	}
	a.cve.find(a.message)
	return a.hasSource(), nil
}

// suricataStamp tells Suricata's timestamps, "01/02/2006-…", from Snort's.
func suricataStamp(b []byte) bool { return len(b) > 10 && b[5] == '/' && b[10] == '-' }
