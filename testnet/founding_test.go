package testnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
)

// TestPowerCutWhileFounding cuts the power at each operation of founding a
// federation: what `komondor init` has said to be done is there afterwards, and
// what it has not can be done again, unless only its last word was cut off.
func TestPowerCutWhileFounding(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	chosen := anySeed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	binary := build(t, t.TempDir())
	found := func(at string) ([]byte, error) {
		return exec.CommandContext(ctx, binary, "init", "--data", filepath.Join(at, "var", "komondor"), "--federation", "lab", "--organisation", "acme").CombinedOutput()
	}
	lost, cuts, step := 0, 0, 5
	if *faults {
		step = 1
	}
	for operation, done := 1+int(chosen)%step, false; !done; operation += step {
		at, spared := t.TempDir(), t.TempDir()
		disk := mountAt(t, at, t.TempDir(), chosen+uint64(operation))
		disk.CutAfter(operation)
		said, err := found(at)
		select {
		case <-disk.WasCut():
			cuts++
		default: // there are no more operations
			done = true
			disk.Cut()
		}
		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
		if err := disk.Survivors(spared); err != nil {
			t.Fatal(err)
		}
		if done && err != nil {
			t.Fatalf("it does not work at all: %v\n%s", err, said)
		}
		data := filepath.Join(spared, "var", "komondor")
		if err != nil && whole(data) != nil { // not done, so it can be done: keys are never written over, but may be moved away
			for _, key := range []string{"root.key", "organisation.key"} {
				if err := os.Remove(filepath.Join(data, key)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if said, err = found(spared); err != nil {
				t.Logf("operation %d: after the cut: %v\n%s", operation, err, said)
				lost++
				continue
			}
		}
		if err := whole(data); err != nil {
			t.Logf("operation %d: %v", operation, err)
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d foundations lost", lost)
	}
	figure(t, fmt.Sprintf("power cut while a federation is founded, at %d of its operations: foundations lost, or that cannot be made again", cuts), "0", lost)
}

// whole says what is missing from what init has made.
func whole(data string) error {
	for _, name := range []string{"identity", "organisation.key", "root.key"} {
		if _, err := federation.LoadKey(filepath.Join(data, name), ""); err != nil {
			return err
		}
	}
	if _, err := federation.LoadMembership(filepath.Join(data, "membership")); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(data, "komondor.db"))
	return err
}
