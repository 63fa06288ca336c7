package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/clock"
	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/probe/text"
)

var errNoFile = errors.New("no regular file")

const (
	sampled      = 64 << 10 // bytes by which a format is found
	linesBetween = 4096     // lines without an event after which the position is kept all the same
)

// source reads one log and hands on what it sees.
type source struct {
	Source
	record
	sees func(ctx context.Context, seen sighting, lossy bool) error

	halfOpen *detect.HalfOpen // of a source of live packets; may be nil
}

func newSource(s Source, log *slog.Logger, sees func(ctx context.Context, seen sighting, lossy bool) error) *source {
	return &source{Source: s, sees: sees, record: record{log: log.With("source", s.Path),
		state: control.Source{Format: s.Format, Path: s.Path, State: control.Waiting}}}
}

// run reads on from a position until ctx ends. The other sources go on when it cannot.
func (s *source) run(ctx context.Context, kept []byte) error {
	read := func(ctx context.Context) error { return s.follow(ctx, kept) }
	switch s.Format {
	case Live:
		read = s.listen
	case Pcap:
		read = s.pipe
	case Process:
		read = s.processes
	}
	err := s.contained(ctx, read)
	for errors.Is(err, errPanic) && s.Format == Live && ctx.Err() == nil { // packets come on, and nothing has to be read again
		s.notice("reads on, with what it knew forgotten: " + err.Error())
		pause(ctx, time.Second)
		err = s.contained(ctx, read)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.becomes(control.Failed)
		s.notice("not read any more: " + err.Error())
	default: // a pipe whose writer has ended, or died
		s.becomes(control.Ended)
		s.notice("not read any more: it has ended")
	}
	return nil
}

var errPanic = errors.New("a mistake in Komondor, please report it")

// contained reads. What is read is written by attackers: a mistake that it brings to light ends
// this source, and not the node.
func (s *source) contained(ctx context.Context, read func(context.Context) error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			s.log.Error("a parser or detector has failed", "panic", what, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: %v", errPanic, what)
		}
	}()
	return read(ctx)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// follow reads a log.
func (s *source) follow(ctx context.Context, kept []byte) error {
	var from follow.Position
	if kept != nil {
		if err := event.Decode(kept, &from); err != nil {
			s.notice(fmt.Sprintf("kept position unreadable, reading from the beginning: %v", err))
			from = follow.Position{}
		}
	}
	read := s.Follow
	if read == nil {
		read = func(ctx context.Context, from follow.Position, handle func(follow.Line) error) error {
			return follow.Open(s.Path, follow.Options{From: from, Notice: s.notice, Over: s.over}).Run(ctx, handle)
		}
	}
	s.becomes(control.Reading)
	r := reading{source: s, backlog: s.size()}
	if err := read(ctx, from, func(line follow.Line) error { return r.line(ctx, line) }); err != nil || ctx.Err() != nil {
		return err
	}
	return r.end(ctx)
}

// status is what the source says of itself, and whether the file that it follows is there to be read.
func (s *source) status() control.Source {
	state := s.record.status()
	if state.State == control.Reading && s.isLog() && s.Path != "-" && !readable(s.Path) {
		state.State = control.Waiting
	}
	return state
}

// isLog tells whether the source is a file, or a pipe, of lines.
func (s Source) isLog() bool {
	return s.Follow == nil && s.Format != Live && s.Format != Pcap && s.Format != Process
}

