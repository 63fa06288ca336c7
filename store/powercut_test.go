package store

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
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

// cutPower runs a child on the files below from until the power fails at one of the
// first so many operations, writes
// what has survived below to, and says what is wrong with it. All of it follows
// from the seed.
func cutPower(t *testing.T, from, to string, operations int, seed uint64, variables ...string) error {
	t.Helper()
	disk, at := mount(t, from, seed)
	disk.CutAfter(1 + rand.New(rand.NewPCG(seed, 2)).IntN(operations))
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
	return lossAfter(t, to, acknowledged)
}

// lossAfter is loss for what has survived a cut below a directory.
func lossAfter(t *testing.T, survivors string, acknowledged int) error {
	t.Helper()
	// The check writes, and what comes next goes on from what has survived.
	checked := filepath.Join(t.TempDir(), "komondor.db")
	switch data, err := os.ReadFile(filepath.Join(survivors, "komondor.db")); {
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

// anySeed is the seed that was asked for, or another one.
func anySeed(t *testing.T) (first uint64) {
	defer func() { t.Logf("-seed %d", first) }()
	if *seed != 0 {
		return *seed
	}
	return rand.Uint64N(1_000_000) + 1
}

// lostIn counts the cuts after which something is lost. After each ten, and each
// loss, the store begins anew, so that its making is cut too.
func lostIn(t *testing.T, cuts int, variables ...string) (lost int) {
	t.Helper()
	first := anySeed(t)
	from := t.TempDir()
	for i := range cuts {
		operations := 200 // a transaction is some ten
		if i%10 == 0 {
			from, operations = t.TempDir(), 15 // which make a store
		}
		to := t.TempDir()
		if err := cutPower(t, from, to, operations, first+uint64(i), variables...); err != nil {
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

// TestFailingDisk has operations of the disk fail at random, all of them for a
// while, and some, and cuts the power among them: what a write said must be
// true, for who was told that it failed repeats it.
func TestFailingDisk(t *testing.T) {
	first := anySeed(t)
	lost, slowest := 0, time.Duration(0)
	from := t.TempDir()
	for i := range *cuts {
		disk, at := mount(t, from, first+uint64(i))
		dice := rand.New(rand.NewPCG(first+uint64(i), 3))
		c := startChild(t, filepath.Join(at, "komondor.db"), repeatVariable+"=1", fmt.Sprint(seedVariable, "=", first+uint64(i)))
		c.awaitMore(t, 0)
		for range 5 {
			disk.Fail(failures(dice))
			time.Sleep(time.Duration(dice.IntN(20)) * time.Millisecond)
			before, relieved := c.acknowledged.Load(), time.Now()
			disk.Fail(nil)
			c.awaitMore(t, before)
			slowest = max(slowest, time.Since(relieved))
		}
		if dice.IntN(2) == 0 {
			disk.Fail(failures(dice))
			time.Sleep(time.Duration(dice.IntN(20)) * time.Millisecond)
		}
		disk.Cut()
		acknowledged := c.end()
		must(t, disk.Close())
		to := t.TempDir()
		must(t, disk.Survivors(to))
		if err := lossAfter(t, to, acknowledged); err != nil {
			t.Logf("cut %d of those from -seed %d: %v", i+1, first, err)
			lost++
			to = t.TempDir()
		}
		from = to
	}
	figure(t, fmt.Sprintf("writes that fail at random (EIO, ENOSPC), and %d power cuts among them: stores damaged, without an acknowledged record, or with one twice", *cuts), "0", lost, lost == 0)
	figure(t, "from a disk's relief to the next acknowledged record, at most", "10 s", slowest.Round(time.Millisecond), true)
}

// failures is a way in which a disk fails.
func failures(dice *rand.Rand) func(powercut.Op) syscall.Errno {
	switch dice.IntN(4) {
	case 0:
		return powercut.Full
	case 1:
		return powercut.Broken
	case 2:
		return func(op powercut.Op) syscall.Errno { // written, and never on the disk
			if op.Kind == powercut.Sync {
				return syscall.EIO
			}
			return 0
		}
	}
	own := rand.New(rand.NewPCG(dice.Uint64(), 4)) // used by the file system, with its lock held
	return func(powercut.Op) syscall.Errno {
		if own.IntN(8) == 0 {
			return syscall.EIO
		}
		return 0
	}
}
