package block

import (
	"context"
	"net/netip"
)

// Observer is the backend of mode observe: it never touches the kernel, and
// its blocks are only those that the Manager writes down.
type Observer struct{}

func (Observer) Setup(context.Context) error                        { return nil }
func (Observer) Add(context.Context, []Entry) error                 { return nil }
func (Observer) Remove(context.Context, []netip.Prefix) error       { return nil }
func (Observer) AddFlows(context.Context, []FlowEntry) error        { return nil }
func (Observer) RemoveFlows(context.Context, []Flow) error          { return nil }
func (Observer) SetNever(context.Context, []netip.Prefix) error     { return nil }
func (Observer) SetMembers(context.Context, []netip.AddrPort) error { return nil }
func (Observer) Flush(context.Context) error                        { return nil }
func (Observer) Enforcing() bool                                    { return false }
func (Observer) Close() error                                       { return nil }

// Counters is always empty: nothing is dropped.
func (Observer) Counters(context.Context, ...netip.Prefix) (map[netip.Prefix]Counter, error) {
	return nil, nil
}

// FlowCounters is always empty, likewise.
func (Observer) FlowCounters(context.Context) (map[Flow]Counter, error) { return nil, nil }
