package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/komondor/komondor/testnet/attacker"
)

// TestNetworkOfNamespaces is the main job with firewalls: three participants in
// network namespaces, a worm that really connects, and kernels that drop it.
func TestNetworkOfNamespaces(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network and attacks it for ten seconds")
	}
	l := newTestNetns(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := l.Members(context.Background()); err != nil || len(left) > 0 {
			t.Errorf("%v are left behind (%v)", left, err)
		}
		if err := l.Down(context.Background()); err != nil {
			t.Errorf("down, once more: %v", err)
		}
	})
	if err := l.Up(ctx, Fewest); os.IsPermission(err) {
		t.Skipf("no network namespaces here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := Await(ctx, l, Fewest, func(string, time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	_, nodes, err := Running(ctx, []Lab{l})
	if err != nil || len(nodes) != Fewest {
		t.Fatalf("%v run (%v)", nodes, err)
	}
	worm := attacker.Patterns()[0]
	o, err := Attack(ctx, l, nodes, worm, func(attacker.Attempt) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Failures) > 0 || len(o.Blocked) != Fewest || o.Stopped < Fewest {
		t.Errorf("%+v", o)
	}
	rows, err := Status(ctx, l, nodes)
	if err != nil || len(rows) != Fewest {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		if len(r.Blocks) > 0 {
			t.Errorf("%s still blocks after the flush: %+v", r.Name, r.Blocks)
		}
	}
	if _, err := Attack(ctx, l, nodes, worm, func(attacker.Attempt) {}); err == nil {
		t.Error("a second worm at the same address: its old evidence would be counted as the new one's")
	}
}

// newTestNetns builds the programs for a network of this test's own.
func newTestNetns(t *testing.T) Netns {
	t.Helper()
	dir := t.TempDir()
	l := Netns{Project: fmt.Sprintf("komondor-test%d", os.Getpid()), Program: filepath.Join(dir, "testnet"), Binary: filepath.Join(dir, "komondor")}
	if err := l.Available(); err != nil {
		t.Skip(err)
	}
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", dir, "../cmd/testnet", "../../cmd/komondor") // half the time to link
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	return l
}
