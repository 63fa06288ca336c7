package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/host"
	"github.com/komondor/komondor/probe/packet"
	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/probe/payload"
)

// The formats of sources that are packets, beside those of logs.
const (
	Pcap = "pcap" // a capture file, pcap or pcapng
	Live = "live" // an interface of this host
)

// Process is the format of the source that is the programs of this host.
const Process = "process"

// Watch is what sources are told that are no logs.
type Watch struct {
	Processes host.Rules // which programs are suspicious
	// Home are the networks that are watched. What comes from outside in their name is
	// forged, and so is what leaves them in another.
	Home []netip.Prefix
	// Rules are files of YARA rules, and directories with such.
	Rules []string
	// MemoryMiB bounds what is remembered of connections; 0 is 64.
	MemoryMiB int
	// RingMiB is the room for packets of an interface that wait to be looked at; 0 is 32.
	RingMiB int
}

const (
	watchMiB  = 64
	scanShare = 0.25 // of a core, for payload: what comes beyond that is not looked into
)

// sniffer finds in packets what there is to see.
type sniffer struct {
	*source
	detector *detect.Detector
	scanner  *payload.Scanner
	emit     func(event.Event)
	before   control.Source // what the source had read before: it begins anew after a panic
	looked   int64          // when it was looked for the last time what was passed over, by the packets' clock
	skips    bool           // payload was passed over, and that was logged
}

// newSniffer makes a sniffer; share is how much of a core's time payload may take, 0 for any.
func (s *source) newSniffer(share float64, emit func(event.Event)) (*sniffer, error) {
	scanner, err := s.Watch.newScanner(share)
	if err != nil {
		return nil, err
	}
	for _, warning := range scanner.Warnings() {
		s.notice(warning)
	}
	return &sniffer{source: s, scanner: scanner, before: s.status(),
		detector: detect.New(detect.Config{Home: s.Watch.Home, MemoryMiB: s.Watch.half()}),
		emit: func(e event.Event) {
			e.File = s.Path
			emit(e)
		}}, nil
}

func (w Watch) newScanner(share float64) (*payload.Scanner, error) {
	return payload.New(payload.Config{Rules: w.Rules, Builtin: true, MemoryMiB: w.half(), Share: share})
}

// half of the memory is for what is detected in headers, and half for payload.
func (w Watch) half() int {
	if w.MemoryMiB <= 0 {
		return watchMiB / 2
	}
	return (w.MemoryMiB + 1) / 2
}

// packet looks at the next packet, and tells whether a second has passed since it last said so, which
// is when to count.
func (s *sniffer) packet(p *packet.Packet) (count bool) {
	s.detector.Packet(p, s.emit)
	s.scanner.Packet(p, s.emit)
	if apart := p.Time - s.looked; apart > int64(time.Second) || apart < 0 {
		s.looked = p.Time
		return true
	}
	return false
}

// tick says how late it is when no packet does.
func (s *sniffer) tick(now time.Time) {
	s.detector.Tick(now.UnixNano(), s.emit)
	s.scanner.Advance(now, s.emit)
}

// reload takes rules that have changed.
func (s *sniffer) reload() {
	changed, err := s.scanner.Reload()
	switch {
	case err != nil:
		s.notice("the rules in force stay: " + err.Error())
	case changed:
		s.notice("the YARA rules have changed, and were read anew")
		for _, warning := range s.scanner.Warnings() {
			s.notice(warning)
		}
	}
}

// end tells what was still being waited for.
func (s *sniffer) end() {
	s.detector.Flush(s.emit)
	s.scanner.Flush(s.emit)
	s.scanner.Close()
}

// count notes what became of the packets.
func (s *sniffer) count(capture packet.Stats) {
	seen, scanned := s.detector.Stats(), s.scanner.Stats()
	s.update(func(state *control.Source) {
		state.Lines = s.before.Lines + uint64(capture.Read)
		state.Malformed = s.before.Malformed + uint64(capture.BadLink+capture.BadIP+capture.BadTransport+capture.Panics)
		state.Lost = s.before.Lost + uint64(capture.Dropped)
		state.Unread = s.before.Unread + uint64(capture.UnknownLink)
		state.Forgotten = s.before.Forgotten + uint64(seen.Evicted+scanned.Evicted)
		state.Withheld = s.before.Withheld + uint64(seen.Withheld)
		state.Unscanned = s.before.Unscanned + uint64(scanned.Skipped)
		state.GivenUp = s.before.GivenUp + uint64(scanned.TimedOut+scanned.Failed)
	})
	if scanned.Skipped > 0 && !s.skips {
		s.skips = true
		s.log.Warn("payload is not looked into: that would take more than its share of a core; komondor status counts it")
	}
}

