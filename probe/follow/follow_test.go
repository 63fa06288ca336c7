package follow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// follower runs a File and keeps what it hands on.
type follower struct {
	t       *testing.T
	cancel  context.CancelFunc
	done    chan error
	changed chan struct{} // has something whenever there is news

	mu      sync.Mutex
	lines   []string
	last    Line
	notices []string
}

func start(t *testing.T, path string, opts Options) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	fl := &follower{t: t, cancel: cancel, done: make(chan error, 1), changed: make(chan struct{}, 1)}
	opts.Notice = func(notice string) {
		fl.mu.Lock()
		fl.notices = append(fl.notices, notice)
		fl.mu.Unlock()
		fl.news()
	}
	f := Open(path, opts)
	go func() {
		fl.done <- f.Run(ctx, func(l Line) error {
			fl.mu.Lock()
			fl.lines = append(fl.lines, string(l.Bytes))
			fl.last = l
			fl.mu.Unlock()
			fl.news()
			return nil
		})
	}()
	t.Cleanup(func() { fl.stop() })
	return fl
}

func (fl *follower) news() {
	select {
	case fl.changed <- struct{}{}:
	default:
	}
}

// until waits for a condition on the follower's state, held under its lock.
func (fl *follower) until(what string, ok func() bool) {
	fl.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		fl.mu.Lock()
		met := ok()
		fl.mu.Unlock()
		if met {
			return
		}
		select {
		case <-fl.changed:
		case <-deadline:
			fl.mu.Lock()
			defer fl.mu.Unlock()
			fl.t.Fatalf("waited in vain for %s; %d lines, the last %.80q; notices %q", what, len(fl.lines), fl.last.Bytes, fl.notices)
		}
	}
}

func (fl *follower) wantLines(want ...string) {
	fl.t.Helper()
	fl.until(fmt.Sprintf("%d lines", len(want)), func() bool { return len(fl.lines) >= len(want) })
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if got := strings.Join(fl.lines, "|"); got != strings.Join(want, "|") {
		fl.t.Fatalf("got %.500s\nwant %.500s", got, strings.Join(want, "|"))
	}
}

func (fl *follower) wantNotice(part string) {
	fl.t.Helper()
	fl.until("notice "+part, func() bool { return strings.Contains(strings.Join(fl.notices, "\n"), part) })
}

// stop ends Run and returns where to go on, through its encoding.
func (fl *follower) stop() Position {
	fl.t.Helper()
	fl.cancel()
	if fl.done != nil {
		if err := <-fl.done; err != nil {
			fl.t.Errorf("Run: %v", err)
		}
		fl.done = nil
	}
	data, err := event.Encode(fl.last.End)
	if err != nil {
		fl.t.Fatal(err)
	}
	var pos Position
	if err := event.Decode(data, &pos); err != nil {
		fl.t.Fatal(err)
	}
	return pos
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = file.WriteString(text)
	must(t, err)
	must(t, file.Close())
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o600))
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	fl := start(t, path, Options{})
	fl.wantNotice("no such file")
	appendTo(t, path, "one\r\ntw")
	fl.wantLines("one")
	appendTo(t, path, "o\n\nnul \x00 byte\n")
	fl.wantLines("one", "two", "", "nul \x00 byte")
	if n := fl.last.Number; n != 4 {
		t.Errorf("line number %d, want 4", n)
	}
}

func TestLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	fl := start(t, path, Options{})
	long := strings.Repeat("x", 10<<20)
	appendTo(t, path, "before\n"+long)
	fl.wantLines("before")
	appendTo(t, path, "\nafter\n")
	fl.wantLines("before", long[:MaxLine], "after")
	if want := int64(len("before\n") + len(long) + len("\nafter\n")); fl.last.End.Offset != want || fl.last.Number != 3 {
		t.Errorf("ends at line %d, offset %d, want 3, %d", fl.last.Number, fl.last.End.Offset, want)
	}
}

// inotify does not tell of writes through another directory's name for the file.
func TestPoll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "one\n")
	hidden := filepath.Join(t.TempDir(), "hidden")
	must(t, os.Link(path, hidden))
	fl := start(t, path, Options{Poll: 10 * time.Millisecond})
	fl.wantLines("one")
	appendTo(t, hidden, "two\n")
	fl.wantLines("one", "two")
}

func TestQueueOverflow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "auth.log")
	var want []string
	blocked, release := make(chan struct{}), make(chan struct{})
	var got []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	appendTo(t, path, "0\n")
	go func() {
		done <- Open(path, Options{Poll: time.Hour}).Run(ctx, func(l Line) error {
			if got = append(got, string(l.Bytes)); len(got) == 1 {
				close(blocked)
				<-release
			}
			if len(got) == 20_000 {
				cancel()
			}
			return nil
		})
	}()
	<-blocked
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()
	noise, err := os.Create(path + "noise")
	must(t, err)
	defer noise.Close()
	for i := range 20_000 { // over the 16,384 events that the kernel keeps
		want = append(want, fmt.Sprint(i))
		if i > 0 {
			fmt.Fprintln(file, i)
			noise.WriteString("x")
		}
	}
	close(release)
	must(t, <-done)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %d lines, not the %d written", len(got), len(want))
	}
}

func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(path, 0o600))
	var got []string
	done := make(chan error, 1)
	go func() {
		done <- Open(path, Options{}).Run(t.Context(), func(l Line) error {
			got = append(got, string(l.Bytes))
			return nil
		})
	}()
	appendTo(t, path, "one\ntwo")
	must(t, <-done)
	if strings.Join(got, " ") != "one two" {
		t.Errorf("got %q", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- Open(path, Options{}).Run(ctx, nil) }()
	cancel()
	must(t, <-done)
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Open(dir, Options{}).Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("following a directory: %v", err)
	}
	path := filepath.Join(dir, "auth.log")
	appendTo(t, path, "one\ntwo\n")
	stop := errors.New("stop")
	if err := Open(path, Options{}).Run(t.Context(), func(Line) error { return stop }); err != stop {
		t.Errorf("Run returned %v, want the handler's error", err)
	}
}

func TestUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	must(t, os.Symlink("auth.log", path)) // a loop
	fl := start(t, path, Options{Poll: 5 * time.Millisecond})
	fl.wantNotice("too many levels")
	appendTo(t, path+".new", "one\n")
	must(t, os.Rename(path+".new", path))
	fl.wantLines("one")
	fl.stop()
	if n := strings.Count(strings.Join(fl.notices, "\n"), "too many levels"); n != 1 {
		t.Errorf("told %d times: %q", n, fl.notices)
	}
}

func BenchmarkLatency(b *testing.B) {
	path := filepath.Join(b.TempDir(), "auth.log")
	file, err := os.Create(path)
	must(b, err)
	defer file.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	handled, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- Open(path, Options{}).Run(ctx, func(Line) error {
			handled <- struct{}{}
			return nil
		})
	}()
	for b.Loop() {
		file.WriteString("Nov 22 05:03:00 host sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2\n")
		<-handled
	}
	cancel()
	must(b, <-done)
}
