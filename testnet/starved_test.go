package testnet

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/store/powercut"
)

var (
	faults = flag.Bool("faults", false, "run the faults in their long forms: make faults")
	seed   = flag.Uint64("seed", 0, "of the power cuts, to see a failure again; 0: another one each time")
)

// anySeed is the seed that was asked for, or another one.
func anySeed(t *testing.T) (chosen uint64) {
	defer func() { t.Logf("-seed %d", chosen) }()
	if *seed != 0 {
		return *seed
	}
	return rand.Uint64N(1_000_000) + 1
}

// figure reports what a fault did, as a row of the table that make faults shows.
// What takes time is shown and not judged: see await for that.
func figure(t *testing.T, what, target string, measured any) {
	t.Helper()
	t.Logf("fault | %s | %s | %v", what, target, measured)
}

// attacks is a log's attempts by one source, enough of them for an alert at home
// or a part of that.
func attacks(t *testing.T, log string, source string, times int) {
	t.Helper()
	addr := netip.MustParseAddr(source)
	for i := range times {
		write(t, log, addr, int(addr.As4()[3])*100+i)
	}
}

const (
	alone    = 6 // attempts that suffice for an alert at home
	together = 3 // at each of three nodes, for an alert of all
)

// TestDiskFails fills the disk of a whole node, or breaks it: the node detects,
// tells others and blocks as before, and does not say that anything was kept. When
// the disk is well again all of it is written, and a power cut takes nothing.
func TestDiskFails(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for name, failure := range map[string]func(powercut.Op) syscall.Errno{"full": powercut.Full, "broken": powercut.Broken} {
		t.Run(name, func(t *testing.T) { diskFails(t, name, failure) })
	}
}

