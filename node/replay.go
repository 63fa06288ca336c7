package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/follow"
)

// Read parses one source offline and calls fn for every event. It returns what
// was read. Format "auto" is found by the beginning of the file.
func Read(ctx context.Context, s Source, fn func(event.Event) error) (control.Source, error) {
	f, err := open(s.Path)
	if err != nil {
		return control.Source{}, err
	}
	defer f.Close()
	var parser probe.Parser
	src := newSource(s, slog.New(slog.DiscardHandler), nil)
	hand := func(line follow.Line, e event.Event, ok bool, err error) error {
		src.account(line, ok, err)
		if !ok {
			return nil
		}
		return fn(e)
	}
	var last follow.Line
	err = follow.Lines(ctx, f, 0, func(line follow.Line) error {
		last.Number = line.Number
		if parser == nil {
			if parser, err = src.choose(line.Bytes); err != nil {
				return err
			}
		}
		e, ok, err := parser.Parse(probe.Line{File: s.Path, Number: line.Number, Bytes: line.Bytes})
		return hand(line, e, ok, err)
	})
	if err == nil && parser != nil {
		if e, ok, ferr := parser.Flush(); ok || ferr != nil {
			last.Number++ // it ends after the last line
			err = hand(last, e, ok, ferr)
		}
	}
	if err != nil {
		err = fmt.Errorf("read %s: %w", s.Path, err)
	}
	return src.status(), err
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

// Replay runs the correlators over sources offline, on event time: each source
// is a sensor and an organisation, judged at home and all of them together. It
// returns an alert for each attack, which lasts until the rule's timespan has
// passed without evidence; oldest first.
func Replay(ctx context.Context, rules correlate.Rules, sources []Source) ([]control.Alert, []control.Source, error) {
	type sighted struct {
		sensor int
		event  event.Event
	}
	var seen []sighted
	var read []control.Source
	var names []string
	for i, s := range sources {
		state, err := Read(ctx, s, func(e event.Event) error {
			seen = append(seen, sighted{i, e})
			return ctx.Err()
		})
		if err != nil {
			return nil, read, err
		}
		read, names = append(read, state), append(names, s.Path)
	}
	slices.SortStableFunc(seen, func(a, b sighted) int { return a.event.Time.Compare(b.event.Time) })
	r := newReplay(rules, names)
	for _, s := range seen {
		r.take(s.sensor, s.event)
	}
	return r.alerts(), read, ctx.Err()
}
