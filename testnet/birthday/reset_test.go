package birthday

import (
	"context"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
)

// TestResetIsStopped: a reset that stands goes on when its node has begun anew, and ends at a person's word,
// also for a node that has begun anew since, and while the flood and the scenario's wish go on.
func TestResetIsStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("floods for half a minute")
	}
	n, dir, komondor := victims(t), t.TempDir(), product(t)
	wire := listen(t, n)
	var cell *Process
	begin := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var err error
		if cell, err = Lodge(ctx, n.Cells[0], komondor, dir, "--follow", "bind-birthday", "--respond", "reset=auto"); err != nil {
			t.Fatal(err)
		}
	}
	end := func() {
		t.Helper()
		if err := cell.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := Found(t.Context(), komondor, dir, n.Cells[0].Name); err != nil {
		t.Fatal(err)
	}
	begin()
	t.Cleanup(func() { end() })
	newest := func() control.Response {
		t.Helper()
		all, err := cell.control.Responses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			return control.Response{}
		}
		return all[0]
	}
	// goesOn waits until many more are reset than were at first: 500 a second are begun.
	goesOn := func() {
		t.Helper()
		_, before, _ := wire.Count()
		eventually(t, 20*time.Second, "what is begun now is reset", func() bool {
			_, reset, _ := wire.Count()
			return reset > before+500
		})
	}

	attack(t, func(ctx context.Context) error { return FloodSYN(ctx, n.Cells[0], 500) })
	eventually(t, 30*time.Second, "a reset stands", func() bool { return newest().Undoable })
	standing := newest()
	goesOn()
	end()
	begin()
	goesOn()
	if r := newest(); r.ID != standing.ID || r.State != "done" || !r.Undoable {
		t.Errorf("after a restart %+v stands, not %+v", r, standing)
	}

	if r, err := cell.control.DecideResponse(t.Context(), standing.ID, "undo"); err != nil || r.State != "undone" || r.Undoable {
		t.Fatalf("%+v, %v", r, err)
	}
	time.Sleep(50 * time.Millisecond) // what was sent before has arrived
	begun, reset, _ := wire.Count()
	stopped := func(when string) {
		t.Helper()
		later, again, _ := wire.Count()
		t.Logf("%s: %d more connections were begun, and %d reset", when, later-begun, again-reset)
		if later < begun+500 || again > reset {
			t.Errorf("%s: of %d connections that were begun since %d were reset", when, later-begun, again-reset)
		}
	}
	time.Sleep(2 * time.Second)
	stopped("undone")
	end()
	begin()
	asked := newest().Times // the scenario asks on evidence that is newer than the person's word
	eventually(t, time.Minute, "the scenario has asked again", func() bool { return newest().Times > asked })
	time.Sleep(2 * time.Second)
	stopped("asked for again after a restart")
	if r := newest(); r.ID != standing.ID || r.State != "undone" {
		t.Errorf("%+v is the newest", r)
	}
}
