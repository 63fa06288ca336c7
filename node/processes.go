package node

import (
	"context"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/host"
)

// processes watches the programs that are run on this host until ctx ends.
func (s *source) processes(ctx context.Context) error {
	count := func(seen host.Stats) {
		s.update(func(state *control.Source) {
			state.State, state.Lines, state.Malformed, state.Lost = control.Reading, seen.Programs, seen.Ended+seen.Hidden, seen.Lost
		})
	}
	return host.Watch(ctx, s.Watch.Processes, s.notice, count, func(e event.Event) error {
		e.File = s.Path
		s.sighted(ctx, e)
		return ctx.Err()
	})
}
