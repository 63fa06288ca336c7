package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/komondor/komondor/event"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a store and checks it with bbolt's own means at the end.
func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	must(t, err)
	t.Cleanup(func() {
		if s.db.Path() != "" { // not closed yet
			checkPages(t, s)
			must(t, s.Close())
		}
	})
	return s
}

func checkPages(t testing.TB, s *Store) {
	t.Helper()
	must(t, pagesWrong(s))
}

func pagesWrong(s *Store) error {
	return s.view("check", func(tx *bbolt.Tx) (err error) {
		for problem := range tx.Check() {
			err = errors.Join(err, problem)
		}
		return err
	})
}

func newStore(t testing.TB) *Store {
	return open(t, filepath.Join(t.TempDir(), "data", "komondor.db"))
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func failedLogin(at time.Time, line int64) event.Event {
	return event.Event{
		Time: at, Kind: event.SSHLoginFailed, Severity: 2, Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 40022},
		Target: event.Endpoint{Addr: netip.MustParseAddr("198.51.100.1"), Port: 22},
		User:   "root", Attempt: "1234", Sensor: "sshd", File: "/var/log/auth.log", Line: line,
	}
}

func eventLines(t testing.TB, s *Store, from, to time.Time) (lines []int64) {
	t.Helper()
	must(t, s.Events(t.Context(), from, to, func(e event.Event) error {
		lines = append(lines, e.Line)
		return nil
	}))
	return lines
}

func TestArchive(t *testing.T) {
	s := newStore(t)
	times := []time.Time{noon.Add(time.Second), noon, noon, {}, time.Unix(-5, 0), noon.Add(time.Hour)}
	var events []event.Event
	for i, at := range times {
		events = append(events, failedLogin(at, int64(i)))
	}
	must(t, s.Append(events[:3], map[string][]byte{"/var/log/auth.log": []byte("three")}))
	must(t, s.Append(events[3:], nil))
	must(t, s.Append(nil, nil))

	for _, tc := range []struct {
		from, to time.Time
		want     []int64
	}{
		{time.Time{}, time.Time{}, []int64{3, 4, 1, 2, 0, 5}},
		{noon, time.Time{}, []int64{1, 2, 0, 5}},
		{noon, noon.Add(time.Second), []int64{1, 2}},
		{time.Time{}, noon, []int64{3, 4}},
		{noon.Add(2 * time.Hour), time.Time{}, nil},
	} {
		if got := eventLines(t, s, tc.from, tc.to); !slices.Equal(got, tc.want) {
			t.Errorf("from %v to %v: %v, want %v", tc.from, tc.to, got, tc.want)
		}
	}
	must(t, s.Events(t.Context(), noon, time.Time{}, func(e event.Event) error {
		want := events[1]
		if e.Time = e.Time.UTC(); e != want {
			t.Errorf("got %+v, want %+v", e, want)
		}
		return fs.SkipAll
	}))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Events(ctx, time.Time{}, time.Time{}, func(event.Event) error { cancel(); return nil })
	if err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}

	if pos, ok, err := s.Position("/var/log/auth.log"); string(pos) != "three" || !ok || err != nil {
		t.Errorf("position %q, %v, %v", pos, ok, err)
	}
	if _, ok, err := s.Position("other"); ok || err != nil {
		t.Errorf("position of an unknown log: %v, %v", ok, err)
	}

	n, err := s.Prune(noon)
	if left, countErr := s.CountEvents(); n != 2 || left != 4 || err != nil || countErr != nil {
		t.Errorf("pruned %d, left %d, %v, %v; want 2, 4", n, left, err, countErr)
	}
}

func TestArchiveOfMany(t *testing.T) {
	s := newStore(t)
	s.MaxEvents = 25_000
	for batch := range 30 {
		var events []event.Event
		for i := range 1000 {
			n := batch*1000 + i
			events = append(events, failedLogin(noon.Add(time.Duration(n)*time.Millisecond), int64(n)))
		}
		must(t, s.Append(events, nil))
	}
	lines := eventLines(t, s, time.Time{}, time.Time{})
	if len(lines) != 25_000 || lines[0] != 5_000 || !slices.IsSorted(lines) {
		t.Fatalf("%d events from %d, want the latest 25,000", len(lines), lines[0])
	}
	// fn may write while it reads.
	must(t, s.Events(t.Context(), noon, time.Time{}, func(e event.Event) error {
		if e.Line%5000 == 0 {
			return s.Blocks.Put(fmt.Sprint(e.Line), nil)
		}
		return nil
	}))
	n, err := s.Prune(noon.Add(28 * time.Second))
	if left, _ := s.CountEvents(); n != 23_000 || left != 2_000 || err != nil {
		t.Errorf("pruned %d, left %d, %v; want 23000, 2000", n, left, err)
	}
}

func TestVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "komondor.db")
	before := uint64(time.Now().UnixMicro())
	s := open(t, path)
	first, err := s.NextVersions(100)
	must(t, err)
	if first < before {
		t.Errorf("versions begin at %d, want the time of creation", first)
	}
	must(t, s.Close())
	s = open(t, path)
	next, err := s.NextVersions(1)
	must(t, err)
	if next != first+100 {
		t.Errorf("after a range of 100 from %d comes %d", first, next)
	}
	if _, err := s.NextVersions(1<<64 - 1); err == nil {
		t.Error("reserved more versions than there are")
	}
}

func TestAlerts(t *testing.T) {
	s := newStore(t)
	must(t, s.Alerts.Put(Alert{"a", noon, []byte("old")}))
	must(t, s.Alerts.Put(Alert{"b", noon.Add(time.Second), []byte("b")}))
	must(t, s.Alerts.Put(Alert{"a", noon.Add(time.Minute), []byte("new")}))
	list := func(walk func(func(string, time.Time, []byte) error) error) string {
		var out []string
		must(t, walk(func(id string, raised time.Time, record []byte) error {
			out = append(out, fmt.Sprintf("%s %v %s", id, raised.Sub(noon), record))
			return nil
		}))
		return strings.Join(out, ", ")
	}
	if got := list(s.Alerts.Newest); got != "a 1m0s new, b 1s b" {
		t.Errorf("newest first: %s", got)
	}
	if got := list(s.Alerts.Oldest); got != "b 1s b, a 1m0s new" {
		t.Errorf("oldest first: %s", got)
	}
	raised, record, ok, err := s.Alerts.Get("a")
	if !raised.Equal(noon.Add(time.Minute)) || string(record) != "new" || !ok || err != nil {
		t.Errorf("alert a: %v, %q, %v, %v", raised, record, ok, err)
	}
	if _, _, ok, err := s.Alerts.Get("c"); ok || err != nil {
		t.Errorf("an unknown alert: %v, %v", ok, err)
	}
}

