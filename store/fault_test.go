package store

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/event"
)

var kills = flag.Int("kills", 50, "how often TestKill kills the writer")

// The child that gets killed is told by the environment: where its store is, a
// seed for what it writes, whether it is the mutant that does not wait for the
// disk, and whether it tries again what has failed, as a node does.
const (
	childVariable  = "KOMONDOR_STORE_TEST_CHILD"
	seedVariable   = "KOMONDOR_STORE_TEST_SEED"
	mutantVariable = "KOMONDOR_STORE_TEST_NOSYNC"
	repeatVariable = "KOMONDOR_STORE_TEST_REPEAT"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		os.Exit(appendForEver(path))
	}
	os.Exit(m.Run())
}

// maxKept is how many events the child keeps. From then on each of its writes deletes
// as well, and takes pages that were freed; and a check reads no more after a thousand
// kills than after ten.
const maxKept = 20_000

// appendForEver is the child: it says what was acknowledged.
func appendForEver(path string) int {
	s, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.MaxEvents, s.db.NoSync = maxKept, os.Getenv(mutantVariable) != ""
	chosen, _ := strconv.ParseUint(os.Getenv(seedVariable), 10, 64) // none is as good
	dice := rand.New(rand.NewPCG(chosen, 1))
	n, err := written(s)
	try := func(write func() error) {
		if err != nil {
			return
		}
		for err = write(); err != nil && os.Getenv(repeatVariable) != ""; err = write() {
			time.Sleep(time.Millisecond)
		}
	}
	for err == nil {
		var events []event.Event
		for range 1 + dice.IntN(300) {
			n++
			events = append(events, failedLogin(noon.Add(time.Duration(n)*time.Millisecond), int64(n)))
		}
		var version uint64
		try(func() (err error) { version, err = s.NextVersions(10); return err })
		try(func() error { return s.Blocks.Put("version", strconv.AppendUint(nil, version, 10)) })
		try(func() error { return s.Append(events, map[string][]byte{"log": strconv.AppendInt(nil, int64(n), 10)}) })
		if err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// written is how many events the children of a store have appended, by the position
// that is stored with them.
func written(s *Store) (int, error) {
	position, ok, err := s.Position("log")
	if !ok || err != nil {
		return 0, err
	}
	return strconv.Atoi(string(position))
}

// child is a running appendForEver.
type child struct {
	*exec.Cmd
	acknowledged *atomic.Int64 // events, so far
	ended        chan struct{} // closed when that is all
	said         *bytes.Buffer // errors
}

func startChild(t *testing.T, path string, variables ...string) child {
	t.Helper()
	c := child{exec.Command(os.Args[0]), new(atomic.Int64), make(chan struct{}), new(bytes.Buffer)}
	c.Env = append(append(os.Environ(), childVariable+"="+path), variables...)
	c.Stderr = c.said
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	go func() {
		defer close(c.ended)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			if n, err := strconv.ParseInt(scanner.Text(), 10, 64); err == nil {
				c.acknowledged.Store(n)
			}
		}
	}()
	return c
}

// awaitMore waits until the child has more than n events acknowledged.
func (c child) awaitMore(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); c.acknowledged.Load() <= n; time.Sleep(time.Millisecond) {
		select {
		case <-c.ended:
			t.Fatalf("the child has ended: %s", c.said)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("nothing acknowledged for a minute: %s", c.said)
		}
	}
}

// end kills the child and returns how many events it said were acknowledged.
func (c child) end() int {
	_ = c.Process.Kill() // it may have ended by itself
	<-c.ended
	_ = c.Wait() // which tells of the kill
	return int(c.acknowledged.Load())
}

