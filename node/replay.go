package node

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/probe/text"
)

// Read parses one source offline, compressed by gzip or not, and calls fn for every
// event. It returns what was read. Format "auto" is found by the beginning of the file.
func Read(ctx context.Context, s Source, fn func(event.Event) error) (control.Source, error) {
	if s.Format == Live || s.Format == Process {
		return control.Source{}, fmt.Errorf("source %s=%s is watched while it happens: komondor join --read %s=%s; name a log or a capture here", s.Format, s.Path, s.Format, s.Path)
	}
	f, err := open(s.Path)
	if err != nil {
		return control.Source{}, err
	}
	defer f.Close()
	src := newSource(s, slog.New(slog.DiscardHandler), nil)
	src.state.State = ""
	in, err := unzip(bufio.NewReaderSize(f, sampled))
	if err != nil {
		return src.status(), fmt.Errorf("read %s: %w", s.Path, err)
	}
	head, _ := in.Peek(4)
	if s.Format == Pcap || s.Format == "auto" && isCapture(head) {
		src.state.Format = Pcap
		if err := src.sniff(ctx, in, false, fn); err != nil {
			return src.status(), fmt.Errorf("read %s: %w", s.Path, err)
		}
		return src.status(), nil
	}
	begin, _ := in.Peek(in.Buffered())
	begin = bytes.Clone(follow.Unmarked(begin))
	var parser text.Parser
	var last follow.Line
	err = follow.Lines(ctx, in, 0, func(line follow.Line) error {
		last.Number = line.Number
		if parser == nil {
			if parser, err = src.newParser(begin); err != nil {
				return err
			}
		}
		e, ok, err := parser.Parse(text.Line{File: s.Path, Number: line.Number, Bytes: line.Bytes})
		src.account(line, e, ok, err)
		if !ok {
			return nil
		}
		return fn(e)
	})
	if err == nil && parser != nil {
		if e, ok, ferr := parser.Flush(); ok || ferr != nil {
			last.Number++ // it ends after the last line
			src.outcome(last, e, ok, ferr)
			if ok {
				err = fn(e)
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("read %s: %w", s.Path, err)
	}
	return src.status(), err
}

// unzip undoes gzip, which rotated logs are compressed with.
func unzip(in *bufio.Reader) (*bufio.Reader, error) {
	if magic, _ := in.Peek(2); string(magic) != "\x1f\x8b" {
		return in, nil
	}
	plain, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("it begins as gzip does, and is damaged: %w", err)
	}
	return bufio.NewReaderSize(plain, sampled), nil
}

func open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, follow.Explain(path, err)
	}
	return f, nil
}

// Replayed is what a replay has found.
type Replayed struct {
	Alerts  []control.Alert  // oldest first
	Sources []control.Source // as they were read
	Links   []correlate.Link // events that were taken for one with earlier ones
}

// Replay runs the correlators over sources offline, on event time: each source
// is a sensor and an organisation, judged at home and all of them together; or, with
// together, all of them are one node's. It finds an alert for each attack, which lasts until
// the rule's timespan has passed without evidence. One's own networks are not accused.
func Replay(ctx context.Context, rules correlate.Rules, sources []Source, home []netip.Prefix, together bool) (Replayed, error) {
	var found Replayed
	var sensors []Sensor
	for _, s := range sources {
		sensor := Sensor{Name: s.Path}
		state, err := Read(ctx, s, func(e event.Event) error {
			sensor.Events = append(sensor.Events, e)
			return ctx.Err()
		})
		if err != nil {
			return found, err
		}
		found.Sources, sensors = append(found.Sources, state), append(sensors, sensor)
	}
	if together {
		node := Sensor{Name: "node"}
		for _, s := range sensors {
			node.Events = append(node.Events, s.Events...)
		}
		sensors = []Sensor{node}
	}
	r := correlated(rules, sensors, home)
	found.Alerts, found.Links = r.alerts(), r.links
	return found, ctx.Err()
}

// Sensor is what one participant has seen.
type Sensor struct {
	Name   string
	Events []event.Event
}

// Correlate is Replay on events. What it finds depends on the events and on the names
// of the sensors, and neither on the order of events nor on that of sensors; sensors
// of one name are one.
func Correlate(rules correlate.Rules, sensors []Sensor) []control.Alert {
	return correlated(rules, sensors, nil).alerts()
}

// correlated has sensors see their events in the order of time.
func correlated(rules correlate.Rules, sensors []Sensor, own []netip.Prefix) *replay {
	type sighted struct {
		sensor int
		event  event.Event
	}
	var names []string
	for _, s := range sensors {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var seen []sighted
	for _, s := range sensors {
		i, _ := slices.BinarySearch(names, s.Name)
		for _, e := range s.Events {
			seen = append(seen, sighted{i, e})
		}
	}
	slices.SortFunc(seen, func(a, b sighted) int {
		return cmp.Or(a.event.Time.Compare(b.event.Time), cmp.Compare(a.sensor, b.sensor), a.event.Compare(b.event))
	})
	r := newReplay(rules, names, own)
	for _, s := range seen {
		r.take(s.sensor, s.event)
	}
	if n := len(seen); n > 0 {
		for _, s := range r.sensors { // the last events wait for none before them
			r.miss(s, seen[n-1].event.Time)
		}
	}
	return r
}