// readable tells whether a file can be opened; of what is no file, whether it is there.
func readable(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return err == nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// check finds what is wrong with a source before the node runs. A file may come
// later, and one that may not be read now may be made readable.
func (s Source) check() error {
	switch s.Format {
	case Live, Pcap:
		return s.checkWatch()
	case Process:
		return nil
	}
	if s.Follow != nil || s.Path == "-" {
		return nil
	}
	info, err := os.Stat(s.Path)
	switch {
	case err != nil:
		return nil
	case info.IsDir():
		return fmt.Errorf("source %s is a directory: name a log file in it", s.Path)
	case s.Format == "auto" && info.Mode().IsRegular() && info.Size() > 0:
		if sample, err := head(s.Path); err == nil {
			_, err = s.formats().Detect(sample)
			return detectError(s.Path, err)
		}
	}
	return nil
}

func (s Source) formats() probe.Formats {
	if s.Formats == nil {
		return probe.Builtin()
	}
	return s.Formats
}

func detectError(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("source %s: %w (with join and replay: --read FORMAT=%s)", path, err, path)
}

// head reads the beginning of a file; from a pipe it would take what is to be read.
func head(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errNoFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	begin, err := io.ReadAll(io.LimitReader(f, sampled))
	return follow.Unmarked(begin), err
}

// size is how much of a source is there already, in bytes; -1 of what is no file.
func (s Source) size() int64 {
	if info, err := os.Stat(s.Path); s.Follow == nil && err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return -1
}

// reading is the state between two lines of a source.
type reading struct {
	*source
	parser  text.Parser
	backlog int64 // what lies before it was written before it was read
	clock   clock.Estimator
	quiet   int // lines since the position was last handed on
}

func (r *reading) line(ctx context.Context, line follow.Line) error {
	if r.parser == nil {
		parser, err := r.choose(line.Bytes)
		if err != nil {
			return err
		}
		r.parser = parser
	}
	e, ok, err := r.parser.Parse(text.Line{File: r.Path, Number: line.Number, Bytes: line.Bytes})
	r.account(line, e, ok, err)
	return r.hand(ctx, line, e, ok)
}

// end hands on what was waiting for more lines when a pipe ended.
func (r *reading) end(ctx context.Context) error {
	if r.parser == nil {
		return nil
	}
	e, ok, err := r.parser.Flush()
	if !ok && err == nil {
		return nil
	}
	var none follow.Line
	r.outcome(none, e, ok, err)
	return r.hand(ctx, none, e, ok)
}

// hand hands an event on with the position behind it, or now and then the position alone.
func (r *reading) hand(ctx context.Context, line follow.Line, e event.Event, ok bool) error {
	r.quiet++
	if !ok && r.quiet < linesBetween {
		return nil
	}
	r.quiet = 0
	position, err := event.Encode(line.End)
	if err != nil {
		return fmt.Errorf("position in %s: %w", r.Path, err)
	}
	seen := sighting{source: r.Path, position: position}
	if ok {
		if err := r.correct(ctx, line, &e); err != nil {
			return err
		}
		seen.event = &e
	}
	return r.sees(ctx, seen, false)
}

// correct corrects the time of what was seen, where the sensor's clock is off. Only
// lines that are read as they are written tell how it is.
func (r *reading) correct(ctx context.Context, line follow.Line, e *event.Event) error {
	if line.End.Offset <= r.backlog {
		return nil
	}
	r.backlog = -1 // another file may follow
	now := time.Now()
	changed := r.clock.Add(e.Time, now)
	e.Time = r.clock.Correct(e.Time, now)
	if !changed {
		return nil
	}
	note := r.clock.Note(r.Path)
	r.notice(note)
	r.update(func(state *control.Source) {
		state.ClockOffset = int64(r.clock.Offset().Round(time.Second) / time.Second)
	})
	return r.sees(ctx, sighting{event: &event.Event{Time: now, Kind: event.ProbeClock, Severity: event.ProbeClock.Severity(), Count: 1,
		Sensor: e.Sensor, File: r.Path, Line: line.Number, Detail: note}}, false)
}

// choose makes the parser by how the file begins, or the first line of what is none.
func (s *source) choose(first []byte) (text.Parser, error) {
	begin, err := head(s.Path)
	if err != nil || len(begin) == 0 {
		begin = first
	}
	return s.newParser(begin)
}

// newParser makes the parser for what begins so, and shows it that where it asks for it.
func (s *source) newParser(begin []byte) (text.Parser, error) {
	format, err := s.recognise(begin)
	if err != nil {
		return nil, err
	}
	doubtful := format.Recognise(begin) == 0
	s.update(func(state *control.Source) { state.Doubtful = doubtful })
	parser := format.New(text.Clock{Now: time.Now})
	if p, ok := parser.(text.Headed); ok {
		p.Begin(begin)
	}
	if p, ok := parser.(text.Proxied); ok {
		p.Trust(s.Proxies)
	}
	return parser, nil
}

// recognise finds the format, by the beginning of the file where it is "auto".
func (s *source) recognise(begin []byte) (text.Format, error) {
	if s.Format != "auto" {
		return s.formats().Lookup(s.Format)
	}
	format, err := s.formats().Detect(begin)
	if err != nil {
		return format, detectError(s.Path, err)
	}
	s.update(func(state *control.Source) { state.Format = format.Name })
	return format, nil
}
