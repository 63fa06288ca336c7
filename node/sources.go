package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/follow"
)

const (
	examplesKept = 3    // malformed lines shown for each source
	linesBetween = 4096 // lines without an event after which the position is kept all the same
)

// source reads one log and hands on what it sees.
type source struct {
	Source
	log  *slog.Logger
	sees func(ctx context.Context, seen sighting, lossy bool) error

	mu    sync.Mutex
	state control.Source
}

func newSource(s Source, log *slog.Logger, sees func(ctx context.Context, seen sighting, lossy bool) error) *source {
	return &source{Source: s, log: log.With("source", s.Path), sees: sees,
		state: control.Source{Format: s.Format, Path: s.Path}}
}

// run reads on from a position until ctx ends.
func (s *source) run(ctx context.Context, kept []byte) error {
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
			return follow.Open(s.Path, follow.Options{From: from, Notice: s.notice}).Run(ctx, handle)
		}
	}
	r := reading{source: s}
	if err := read(ctx, from, func(line follow.Line) error { return r.line(ctx, line) }); err != nil && ctx.Err() == nil {
		s.notice("not read any more: " + err.Error()) // the other sources go on
	}
	return nil
}

// check finds what is wrong with a source before the node runs. A file may come
// later, and one that may not be read now may be made readable.
func (s Source) check() error {
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
			_, err = probe.Detect(sample)
			return detectError(s.Path, err)
		}
	}
	return nil
}

func detectError(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("source %s: %w (with join and replay: --read FORMAT=%s)", path, err, path)
}

// head reads the beginning of a file.
func head(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// reading is the state between two lines of a source.
type reading struct {
	*source
	parser probe.Parser
	silent int // lines since the position was last handed on
}

func (r *reading) line(ctx context.Context, line follow.Line) error {
	if r.parser == nil {
		parser, err := r.choose(line.Bytes)
		if err != nil {
			return err
		}
		r.parser = parser
	}
	e, ok, err := r.parser.Parse(probe.Line{File: r.Path, Number: line.Number, Bytes: line.Bytes})
	r.account(line, ok, err)
	r.silent++
	if !ok && r.silent < linesBetween {
		return nil
	}
	r.silent = 0
	position, err := event.Encode(line.End)
	if err != nil {
		return fmt.Errorf("position in %s: %w", r.Path, err)
	}
	seen := sighting{source: r.Path, position: position}
	if ok {
		seen.event = &e
	}
	err = r.sees(ctx, seen, r.Lossy)
	if errors.Is(err, errDropped) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.state.Dropped++
		return nil
	}
	return err
}

// choose finds the parser, by the beginning of the file where the format is "auto".
func (s *source) choose(first []byte) (probe.Parser, error) {
	clock := probe.Clock{Now: time.Now}
	if s.Format != "auto" {
		format, err := probe.Lookup(s.Format)
		if err != nil {
			return nil, err
		}
		return format.New(clock), nil
	}
	sample := first
	if begin, err := head(s.Path); err == nil && len(begin) > 0 {
		sample = begin
	}
	format, err := probe.Detect(sample)
	if err != nil {
		return nil, detectError(s.Path, err)
	}
	s.mu.Lock()
	s.state.Format = format.Name
	s.mu.Unlock()
	return format.New(clock), nil
}

func (s *source) account(line follow.Line, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Lines++
	if line.Truncated {
		s.state.Truncated++
	}
	if ok {
		s.state.Events++
	}
	if err != nil {
		s.state.Malformed++
		if len(s.state.Examples) < examplesKept {
			s.state.Examples = append(s.state.Examples, "line "+strconv.FormatInt(line.Number, 10)+": "+err.Error())
			s.log.Warn("malformed line skipped", "line", line.Number, "error", err)
		}
	}
}

func (s *source) notice(text string) {
	s.log.Warn(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Notice = text
}

func (s *source) status() control.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Examples = append([]string(nil), s.state.Examples...)
	return state
}
