// Package keyselect chooses the keys under which the evidence of an event meets
// (paper 002, section III.C). The set of keys follows from the rules that are
// loaded: what a rule groups by is where its evidence has to come together, and
// two rules that group alike share one key. All of it is pure.
package keyselect

import (
	"strconv"
	"strings"
	"sync"

	"github.com/komondor/komondor/event"
)

// Grouping is what key selection needs to know of a rule.
type Grouping struct {
	By    event.Selector
	Kinds []string // whole kinds, or prefixes ending in ".*"
}

// Keys selects keys for events. It is safe for concurrent use.
type Keys struct {
	groupings []Grouping
	byKind    sync.Map // event.Kind to []event.Selector: the answer for a kind never changes
}

// New returns the selection that the groupings of the loaded rules ask for.
func New(groupings []Grouping) *Keys { return &Keys{groupings: groupings} }

// Append appends the event's keys to dst and returns it. An event has no key
// under a selector whose field it lacks (no target address: no target subnet).
func (k *Keys) Append(dst []event.Key, e event.Event) []event.Key {
	for _, by := range k.selectors(e.Kind) {
		if value, ok := Value(by, e); ok {
			dst = append(dst, event.Key{Selector: by, Value: value})
		}
	}
	return dst
}

func (k *Keys) selectors(kind event.Kind) []event.Selector {
	if known, ok := k.byKind.Load(kind); ok {
		return known.([]event.Selector)
	}
	var selectors []event.Selector
	seen := map[event.Selector]bool{}
	for _, g := range k.groupings {
		for _, pattern := range g.Kinds {
			if !seen[g.By] && kind.Matches(pattern) {
				seen[g.By] = true
				selectors = append(selectors, g.By)
			}
		}
	}
	k.byKind.Store(kind, selectors)
	return selectors
}

// Value is the event's value under a selector; false where it has none, or lacks a part.
func Value(by event.Selector, e event.Event) (string, bool) {
	if value, ok := part(by, e); ok || !strings.Contains(string(by), ",") {
		return value, ok
	}
	var parts []string
	for p := range by.Parts() {
		value, ok := part(p, e)
		if !ok {
			return "", false
		}
		parts = append(parts, value)
	}
	return event.JoinValue(parts...), true
}

func part(by event.Selector, e event.Event) (string, bool) {
	switch by {
	case event.BySource:
		if e.Source.Addr.IsValid() {
			return event.SourceValue(event.SourcePrefix(e.Source.Addr)), true
		}
	case event.BySourceSubnet:
		if e.Source.Addr.IsValid() {
			return event.SubnetPrefix(e.Source.Addr).String(), true
		}
	case event.ByPort:
		if e.Target.Port != 0 && e.Protocol != "" {
			return e.Protocol + "/" + strconv.Itoa(int(e.Target.Port)), true
		}
	case event.ByVulnerability:
		return e.Vulnerability, e.Vulnerability != ""
	case event.BySubnet:
		if e.Target.Addr.IsValid() {
			return event.SubnetPrefix(e.Target.Addr).String(), true
		}
	case event.ByKind:
		return string(e.Kind.Plain()), e.Kind != ""
	}
	return "", false
}
