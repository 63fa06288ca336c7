package store

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/komondor/komondor/store/powercut"
)

var (
	cuts = flag.Int("cuts", 12, "how often TestPowerCut cuts the power")
	seed = flag.Uint64("seed", 0, "of TestPowerCut and TestNoSyncIsCaught, to see a failure again; 0: another one each time")
)

// mount serves the files below from at a new place, until the test ends or close is called.
func mount(t *testing.T, from string, seed uint64) (disk *powercut.FS, at string) {
	t.Helper()
	at = t.TempDir()
	disk, err := powercut.Mount(at, from, seed)
	if powercut.Absent(err) {
		t.Skipf("no FUSE here: %v", err)
	}
	must(t, err)
	return disk, at
}

// cutPower runs a child on the files below from until the power fails, writes
// what has survived below to, and says what is wrong with it. All of it follows
// from the seed.
func cutPower(t *testing.T, from, to string, seed uint64, variables ...string) error {
	t.Helper()
	disk, at := mount(t, from, seed)
	dice := rand.New(rand.NewPCG(seed, 2))
	// A transaction is some ten operations, and the store is made by a dozen.
	disk.CutAfter(1 + dice.IntN(200))
	c := startChild(t, filepath.Join(at, "komondor.db"), append(variables, fmt.Sprint(seedVariable, "=", seed))...)
	select {
	case <-disk.WasCut():
	case <-time.After(time.Minute):
		t.Errorf("seed %d: the child does not write: %s", seed, c.said)
		disk.Cut()
	}
	acknowledged := c.end()
	must(t, disk.Close())
	must(t, disk.Survivors(to))
	// The check writes, and what comes next goes on from what has survived.
	checked := filepath.Join(t.TempDir(), "komondor.db")
	switch data, err := os.ReadFile(filepath.Join(to, "komondor.db")); {
	case err == nil:
		must(t, os.WriteFile(checked, data, 0o600))
	case !os.IsNotExist(err):
		t.Fatal(err)
	case acknowledged > 0:
		return fmt.Errorf("%d events acknowledged, and there is no file", acknowledged)
	default:
		return nil
	}
	defer os.Remove(checked)
	return loss(t, checked, acknowledged)
}

// lostIn counts the cuts after which something is lost. After each ten, and each
// loss, the store begins anew, so that its making is cut too.
func lostIn(t *testing.T, cuts int, variables ...string) (lost int) {
	t.Helper()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1_000_000) + 1
	}
	from := t.TempDir()
	for i := range cuts {
		if i%10 == 0 {
			from = t.TempDir()
		}
		to := t.TempDir()
		if err := cutPower(t, from, to, first+uint64(i), variables...); err != nil {
			t.Logf("cut %d of those from -seed %d: %v", i+1, first, err)
			lost++
			to = t.TempDir()
		}
		from = to
	}
	return lost
}

func TestPowerCut(t *testing.T) {
	lost := lostIn(t, *cuts)
	figure(t, fmt.Sprintf("power cut while writing, pages torn, %d times: stores damaged, or without an acknowledged record", *cuts), "0", lost, lost == 0)
}

// TestNoSyncIsCaught shows that TestPowerCut would notice a store that does not
// wait for the disk, as kill -9 cannot.
func TestNoSyncIsCaught(t *testing.T) {
	lost := lostIn(t, 6, mutantVariable+"=1")
	figure(t, "the same with a store that does not synchronise, 6 times", "1 or more", lost, lost > 0)
}
