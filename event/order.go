package event

import (
	"cmp"
	"strings"
)

// Compare orders events by time, and those of one time by where their records stand: of
// what a log writes within one second its own order is all that is known. Whatever else
// differs decides last, so that only equal events compare as equal: sorted, the same
// events are always the same list.
func (e Event) Compare(other Event) int {
	if c := e.Time.Compare(other.Time); c != 0 {
		return c
	}
	return cmp.Or(
		strings.Compare(e.File, other.File),
		cmp.Compare(e.Line, other.Line),
		cmp.Compare(e.Kind, other.Kind),
		e.Source.compare(other.Source),
		e.Target.compare(other.Target),
		cmp.Compare(e.Severity, other.Severity),
		cmp.Compare(e.Count, other.Count),
		cmp.Compare(e.Proof, other.Proof),
		strings.Compare(e.Protocol, other.Protocol),
		strings.Compare(e.Vulnerability, other.Vulnerability),
		strings.Compare(e.Name, other.Name),
		strings.Compare(e.User, other.User),
		strings.Compare(e.Attempt, other.Attempt),
		strings.Compare(e.Sensor, other.Sensor),
		strings.Compare(e.Detail, other.Detail),
	)
}

func (e Endpoint) compare(other Endpoint) int {
	return cmp.Or(e.Addr.Compare(other.Addr), cmp.Compare(e.Port, other.Port))
}