func diskFails(t *testing.T, name string, failure func(powercut.Op) syscall.Errno) {
	chosen := anySeed(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "node1", "data")
	disk := mountAt(t, data, t.TempDir(), chosen)
	t.Cleanup(func() { _ = disk.Close() }) // after the processes; it is closed already where all goes well
	all := startIn(t, dir, 3, "observe")
	node, other := all[0], all[1]
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	blocked := func(p *Process, source string) {
		t.Helper()
		if _, err := p.AwaitBlock(ctx, source+"/32"); err != nil {
			t.Fatal(err)
		}
	}
	attacks(t, node.Log, "198.18.0.1", alone)
	blocked(node, "198.18.0.1")

	disk.Fail(failure)
	began := time.Now()
	for i := range 3000 { // the archive has to grow
		write(t, node.Log, netip.AddrFrom4([4]byte{198, 18, 100 + byte(i>>8), byte(i)}), 100_000+i)
	}
	attacks(t, node.Log, "198.18.0.2", alone)
	blocked(node, "198.18.0.2")
	for _, p := range all {
		attacks(t, p.Log, "198.18.0.3", together)
	}
	blocked(node, "198.18.0.3")
	blocked(other, "198.18.0.3")
	byHand := netip.MustParsePrefix("198.18.0.4/32")
	_, refused := node.Block(ctx, byHand, time.Hour, "by hand")
	if refused == nil && name == "broken" {
		t.Error("a block by hand is said to be kept on a disk that takes nothing")
	}
	alerts, err := node.Alerts(ctx)
	if err != nil || len(alerts) < 3 {
		t.Errorf("%d alerts shown, want those of three sources (%v)", len(alerts), err)
	}
	if _, err := node.Explain(ctx, netip.MustParseAddr("198.18.0.2")); err != nil {
		t.Errorf("explain: %v", err)
	}
	s, err := node.await(ctx, func(s control.Status) bool { return s.Counters.StoreFailures > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if s.Peers != 2 || s.Counters.EventsUnarchived != 0 {
		t.Errorf("%d peers, %d events missing from the archive", s.Peers, s.Counters.EventsUnarchived)
	}
	figure(t, "a disk "+name+": own detection, an alert of three nodes, both shown and blocked", "all", fmt.Sprintf("all, for %v, %d writes failed", time.Since(began).Round(time.Second), s.Counters.StoreFailures))

	recovery := quiet(ctx, t, disk, time.Now())
	figure(t, "from the disk's relief until all was written", "10 s", recovery.Round(time.Millisecond))

	disk.Cut()
	node.Kill()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	spared := t.TempDir()
	if err := disk.Survivors(spared); err != nil {
		t.Fatal(err)
	}
	disk = mountAt(t, data, spared, chosen+1)
	disk.Fail(failure)
	if err := node.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := node.await(ctx, func(control.Status) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"198.18.0.1", "198.18.0.2", "198.18.0.3"} {
		blocked(node, source)
	}
	if refused == nil {
		blocked(node, byHand.Addr().String())
	}
	kept, err := node.Alerts(ctx)
	if err != nil || len(kept) != len(alerts) {
		t.Errorf("%d alerts kept of %d (%v)", len(kept), len(alerts), err)
	}
	attacks(t, node.Log, "198.18.0.5", alone)
	blocked(node, "198.18.0.5")
	again, err := node.await(ctx, func(s control.Status) bool { return s.Counters.Events >= alone })
	if err != nil {
		t.Fatal(err)
	}
	if again.Node.ID != s.Node.ID || again.Counters.Events != alone {
		t.Errorf("it was %s and is %s, and has read %d events, not %d", s.Node.ID, again.Node.ID, again.Counters.Events, alone)
	}
	figure(t, "a power cut then, and a start with the disk "+name+" again: alerts lost, events read twice", "0, 0", fmt.Sprintf("%d, %d", len(alerts)-len(kept), again.Counters.Events-alone))
	quiet(ctx, t, disk, time.Now())
}

// mountAt makes the directory at one that fails.
func mountAt(t *testing.T, at, from string, seed uint64) *powercut.FS {
	t.Helper()
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	disk, err := powercut.Mount(at, from, seed)
	if powercut.Absent(err) {
		t.Skipf("no FUSE here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// quiet ends the disk's failure, waits until nothing is written any more, and
// returns how long there was something to write.
func quiet(ctx context.Context, t *testing.T, disk *powercut.FS, relieved time.Time) time.Duration {
	t.Helper()
	const enough = time.Second // nodes write what is new every 100 ms
	var last atomic.Int64      // since relieved
	disk.Fail(func(powercut.Op) syscall.Errno { last.Store(int64(time.Since(relieved))); return 0 })
	for last.Load() == 0 || time.Since(relieved)-time.Duration(last.Load()) < enough {
		select {
		case <-ctx.Done():
			t.Fatal("the disk is busy for ever, or not used again")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return time.Duration(last.Load())
}

// TestNoDescriptors takes a node's file descriptors away: it goes on with those
// that it has, and with all when it may open some again. Logs are rotated
// meanwhile, and a member comes back.
func TestNoDescriptors(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	all := start(t, 3, "observe")
	node, other := all[1], all[2]
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	raised := make(chan string, 100)
	following, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_ = node.Follow(following, func(a control.Alert) error { raised <- a.Key.Value; return nil })
	}()
	alerted := func(source string) {
		t.Helper()
		for {
			select {
			case about := <-raised:
				if about == source {
					return
				}
			case <-ctx.Done():
				t.Fatalf("no alert about %s\n%s", source, node.Stderr())
			}
		}
	}
	lines := 0
	for i, follows := 1, false; !follows; i++ { // attacks, until one is followed
		attacks(t, node.Log, fmt.Sprintf("198.18.9.%d", i), alone)
		lines += alone
		select {
		case <-raised:
			follows = true
		case <-time.After(time.Second):
		case <-ctx.Done():
			t.Fatalf("no alert is followed\n%s", node.Stderr())
		}
	}

	var before unix.Rlimit
	limit := func(to, old *unix.Rlimit) {
		t.Helper()
		if err := unix.Prlimit(node.cmd.Process.Pid, unix.RLIMIT_NOFILE, to, old); err != nil {
			t.Fatal(err)
		}
	}
	limit(nil, &before)
	limit(&unix.Rlimit{Cur: 0, Max: before.Max}, nil)
	began := time.Now()
	attack := func(source string, times int) {
		t.Helper()
		attacks(t, node.Log, source, times)
		lines += times
	}
	attack("198.18.0.2", alone)
	alerted("198.18.0.2")
	attack("198.18.0.3", together)
	attacks(t, all[0].Log, "198.18.0.3", together)
	attacks(t, other.Log, "198.18.0.3", together)
	alerted("198.18.0.3")
	if _, err := other.AwaitBlock(ctx, "198.18.0.3/32"); err != nil {
		t.Error(err)
	}
	for i, source := range []string{"198.18.0.4", "198.18.0.5"} {
		if i == 1 {
			rename(t, node.Log+".1", node.Log+".2")
		}
		rename(t, node.Log, node.Log+".1")
		if err := os.WriteFile(node.Log, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		attack(source, alone)
	}
	other.Kill()
	if err := other.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.await(ctx, func(s control.Status) bool { return s.Peers > 0 }); err != nil {
		t.Fatal(err)
	}
	figure(t, "no file descriptors: own detection, an alert of three nodes", "all", fmt.Sprintf("all, for %v", time.Since(began).Round(100*time.Millisecond)))

	limit(&before, nil)
	relieved := time.Now()
	for _, source := range []string{"198.18.0.4", "198.18.0.5"} {
		if _, err := node.AwaitBlock(ctx, source+"/32"); err != nil {
			t.Fatal(err)
		}
	}
	logs := time.Since(relieved)
	s, err := node.await(ctx, func(s control.Status) bool { return s.Peers == 2 })
	if err != nil {
		t.Fatal(err)
	}
	figure(t, "from their relief until two rotated logs were read and blocked by, and the member that came back was met", "10 s",
		fmt.Sprintf("%v, %v", logs.Round(time.Millisecond), time.Since(relieved).Round(time.Millisecond)))
	if s.Counters.Events != uint64(lines) {
		t.Errorf("%d events of %d lines", s.Counters.Events, lines)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