func TestAlertsAreBounded(t *testing.T) {
	s := newStore(t)
	var group sync.WaitGroup
	const writers = 500
	for w := range writers {
		group.Go(func() {
			for i := w; i < MaxAlerts+100; i += writers {
				if err := s.Alerts.Put(Alert{fmt.Sprint(i), noon.Add(time.Duration(i) * time.Second), nil}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	n, newest := 0, ""
	must(t, s.Alerts.Newest(func(id string, _ time.Time, _ []byte) error {
		if n++; n == 1 {
			newest = id
		}
		return nil
	}))
	if n != MaxAlerts || newest != fmt.Sprint(MaxAlerts+99) {
		t.Errorf("%d alerts, newest %s", n, newest)
	}
	if _, _, ok, _ := s.Alerts.Get("0"); ok {
		t.Error("the oldest alert is still there")
	}
}

func TestTable(t *testing.T) {
	s := newStore(t)
	must(t, s.Blocks.PutAll(map[string][]byte{"192.0.2.1/32": []byte("one"), "2001:db8::/64": []byte("two"), "x": nil}))
	must(t, s.Blocks.Put("192.0.2.1/32", []byte("uno")))
	must(t, s.Blocks.Delete("x", "not there"))
	var got []string
	must(t, s.Blocks.Each(func(key string, value []byte) error {
		got = append(got, key+"="+string(value))
		return nil
	}))
	if want := []string{"192.0.2.1/32=uno", "2001:db8::/64=two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n, err := s.Blocks.Len(); n != 2 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if v, ok, err := s.Blocks.Get("2001:db8::/64"); string(v) != "two" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", v, ok, err)
	}
	if err := s.Allow.Put("", nil); err == nil || !strings.Contains(err.Error(), "allow") {
		t.Errorf("an empty key: %v", err)
	}
	if n, _ := s.Allow.Len(); n != 0 {
		t.Errorf("%d records after a failure", n)
	}
}

func TestFullTable(t *testing.T) {
	s := newStore(t)
	s.Peers.limit = 3
	for i := range 3 {
		must(t, s.Peers.Put(fmt.Sprint(i), []byte("v")))
	}
	if err := s.Peers.Put("3", nil); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "limit of 3") {
		t.Errorf("a fourth record: %v", err)
	}
	must(t, s.Peers.Put("2", []byte("again")))
	must(t, s.Peers.Delete("0"))
	must(t, s.Peers.Put("3", nil))
}

// Writes that fail take nobody else's with them.
func TestWritersTogether(t *testing.T) {
	s := newStore(t)
	s.Peers.limit = 500
	var group sync.WaitGroup
	var lock sync.Mutex
	full := 0
	for w := range 20 {
		group.Go(func() {
			for i := range 50 {
				err := s.Peers.Put(fmt.Sprint(w, i), nil)
				if errors.Is(err, ErrFull) {
					lock.Lock()
					full++
					lock.Unlock()
				} else if err != nil {
					t.Error(err)
				}
				if err := s.Blocks.Put(fmt.Sprint(w, i), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	peers, _ := s.Peers.Len()
	blocks, _ := s.Blocks.Len()
	if peers != 500 || full != 500 || blocks != 1000 {
		t.Errorf("%d peers, %d refused, %d blocks; want 500, 500, 1000", peers, full, blocks)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "komondor.db")
	s := open(t, path)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	begin := time.Now()
	_, err = Open(path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another komondor runs with this --data") {
		t.Errorf("opened twice: %v", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("refused after %v", took)
	}
	must(t, s.Close())
	if err := s.Blocks.Put("a", nil); err == nil {
		t.Error("wrote to a closed store")
	}

	s = open(t, path)
	must(t, s.update("test", func(tx *bbolt.Tx) error { return putNumber(tx.Bucket(metaBucket), formatKey, 99) }))
	must(t, s.Close())
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "format is 99") {
		t.Errorf("a later format: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("opened a directory")
	}
}

func BenchmarkAppend(b *testing.B) {
	s := newStore(b)
	events := make([]event.Event, 1000)
	n := 0
	for b.Loop() {
		for i := range events {
			events[i] = failedLogin(noon.Add(time.Duration(n)*time.Millisecond), int64(n))
			n++
		}
		must(b, s.Append(events, map[string][]byte{"/var/log/auth.log": []byte("position")}))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	info, err := os.Stat(s.path)
	must(b, err)
	b.ReportMetric(float64(info.Size())/float64(n), "B/event")
}

func BenchmarkPut(b *testing.B) {
	s := newStore(b)
	for b.Loop() {
		must(b, s.Blocks.Put("192.0.2.1/32", []byte("record")))
	}
}

func BenchmarkEvents(b *testing.B) {
	s := newStore(b)
	events := make([]event.Event, 100_000)
	for i := range events {
		events[i] = failedLogin(noon.Add(time.Duration(i)*time.Millisecond), int64(i))
	}
	must(b, s.Append(events, nil))
	for b.Loop() {
		if n := len(eventLines(b, s, noon, time.Time{})); n != len(events) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N*len(events))/b.Elapsed().Seconds(), "events/s")
}

// TestPermission tells a file of somebody else's from a folder in which nothing may be made.
func TestPermission(t *testing.T) {
	s := &Store{path: "d/komondor.db"}
	for _, c := range []struct{ op, path, want string }{
		{"open", "d/komondor.db", "owner of the file"},
		{"stat", "d/komondor.db", "name a --data"}, // d may not be looked into
		{"mkdir", "d", "name a --data"},
		{"open", "d/komondor.db.new", "name a --data"},
	} {
		err := s.explain(&fs.PathError{Op: c.op, Path: c.path, Err: syscall.EACCES})
		if !strings.Contains(err.Error(), c.want) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s %s: got %v, want %s", c.op, c.path, err, c.want)
		}
	}
}