// listen watches the interface that the source names until ctx ends.
func (s *source) listen(ctx context.Context) error {
	sniffer, err := s.newSniffer(scanShare, func(e event.Event) { s.sighted(ctx, e) })
	if err != nil {
		return err
	}
	var listener *packet.Live
	listener, err = packet.Listen(packet.Device{Name: s.Path, Promiscuous: true, RingMiB: s.Watch.RingMiB, Notice: s.notice, Tick: func(now int64) error {
		sniffer.tick(time.Unix(0, now))
		sniffer.reload()
		sniffer.count(listener.Stats())
		if listener.Away() {
			s.becomes(control.Waiting)
		} else {
			s.becomes(control.Reading)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	s.becomes(control.Reading)
	err = listener.Each(ctx, func(p *packet.Packet) error {
		if s.halfOpen != nil {
			s.halfOpen.Packet(p)
		}
		sniffer.packet(p)
		return nil
	})
	sniffer.end()
	sniffer.count(listener.Stats())
	return err
}

// sighted hands an event of a packet or a process on. They come when they come: what finds no
// room is dropped, and counted.
func (s *source) sighted(ctx context.Context, e event.Event) {
	err := s.sees(ctx, sighting{event: &e}, true)
	s.event(e, errors.Is(err, errDropped))
}

// pipe watches packets that another program captures and writes, until it ends or ctx does.
func (s *source) pipe(ctx context.Context) error {
	f, err := open(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })() // a read that waits ends with it
	s.becomes(control.Reading)
	return s.sniff(ctx, f, true, func(e event.Event) error {
		return s.sees(ctx, sighting{event: &e}, false)
	})
}

// isCapture tells by its first bytes whether a file is a capture: pcap of either byte order and
// of micro- or nanoseconds, or pcapng.
func isCapture(head []byte) bool {
	for _, magic := range []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", "\x0a\x0d\x0d\x0a"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// sniff reads a capture to its end, and calls fn for every event. One that follows a pipe has a share of
// a core for payload, and takes rules that change meanwhile.
func (s *source) sniff(ctx context.Context, r io.Reader, follows bool, fn func(event.Event) error) error {
	capture, err := packet.Open(r)
	if err != nil {
		return err
	}
	share := 0.0
	if follows {
		share = scanShare
	}
	var failed error
	sniffer, err := s.newSniffer(share, func(e event.Event) {
		s.event(e, false)
		if failed == nil {
			failed = fn(e)
		}
	})
	if err != nil {
		return err
	}
	err = capture.Each(ctx, func(p *packet.Packet) error {
		if sniffer.packet(p) {
			sniffer.count(capture.Stats())
			if follows {
				sniffer.reload()
			}
		}
		return failed
	})
	sniffer.end()
	sniffer.count(capture.Stats())
	return errors.Join(err, failed)
}

// checkWatch finds what is wrong with a source of packets before the node runs, and with its rules.
func (s Source) checkWatch() error {
	if err := s.checkDevice(); err != nil {
		return err
	}
	scanner, err := s.Watch.newScanner(0)
	if err != nil {
		return fmt.Errorf("source %s=%s: %w", s.Format, s.Path, err)
	}
	scanner.Close()
	return nil
}

func (s Source) checkDevice() error {
	if s.Format == Pcap {
		info, err := os.Stat(s.Path)
		if s.Path == "-" || err == nil && info.Mode()&os.ModeNamedPipe != 0 {
			return nil
		}
		return fmt.Errorf("source %s=%s: a node follows packets as they come: name an interface (%s=eth0) or a pipe (tcpdump -w - | komondor join --read %s=-); what is in a file: komondor replay --read %s=%s",
			Pcap, s.Path, Live, Pcap, Pcap, s.Path)
	}
	listener, err := packet.Listen(packet.Device{Name: s.Path, RingMiB: s.Watch.RingMiB})
	if err != nil {
		return fmt.Errorf("source %s=%s: %w", Live, s.Path, err)
	}
	return listener.Close()
}