// loss says what is wrong with a store that a child wrote until it was
// interrupted, when that many events had been acknowledged.
func loss(t *testing.T, path string, acknowledged int) error {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := pagesWrong(s); err != nil {
		return err
	}
	n, err := written(s)
	if err != nil {
		return err
	}
	line, there := int64(max(n-maxKept, 0)), 0 // all before are deleted
	err = s.Events(t.Context(), time.Time{}, time.Time{}, func(e event.Event) error {
		there++
		if line++; e.Line != line {
			return fmt.Errorf("line %d is archived where line %d should be", e.Line, line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	counted, err := s.CountEvents()
	if err != nil {
		return err
	}
	if n < acknowledged || line != int64(n) || counted != there {
		return fmt.Errorf("%d acknowledged, position %d, the last of line %d, %d there of %d counted", acknowledged, n, line, there, counted)
	}
	used, _, err := s.Blocks.Get("version")
	if err != nil {
		return err
	}
	next, err := s.NextVersions(1)
	if err != nil {
		return err
	}
	if v, _ := strconv.ParseUint(string(used), 10, 64); v > 0 && next < v+10 {
		return fmt.Errorf("versions from %s were reserved, and now %d again", used, next)
	}
	return nil
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "komondor.db")
	lost := 0
	for range *kills {
		c := startChild(t, path)
		c.awaitMore(t, 0)
		timer := time.NewTimer(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		<-timer.C // any moment will do
		if err := loss(t, path, c.end()); err != nil {
			t.Log(err, c.said)
			lost++
			must(t, os.Remove(path))
		}
	}
	figure(t, fmt.Sprintf("kill -9 while writing, %d times: stores damaged, or without an acknowledged record", *kills), "0", lost, lost == 0)
}

// figure reports what a fault did, as a row of the table that scripts/faults.sh shows.
func figure(t *testing.T, what, target string, measured any, ok bool) {
	t.Helper()
	t.Logf("fault | %s | %s | %v", what, target, measured)
	if !ok {
		t.Errorf("%s: want %s, measured %v", what, target, measured)
	}
}

func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("mounting a small tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "komondor.db")
	s := open(t, path)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 3<<20), 0o600))

	written := int64(0)
	batch := func() error {
		events := make([]event.Event, 500)
		for i := range events {
			events[i] = failedLogin(noon, written+int64(i))
		}
		err := s.Append(events, map[string][]byte{"log": fmt.Append(nil, written+500)})
		if err == nil {
			written += 500
		}
		return err
	}
	var err error
	for range 1000 {
		if err = batch(); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "no space left")) || !strings.Contains(err.Error(), "free space below "+dir) {
		t.Fatalf("on a full disk: %v", err)
	}
	consistent := func() {
		t.Helper()
		lines := eventLines(t, s, time.Time{}, time.Time{})
		position, _, err := s.Position("log")
		must(t, err)
		if int64(len(lines)) != written || string(position) != fmt.Sprint(written) {
			t.Fatalf("%d events and position %s, want %d", len(lines), position, written)
		}
	}
	for range 5 { // still full: still said, still readable
		if err := batch(); err == nil {
			t.Fatal("acknowledged on a full disk")
		}
	}
	consistent()
	must(t, os.Remove(ballast))
	must(t, batch())
	consistent()
	checkPages(t, s)
	must(t, s.Close())
	s = open(t, path)
	consistent()
}

// sample is the file of a store with something in every bucket.
func sample(t testing.TB, events int) []byte {
	path := filepath.Join(t.TempDir(), "komondor.db")
	s, err := Open(path)
	must(t, err)
	for n := 0; n < events; n += 500 {
		var batch []event.Event
		for i := range 500 {
			batch = append(batch, failedLogin(noon.Add(time.Duration(n+i)*time.Millisecond), int64(n+i)))
		}
		must(t, s.Append(batch, map[string][]byte{"log": []byte("position")}))
	}
	many := make(map[string][]byte)
	for i := range 500 {
		many[fmt.Sprint("record ", i)] = bytes.Repeat([]byte("v"), i)
	}
	must(t, s.Peers.PutAll(many))
	must(t, s.Blocks.Put("192.0.2.1/32", []byte("record")))
	must(t, s.Alerts.Put(Alert{"id", noon, []byte("record")}))
	_, err = s.Prune(noon.Add(400 * time.Millisecond))
	must(t, err)
	var size int64 // the file is larger: it grows ahead
	must(t, s.view("size", func(tx *bbolt.Tx) error { size = tx.Size(); return nil }))
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	return data[:size]
}

