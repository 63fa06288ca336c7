package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/text"
)

// Observation is what a participant says, and what stands in its log and kernel.
type Observation struct {
	Status  control.Status  `json:"status"`
	Alerts  []control.Alert `json:"alerts"`
	Blocks  []control.Block `json:"blocks"`
	Seen    []event.Event   `json:"seen"` // evidence in auth.log, oldest first
	Dropped []Dropped       `json:"dropped"`
}

// Observe looks at the participant of this folder. It answers before the
// participant does with an error.
func Observe(ctx context.Context, dir string) (o Observation, err error) {
	node := dial(dir)
	if o.Status, err = node.Status(ctx); err != nil {
		return o, err
	}
	if o.Alerts, err = node.Alerts(ctx); err != nil {
		return o, err
	}
	if o.Blocks, err = node.Blocks(ctx); err != nil {
		return o, err
	}
	if o.Seen, err = evidence(logFile(dir)); err != nil {
		return o, err
	}
	kernel, err := os.ReadFile(kernelFile(dir))
	if err != nil {
		return o, err
	}
	for line := range bytes.Lines(kernel) {
		var d Dropped
		if json.Unmarshal(line, &d) != nil {
			break // still being written
		}
		o.Dropped = append(o.Dropped, d)
	}
	return o, nil
}

// evidence reads a log as the product does.
func evidence(path string) ([]event.Event, error) {
	written, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	format, err := probe.Builtin().Lookup("sshd")
	if err != nil {
		return nil, err
	}
	parser := format.New(text.Clock{})
	var events []event.Event
	n := int64(0)
	for line := range bytes.Lines(written) {
		n++
		e, ok, err := parser.Parse(text.Line{File: path, Number: n, Bytes: bytes.TrimSuffix(line, []byte("\n"))})
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if ok {
			events = append(events, e)
		}
	}
	return events, nil
}

// Flush ends all blocks of the participant of this folder.
func Flush(ctx context.Context, dir string) error {
	_, err := dial(dir).FlushBlocks(ctx)
	return err
}

// from are the events of these sources.
func (o Observation) from(sources map[netip.Addr]bool) []event.Event {
	var events []event.Event
	for _, e := range o.Seen {
		if sources[e.Source.Addr] {
			events = append(events, e)
		}
	}
	return events
}

// dropped is when the kernel began to drop one of the sources after begin.
func (o Observation) dropped(sources map[netip.Addr]bool, begin time.Time) (time.Time, bool) {
	for _, d := range o.Dropped {
		if sources[d.Address] && d.At.After(begin) {
			return d.At, true
		}
	}
	return time.Time{}, false
}
