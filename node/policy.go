package node

import (
	"log/slog"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// lawful returns the built-in rules as the federation's policy has them.
func lawful(p federation.Policy, log *slog.Logger) (correlate.Rules, error) {
	list := correlate.Builtin()
	for name := range p.Rules {
		if !slices.ContainsFunc(list, func(r correlate.Rule) bool { return r.Name == name }) {
			log.Warn("the federation's policy speaks of a rule that this version does not have", "rule", name)
		}
	}
	list = slices.DeleteFunc(list, func(r correlate.Rule) bool { return p.Rules[r.Name].Off })
	for i := range list {
		r, change := &list[i], p.Rules[list[i].Name]
		r.Federation.Quorum = p.Quorum
		override(&r.Home.AtLeast, change.HomeAtLeast)
		override(&r.Federation.AtLeast, change.AtLeast)
		override(&r.Federation.Quorum, change.Quorum)
		overrideSeconds(&r.Home.Timespan, change.HomeSeconds)
		overrideSeconds(&r.Federation.Timespan, change.Seconds)
	}
	return correlate.NewRules(list, func(k event.Kind) int {
		if points, ok := p.Severities[k]; ok {
			return points
		}
		return k.Severity()
	})
}

func override(value *int, by int) {
	if by != 0 {
		*value = by
	}
}

func overrideSeconds(value *time.Duration, by int) {
	if by != 0 {
		*value = time.Duration(by) * time.Second
	}
}
