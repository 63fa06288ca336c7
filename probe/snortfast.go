package probe

import (
	"bytes"
	"errors"

	"github.com/komondor/komondor/event"
)

func snortFastFormat() Format {
	return Format{
		Name:    "snort-fast",
		Aliases: []string{"snort2-fast", "snort3-fast", "snort-alert-fast", "suricata-fast", "alert_fast", "fast.log"},
		About:   "alerts on one line: alert_fast of Snort 2 and 3, fast.log of Suricata",
		New:     func(c Clock) Parser { return &snortFastParser{clock: c} },
		Recognise: eachLine(func(line []byte) bool {
			_, ok, err := (&snortFastParser{}).read(line)
			return ok && err == nil
		}),
	}
}

type snortFastParser struct {
	clock Clock
}

var errFast = errors.New("want TIME [**] [gid:sid:rev] MESSAGE [**] … {PROTOCOL} A:P -> B:Q")

func (p *snortFastParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	a, ok, err := p.read(line.Bytes)
	if err != nil {
		return ev, false, malformed("snort-fast", line.Bytes, err)
	}
	if !ok {
		return ev, false, nil
	}
	return a.event("snort-fast", line.File, line.Number), true, nil
}

// Flush has nothing to return: every alert is one line.
func (p *snortFastParser) Flush() (ev event.Event, ok bool, err error) { return }

// read reads "TIME [ACTION] [**] TITLE [**] LABELS {PROTOCOL} A[:P] -> B[:Q]". ok
// is false for what is no alert, and for alerts without a source: ARP, and
// packets too broken to have addresses.
func (p *snortFastParser) read(line []byte) (a idsAlert, ok bool, err error) {
	const mark = "[**]"
	i := bytes.Index(line, []byte(mark))
	if i < 0 {
		return a, false, nil
	}
	stamp, _, _ := bytes.Cut(line[:i], []byte(" "))
	rest := line[i+len(mark):]
	title, rest, ok := cutLast(rest, mark)
	if !ok || len(stamp) == 0 {
		return a, false, errFast
	}
	snort3, ok := a.title(bytes.TrimSpace(title))
	if !ok {
		return a, false, errFast
	}
	labels, addresses, ok := cutLast(rest, "} ")
	labels, protocol, ok2 := cutLast(labels, "{")
	from, to, ok3 := bytes.Cut(bytes.TrimRight(addresses, " \r\x00"), []byte(" -> "))
	if !ok || !ok2 || !ok3 {
		return a, false, nil
	}
	a.labels(labels)
	a.protocol = transport(protocol)
	if !a.addresses(from, to, suricataStamp(stamp)) {
		return a, false, errFast
	}
	if a.time, err = p.clock.snortStamp(stamp, snort3); err != nil {
		return a, false, err
	}
	a.cve = findCVE(a.message)
	return a, a.hasSource(), nil
}

// suricataStamp tells Suricata's timestamps, "01/02/2006-…", from Snort's.
func suricataStamp(b []byte) bool { return len(b) > 10 && b[5] == '/' && b[10] == '-' }
