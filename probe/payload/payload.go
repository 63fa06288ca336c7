// Package payload looks into what packets carry: it puts TCP connections together, and has
// YARA rules and a detector of buffer overflows look at what was said.
//
// Everything here was written by whoever sent it. So memory is bounded, whatever comes; a scan that takes
// too long is given up; and a segment is only taken if its numbers can be those of the
// connection that it claims to be part of, so that nobody is blamed for what others write into his.
package payload

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// matchesMost is how many rules are reported of one side of a connection; what it says then is
// not looked at any more.
const matchesMost = 16

// Config says what to look for, and at what cost.
type Config struct {
	Rules   []string // files of YARA rules, and directories with files that end in .yar or .yara
	Builtin bool     // the detector of buffer overflows, and the rules that come with Komondor

	MemoryMiB int           // of connections that are put together; 0 is 64
	Stream    int           // bytes that are looked at of each direction; 0 is 256 KiB
	Timeout   time.Duration // of one scan; whole seconds, 0 is one
	// Share is how much of one core's time scans may take, above 0 to 1 (as a mean; a second may be taken
	// at once). What comes when it is used up is not looked at, and counted. 0 is no bound.
	Share float64
}

// Stats count what was done since New.
type Stats struct {
	Streams   int64 // connections begun
	Datagrams int64
	Fragments int64 // packets passed over, because they are parts of datagrams that nobody has put together
	Scans     int64
	Scanned   int64 // bytes, those included that were scanned again together with what follows them
	Matches   int64

	Refused  int64 // segments whose numbers cannot be their connection's
	Gaps     int64 // holes in streams that were not filled
	Evicted  int64 // connections forgotten for lack of memory
	Hurried  int64 // pieces scanned early for lack of memory
	Skipped  int64 // bytes not scanned, because scans had used up their share of time
	TimedOut int64 // scans given up
	Failed   int64 // scans that libyara could not do
	Crowded  int64 // directions with so many matches that no more was looked at

	Connections int   // that are being put together now
	Memory      int64 // bytes that these take
}

// Scanner looks into packets. It owns no goroutine, and is not safe for concurrent use.
type Scanner struct {
	config   Config
	files    []stamp // as they were when rules was made, or could not be
	rules    ruleset // nil if there are none
	warnings []string
	streams  *streams
	budget   *rate.Limiter // of microseconds; nil is no bound
	stats    Stats

	emit func(event.Event) // of the call that is being answered
}