// use opens a file as a store and does what a node does: whatever the file is,
// this ends, without a panic.
func use(t testing.TB, path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	ignore := func(string, []byte) error { return nil }
	_, versionErr := s.NextVersions(1)
	_, pruneErr := s.Prune(noon.Add(time.Second))
	err = errors.Join(
		s.Events(t.Context(), time.Time{}, time.Time{}, func(event.Event) error { return nil }),
		s.Alerts.Newest(func(string, time.Time, []byte) error { return nil }),
		s.Blocks.Each(ignore), s.Peers.Each(ignore), s.Allow.Each(ignore),
		s.Append([]event.Event{failedLogin(noon, 1)}, map[string][]byte{"log": nil}),
		s.Peers.Put("new", make([]byte, 5000)), s.Peers.Delete("record 7"),
		s.Alerts.Put(Alert{"other", noon, nil}), versionErr, pruneErr)
	if closeErr := s.Close(); closeErr != nil {
		s.db = nil
		return errors.Join(err, closeErr)
	}
	return err
}

func TestDamagedFile(t *testing.T) {
	whole := sample(t, 1500)
	page := os.Getpagesize()
	changed := func(change func(data []byte)) []byte {
		data := bytes.Clone(whole)
		change(data)
		return data
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(data []byte) {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
	}
	for name, data := range map[string][]byte{
		"whole":             whole,
		"cut to a half":     whole[:len(whole)/2],
		"cut to three":      whole[:3*page],
		"cut to one":        whole[:page],
		"one byte":          {1},
		"text":              []byte(strings.Repeat("no database\n", 1000)),
		"random":            changed(noise),
		"zeroed":            make([]byte, len(whole)),
		"metas zeroed":      changed(func(d []byte) { clear(d[:2*page]) }),
		"all but the metas": changed(func(d []byte) { noise(d[2*page:]) }),
		"zeroed behind":     changed(func(d []byte) { clear(d[2*page:]) }),
	} {
		path := filepath.Join(t.TempDir(), "komondor.db")
		must(t, os.WriteFile(path, data, 0o600))
		_, err := Open(path)
		switch {
		case name == "whole":
			must(t, err)
		case err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move the file aside"):
			t.Errorf("%s: %v", name, err)
		}
	}
	// One page after the other: refused at once, or an error where it is met.
	refused, met := 0, 0
	for at := 2 * page; at+page <= len(whole); at += page {
		path := filepath.Join(t.TempDir(), "komondor.db")
		must(t, os.WriteFile(path, changed(func(d []byte) { clear(d[at : at+page]) }), 0o600))
		if s, err := Open(path); err != nil {
			refused++
		} else {
			must(t, s.Close())
			if use(t, path) != nil {
				met++
			}
		}
	}
	t.Logf("%d pages: %d refused at opening, %d met later", len(whole)/page-2, refused, met)
	if refused == 0 || met == 0 {
		t.Error("zeroed pages went unnoticed")
	}
}

func FuzzOpen(f *testing.F) {
	whole := sample(f, 500)
	f.Add(uint32(4096*2), []byte{1}, uint32(0), false)
	f.Add(uint32(16+24), []byte("\xff\xff"), uint32(5000), true)
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut uint32, hostile bool) {
		data := bytes.Clone(whole)
		at %= uint32(len(data))
		copy(data[at:], change)
		for meta := 0; meta < 2 && hostile; meta++ { // a checksum that fits the change
			page := data[meta*os.Getpagesize()+headerSize:]
			sum := fnv.New64a()
			sum.Write(page[:56])
			order.PutUint64(page[56:], sum.Sum64())
		}
		data = data[:len(data)-int(cut)%len(data)]
		path := filepath.Join(t.TempDir(), "komondor.db")
		must(t, os.WriteFile(path, data, 0o600))
		use(t, path)
	})
}

func TestRefusesSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "komondor.db")
	open(t, path)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+path)
	stderr, err := child.StderrPipe()
	must(t, err)
	must(t, child.Start())
	said, err := io.ReadAll(stderr)
	must(t, err)
	if err := child.Wait(); err == nil || !strings.Contains(string(said), "another komondor runs") {
		t.Errorf("a second process: %v, %s", err, said)
	}
}
