package testnet

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
)

// start builds the product and runs n processes of it, with further flags, until the test ends.
func start(t testing.TB, n int, block string, more ...string) []*Process {
	t.Helper()
	return startIn(t, t.TempDir(), n, block, more...)
}

// build builds the product into a directory.
func build(t testing.TB, dir string) (binary string) {
	t.Helper()
	binary = filepath.Join(dir, "komondor")
	build := exec.Command("go", "build", "-o", binary, "../cmd/komondor")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	return binary
}

// startIn is start with all files below a directory.
func startIn(t testing.TB, dir string, n int, block string, more ...string) []*Process {
	t.Helper()
	binary := build(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all, err := Start(ctx, n, Options{Binary: binary, Dir: dir, Block: block, More: more})
	t.Cleanup(func() {
		for _, p := range all {
			if err := p.Stop(); err != nil {
				t.Errorf("%s: %v\n%s", p.Name, err, p.Stderr())
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSevenProcessesBlockWhatThreeSaw is the main job: seven real processes, a
// worm that three of them see too little of, and the same block at all.
func TestSevenProcessesBlockWhatThreeSaw(t *testing.T) {
	if testing.Short() {
		t.Skip("starts seven processes")
	}
	all := start(t, 7, "observe")
	started := time.Now()
	worm, err := LoadWorm()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var logs []string
	for _, p := range all {
		logs = append(logs, p.Log)
	}
	if err := worm.Play(ctx, logs, 0, func(Written) {}); err != nil {
		t.Fatal(err)
	}
	for i, p := range all {
		b, err := p.AwaitBlock(ctx, WormPrefix)
		if err != nil {
			t.Fatal(err)
		}
		if b.State != "observed" || b.Alert == "" || !strings.Contains(b.Reason, "ssh-brute-force") {
			t.Errorf("%s: %+v", p.Name, b)
		}
		s, err := p.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if saw := s.Counters.Events > 0; saw != (i < WormHosts) {
			t.Errorf("%s: %d events of its own", p.Name, s.Counters.Events)
		}
		for _, src := range s.Sources {
			if src.Malformed > 0 {
				t.Errorf("%s: %+v", p.Name, src)
			}
		}
		blocks, err := p.Blocks(ctx)
		if err != nil || len(blocks) != 1 {
			t.Errorf("%s blocks %+v (%v), want the worm alone: alice is innocent", p.Name, blocks, err)
		}
	}

	t.Run("a second process on the same data is refused", func(t *testing.T) {
		p := all[1]
		out, err := exec.CommandContext(ctx, p.args[0], p.args[1:]...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "another") {
			t.Errorf("%v: %s", err, out)
		}
	})

	t.Run("flush works with and without a running node", func(t *testing.T) {
		if n, err := all[2].FlushBlocks(ctx); err != nil || n != 1 {
			t.Errorf("flushed %d, %v", n, err)
		}
		if blocks, err := all[2].Blocks(ctx); err != nil || len(blocks) != 0 {
			t.Errorf("still %v, %v", blocks, err)
		}
	})

	t.Run("a killed first node finds back, with its blocks and its name", func(t *testing.T) {
		p := all[0]
		before, err := p.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// Members are remembered half a second after the last of them came.
		time.Sleep(time.Until(started.Add(2 * time.Second)))
		p.Kill()
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		after, err := p.await(ctx, func(s control.Status) bool { return s.Peers > 0 })
		if err != nil {
			t.Fatal(err)
		}
		if after.Node.ID != before.Node.ID {
			t.Errorf("it is %s now, was %s", after.Node.ID, before.Node.ID)
		}
		if _, err := p.AwaitBlock(ctx, WormPrefix); err != nil {
			t.Error(err)
		}
		if after.Counters.Events != 0 {
			t.Errorf("%d events read again", after.Counters.Events)
		}
		alerts, err := p.Alerts(ctx)
		if err != nil || len(alerts) == 0 {
			t.Errorf("alerts %v (%v)", alerts, err)
		}
	})
}