// New makes a scanner. Without libyara (see Library), Rules are an error, and Builtin means
// the detector of buffer overflows only.
func New(config Config) (*Scanner, error) {
	if config.MemoryMiB < 0 || config.Stream < 0 || config.Timeout < 0 || !(config.Share >= 0 && config.Share <= 1) {
		return nil, fmt.Errorf("payload: memory of %d MiB, streams of %d bytes, %v a scan, a share of %v: none may be negative, nor the share above 1",
			config.MemoryMiB, config.Stream, config.Timeout, config.Share)
	}
	if len(config.Rules) == 0 && !config.Builtin {
		return nil, errors.New("payload: nothing to look for: name rules, or ask for those that come with Komondor")
	}
	if config.MemoryMiB == 0 {
		config.MemoryMiB = 64
	}
	if config.Stream == 0 {
		config.Stream = 256 << 10
	}
	s := &Scanner{config: config}
	if config.Share > 0 {
		s.budget = rate.NewLimiter(rate.Limit(config.Share*1e6), int(max(config.Timeout, time.Second).Microseconds()))
	}
	s.streams = newStreams(config.Stream, config.MemoryMiB<<20, &s.stats, s.stream)
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the rules again if a file of them has changed, and tells whether it did. On
// an error what was loaded before stays in force, and the error is told once for a change: the
// owner calls this on a tick.
func (s *Scanner) Reload() (changed bool, err error) {
	files, err := find(s.config.Rules)
	if err != nil {
		changed := s.files == nil || len(s.files) > 0
		if changed {
			s.files = []stamp{}
			return false, err
		}
		return false, nil
	}
	if s.files != nil && slices.Equal(files, s.files) {
		return false, nil
	}
	s.files = append([]stamp{}, files...)
	sources, err := read(files)
	if err != nil {
		return false, err
	}
	if s.config.Builtin && (len(sources) > 0 || Library() != "") {
		own, err := shipped()
		if err != nil {
			return false, err
		}
		sources = append(own, sources...)
	}
	if len(sources) == 0 {
		return false, nil
	}
	rules, warnings, err := compile(sources, s.config.Timeout)
	if err != nil {
		return false, err
	}
	if s.rules != nil {
		s.rules.close()
	}
	s.rules, s.warnings = rules, warnings
	return true, nil
}

// Warnings are what the compiler says about the rules in force: mostly that one is slow.
func (s *Scanner) Warnings() []string { return s.warnings }

// Packet looks at the next packet, and calls emit with what matches: at once in a datagram, in
// a connection when there is enough of it, or it has ended, or was silent for two seconds.
func (s *Scanner) Packet(p *packet.Packet, emit func(event.Event)) {
	s.emit = emit
	switch {
	case p.Fragment:
		s.stats.Fragments++
	case p.Protocol == packet.TCP && p.Flags&(packet.SYN|packet.ACK) == packet.SYN && len(p.Payload) > 0:
		s.datagram(p) // TCP Fast Open (RFC 7413): nobody has been answered yet
	case p.Protocol == packet.TCP:
		s.streams.add(p)
	case p.Protocol == packet.UDP && len(p.Payload) > 0:
		s.datagram(p)
	}
	s.streams.advance(p.Time)
}

// Advance says how late it is when no packet does: what is left of connections that have
// fallen silent is looked at.
func (s *Scanner) Advance(now time.Time, emit func(event.Event)) {
	s.emit = emit
	s.streams.advance(now.UnixNano())
}

// Flush looks at all that is left, when no packet comes any more.
func (s *Scanner) Flush(emit func(event.Event)) {
	s.emit = emit
	s.streams.flushAll()
}

// Stats returns what was done so far.
func (s *Scanner) Stats() Stats {
	stats := s.stats
	stats.Connections, stats.Memory = len(s.streams.connections), int64(s.streams.used)
	return stats
}

// Close lets go of the rules. The scanner must not be used any more.
func (s *Scanner) Close() {
	if s.rules != nil {
		s.rules.close()
		s.rules = nil
	}
}

func (s *Scanner) datagram(p *packet.Packet) {
	s.stats.Datagrams++
	for i, c := range s.inspect(p.Payload, circumstances{int(p.TargetPort), int(p.Protocol)}) {
		if i == matchesMost {
			s.stats.Crowded++
			break
		}
		s.report(event.Event{
			Time: time.Unix(0, p.Time).UTC(), Kind: c.kind, Vulnerability: c.vulnerability, Detail: c.detail,
			Source:   event.Endpoint{Addr: p.Source, Port: p.SourcePort},
			Target:   event.Endpoint{Addr: p.Target, Port: p.TargetPort},
			Protocol: p.Protocol.String(), Attempt: fmt.Sprintf("packet %d", p.Number), Line: p.Number,
		})
	}
}

// stream looks at a piece of one side of a connection.
func (s *Scanner) stream(c *connection, side int) {
	d := &c.sides[side]
	source, target := c.ends[side], c.ends[1-side]
	service := target
	if c.client >= 0 {
		service = c.ends[1-c.client]
	}
	for _, match := range s.inspect(d.piece, circumstances{int(service.Port()), int(packet.TCP)}) {
		if _, known := d.found[match]; known {
			continue
		}
		if len(d.found) == matchesMost {
			s.stats.Crowded++
			d.done = true
			return
		}
		if d.found == nil {
			d.found = make(map[*class]struct{})
		}
		d.found[match] = struct{}{}
		e := event.Event{
			Time: time.Unix(0, d.time).UTC(), Kind: match.kind, Vulnerability: match.vulnerability, Detail: match.detail,
			Source: endpoint(source), Target: endpoint(target), Protocol: "tcp",
			Attempt: fmt.Sprintf("stream %d", c.number), Line: d.number,
		}
		if c.proof(side) {
			e.Proof = event.Handshake
		}
		if why := excuse(c.client, side, source.Port(), service.Port()); why != "" {
			e.Kind = event.PayloadLow
			e.Detail += " (in " + why + ")"
		}
		s.report(e)
	}
}

// excuse says why what a side says is no proof that it attacks; empty if it is. Who asks is an attacker if what he
// says is an attack. Who answers may serve what others have left with him, and there are those who carry for others.
func excuse(client, side int, source, service uint16) string {
	switch {
	case client < 0:
		return "a connection whose beginning was not seen"
	case client != side:
		return "what the server answered"
	case service == 25:
		return "mail, which is handed on"
	case source == 20:
		return "a file server's data connection"
	}
	return ""
}

func endpoint(a netip.AddrPort) event.Endpoint { return event.Endpoint{Addr: a.Addr(), Port: a.Port()} }

func (s *Scanner) report(e event.Event) {
	e.Severity, e.Count, e.Sensor = e.Kind.Severity(), 1, "payload"
	s.stats.Matches++
	s.emit(e)
}

// inspect returns what data matches, as far as there is time for it.
func (s *Scanner) inspect(data []byte, about circumstances) (matched []*class) {
	started := time.Now()
	if s.budget != nil {
		if s.budget.TokensAt(started) < 1 {
			s.stats.Skipped += int64(len(data))
			return nil
		}
		defer func() {
			now := time.Now()
			s.budget.ReserveN(now, min(int(now.Sub(started).Microseconds())+1, s.budget.Burst()))
		}()
	}
	s.stats.Scans++
	s.stats.Scanned += int64(len(data))
	if s.config.Builtin {
		if c := overflow(data); c != nil {
			matched = append(matched, c)
		}
	}
	if s.rules == nil {
		return matched
	}
	found, err := s.rules.scan(data, about)
	switch {
	case errors.Is(err, errTimeout):
		s.stats.TimedOut++
	case err != nil:
		s.stats.Failed++
	}
	return append(matched, found...)
}
