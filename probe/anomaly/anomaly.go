// Package anomaly learns how much each service and each source is usually seen of,
// and says when it is far more: the anomaly analyser beside all that look for misuse
// (paper 000, section III.B).
//
// Counts of an hour are compared with those of the same hour of the day in the days
// before, and of the hours next to it: by their median and their median absolute
// deviation, which a few odd days do not move. What is usual is learned from what is
// seen, so an attack that goes on for half of the days becomes usual.
//
// It is pure: the caller brings the events and the time. It is not safe for
// concurrent use.
package anomaly

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Config bounds what is learned; the zero value is ready for use.
type Config struct {
	// Learn is how long is listened before anything is said; 0 means three days.
	Learn time.Duration
	// Sources is how many sources are remembered, of each service by itself; 0 means 1024.
	// A source costs about 800 bytes.
	Sources int
	// Least is what nothing below is unusual, in observations an hour; 0 means 30.
	Least int
}

const (
	deviations  = 6       // how many of them are unusual
	maxServices = 64      // families of kinds: there are some twenty
	maxCount    = 1 << 30 // in an hour; further is not counted
)

// Detector is what was learned, and the counts of the running hour.
type Detector struct {
	config   Config
	watched  watched
	services map[string]*service
	sources  summary

	hour           hour
	opened, looked time.Time // when the hour was begun, and the latest Tick
}

// service is a family of kinds: all that begins with "ssh".
type service struct {
	since   hour // when it was first seen
	total   profile
	busiest profile // the count of its busiest source that is none of its regular ones
	now     count
}

// count is what was seen in the running hour.
type count struct {
	n         uint32
	told      uint32 // up to which it was told
	spoofable bool   // something of it
}

func (c *count) add(n uint32, proof event.Proof) {
	c.n = min(c.n+n, maxCount)
	c.spoofable = c.spoofable || proof == event.Spoofable
}

// beyond reports whether the count is beyond a limit, once and each time that it has
// doubled since.
func (c *count) beyond(limit uint32) bool {
	if c.n <= max(limit, 2*c.told) { // told is below 2^31
		return false
	}
	c.told = c.n
	return true
}

// New returns a detector that has learned nothing yet.
func New(c Config) *Detector {
	if c.Learn <= 0 {
		c.Learn = 3 * 24 * time.Hour
	}
	if c.Sources <= 0 {
		c.Sources = 1024
	}
	if c.Least <= 0 {
		c.Least = 30
	}
	return &Detector{config: c, services: make(map[string]*service), sources: newSummary(c.Sources)}
}

// Service is what an event is counted under, the first part of its kind; false for
// credit, and for what analysers and sensors say themselves. Ports are no services
// here: whoever scans makes up as many as he likes.
func Service(kind event.Kind) (string, bool) {
	family, _, _ := strings.Cut(string(kind), ".")
	return family, family != "" && family != "anomaly" && family != "probe" && kind.Severity() >= 0
}

// Add counts an event, if it is of the running hour by its own time; events of an hour
// that has passed come too late. Nothing counts before the first Tick.
func (d *Detector) Add(e event.Event) {
	name, ok := Service(e.Kind)
	if !ok || hourOf(e.Time) != d.hour {
		return
	}
	s := d.services[name]
	if s == nil {
		if len(d.services) == maxServices {
			return
		}
		s = &service{since: d.hour}
		d.services[name] = s
	}
	n := uint32(min(max(e.Count, 1), maxCount))
	s.now.add(n, e.Proof)
	if e.Source.Addr.IsValid() {
		d.sources.add(subject{name, event.SourcePrefix(e.Source.Addr)}, n).now.add(n, e.Proof)
	}
}

// Tick says what is unusual in the running hour, and ends it when it is over. It wants
// to be called every minute: an hour that it did not see whole is not learned from.
// It reports whether something was learned, which the caller may want to keep.
func (d *Detector) Tick(now time.Time, emit func(event.Event)) (learned bool) {
	if h := hourOf(now); h != d.hour {
		learned = d.close()
		d.hour, d.opened = h, now
	}
	d.looked = now
	if !d.watched.ready(d.hour, d.config.Learn) {
		return learned
	}
	for name, s := range d.services {
		if time.Duration(d.hour-s.since)*time.Hour < d.config.Learn {
			continue
		}
		if usual := d.limit(&s.total, s.since); s.now.beyond(usual) {
			emit(d.tell(now, subject{service: name}, s.now, usual))
		}
	}
	busiest := make(map[string]uint32)
	for _, x := range d.sources.entries {
		s := d.services[x.subject.service]
		if s == nil || x.now.n < uint32(d.config.Least) || time.Duration(d.hour-s.since)*time.Hour < d.config.Learn {
			continue
		}
		usual, ok := busiest[x.subject.service]
		if !ok {
			usual = d.limit(&s.busiest, s.since)
			busiest[x.subject.service] = usual
		}
		if usual = max(usual, d.limit(&x.past, 0)); x.now.beyond(usual) {
			emit(d.tell(now, x.subject, x.now, usual))
		}
	}
	return learned
}

// limit is the most that is usual by a profile at this hour of the day or the ones next
// to it, and no limit where that is not known.
func (d *Detector) limit(p *profile, since hour) uint32 {
	limit := uint32(0)
	for at := d.hour - 1; at <= d.hour+1; at++ {
		if median, spread, known := d.watched.usual(p, at, since); known {
			limit = max(limit, uint32(d.config.Least), 2*median, median+deviations*spread)
		}
	}
	if limit == 0 {
		return math.MaxUint32
	}
	return limit
}

// tell makes an event. Its proof is the worst of what was counted; a service's names no
// source.
func (d *Detector) tell(now time.Time, of subject, c count, usual uint32) event.Event {
	e := event.Event{Time: now, Kind: event.AnomalyRate, Severity: event.AnomalyRate.Severity(), Count: 1, Proof: event.Handshake, Sensor: "anomaly"}
	who := "all sources together"
	if of.source.IsValid() {
		e.Source.Addr, who = of.source.Addr(), "this source"
	}
	if c.spoofable || !of.source.IsValid() {
		e.Proof = event.Spoofable
	}
	e.Detail = fmt.Sprintf("%s: %d from %s since %s UTC, where %d are usual at the most", of.service, c.n, who, d.hour.begin().Format("15:04"), usual)
	return e
}

// close ends the hour: what was counted in it becomes the past.
func (d *Detector) close() (learned bool) {
	const slack = 5 * time.Minute
	learned = d.hour != 0 && d.opened.Sub(d.hour.begin()) < slack && (d.hour+1).begin().Sub(d.looked) < slack
	busiest := make(map[string]uint32)
	if learned {
		for _, x := range d.sources.entries {
			if median, _, _ := d.watched.usual(&x.past, d.hour, 0); median == 0 { // no regular one
				busiest[x.subject.service] = max(busiest[x.subject.service], x.now.n)
			}
		}
		d.watched.mark(d.hour)
	}
	for _, x := range d.sources.entries {
		if learned {
			x.past.set(d.hour, x.now.n)
		}
		x.now = count{}
	}
	for name, s := range d.services {
		if learned {
			s.total.set(d.hour, s.now.n)
			s.busiest.set(d.hour, busiest[name])
		}
		s.now = count{}
	}
	if d.hour%24 == 23 {
		d.sources.age()
	}
	return learned
}

// subject is a service, or a source of one.
type subject struct {
	service string
	source  netip.Prefix // zero: all sources together
}
