package follow

import (
	"bytes"
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

func TestRotatedBeforeItWasSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "auth.log")
	appendTo(t, path+".1", "of a former life\n")
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path+".1", old, old))
	fl := start(t, path, Options{})
	fl.wantNotice("no such file")
	// Moved in at once, as if the follower had not been scheduled in between.
	appendTo(t, filepath.Join(dir, "first"), "one\n")
	appendTo(t, filepath.Join(dir, "second"), "two\n")
	must(t, os.Rename(path+".1", path+".2"))
	must(t, os.Rename(filepath.Join(dir, "first"), path+".1"))
	must(t, os.Rename(filepath.Join(dir, "second"), path))
	fl.wantLines("one", "two")
}

// A writer is slower to notice than the rotation: it writes on into the renamed
// file for a while each time. Two rotations in a row leave a file that never
// was the live one while anybody looked.
func TestRotationUnderWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "auth.log")
	const lines, rotations = 50_000, 8
	fl := start(t, path, Options{})
	fl.wantNotice("no such file") // it has looked: from here on no line may be lost
	create := func() *os.File {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		return file
	}
	rotate := func() {
		for i := rotations; i > 0; i-- {
			os.Rename(fmt.Sprintf("%s.%d", path, i), fmt.Sprintf("%s.%d", path, i+1))
		}
		must(t, os.Rename(path, path+".1"))
	}
	file := create()
	for i := range lines {
		switch i % (lines / rotations) {
		case 1000:
			rotate()
		case 1500: // 500 lines after the renaming
			file.Close()
			file = create()
		case 1600:
			if i > lines/2 {
				rotate()
				file.Close()
				file = create()
			}
		}
		fmt.Fprintf(file, "line %d of the log\n", i)
	}
	file.Close()
	fl.until("all lines", func() bool { return len(fl.lines) >= lines })
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for i, line := range fl.lines {
		if want := fmt.Sprintf("line %d of the log", i); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
	}
}

func TestRotationWithTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	old, err := os.Create(path)
	must(t, err)
	defer old.Close()
	fmt.Fprintln(old, "one")
	fl := start(t, path, Options{})
	fl.wantLines("one")
	must(t, os.Rename(path, path+"-20261122"))
	fmt.Fprintln(old, "two")
	fl.wantLines("one", "two")
	appendTo(t, path, "four\n")
	fmt.Fprint(old, "three") // stays without its newline
	fl.wantLines("one", "two", "three", "four")
	before := fl.last.End
	fmt.Fprintln(old, " and a late one")
	fl.wantLines("one", "two", "three", "four", " and a late one")
	if fl.last.End.identity() != before.identity() || fl.last.End.Offset != before.Offset {
		t.Errorf("a late line moved the position from %+v to %+v", before, fl.last.End)
	}
}

func TestCopyTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "one\ntwo\n")
	fl := start(t, path, Options{})
	fl.wantLines("one", "two")
	copyFile(t, path, path+".1")
	must(t, os.Truncate(path, 0))
	fl.wantNotice("truncated after line 2")
	appendTo(t, path, "three\n")
	fl.wantLines("one", "two", "three")

	// Grown beyond the old size before anybody looks.
	must(t, os.Truncate(path, 0))
	appendTo(t, path, "a much longer line that ends beyond where reading stood\n")
	fl.until("the last line", func() bool { return strings.HasPrefix(fl.lines[len(fl.lines)-1], "a much") })
}

func TestRemovedAndRecreated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "one\nrest")
	fl := start(t, path, Options{})
	fl.wantLines("one")
	must(t, os.Remove(path))
	appendTo(t, path, "two\n")
	fl.wantLines("one", "rest", "two")
}

func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "current")
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o700))
	target := filepath.Join(dir, "d", "auth.log")
	must(t, os.Symlink("d/auth.log", path))
	fl := start(t, path, Options{})
	fl.wantNotice("no such file")
	appendTo(t, target, "one\n")
	fl.wantLines("one")
	must(t, os.Rename(target, target+".1"))
	appendTo(t, target, "two\n")
	fl.wantLines("one", "two")
	other := filepath.Join(dir, "d", "other.log")
	appendTo(t, other, "three\n")
	must(t, os.Symlink("d/other.log", path+".new"))
	must(t, os.Rename(path+".new", path))
	fl.wantLines("one", "two", "three")
	pos := fl.stop()
	appendTo(t, other, "four\n")
	start(t, path, Options{From: pos}).wantLines("four")
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
	if n := len(fl.notices); n != 1 {
		t.Errorf("%d notices: %q", n, fl.notices)
	}

	appendTo(t, path, "")
	must(t, os.Chmod(path, 0o640))
	got := remedy(path, &os.PathError{Op: "open", Path: path, Err: syscall.EACCES})
	if !strings.Contains(got, "to the group") {
		t.Errorf("remedy for a file of mode 0640: %q", got)
	}
}

// Following continues where it stopped, whatever happened to the files since.
func TestRestart(t *testing.T) {
	const first = "one\ntwo\n"
	for _, tc := range []struct {
		name      string
		meanwhile func(t *testing.T, path string)
		want      []string
		notice    string
	}{
		{"nothing", func(t *testing.T, path string) {}, nil, ""},
		{"written", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
		}, []string{"three"}, ""},
		{"rotated", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
			must(t, os.Rename(path, path+".1"))
			appendTo(t, path, "four\n")
		}, []string{"three", "four"}, "rotated"},
		{"rotated with a rest", func(t *testing.T, path string) {
			appendTo(t, path, "three")
			must(t, os.Rename(path, path+"-20261122"))
			appendTo(t, path, "four\n")
		}, []string{"three", "four"}, ""},
		{"rotated, no new file", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
			must(t, os.Rename(path, path+".1"))
		}, []string{"three"}, ""},
		{"rotated three times", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
			must(t, os.Rename(path, path+".3"))
			appendTo(t, path+".2", "four\n")
			appendTo(t, path+".1", "five\n")
			appendTo(t, path, "six\n")
		}, []string{"three", "four", "five", "six"}, ""},
		{"rotated with dates, clock set back", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"-20261120"))
			must(t, os.Remove(path+".9")) // another scheme's: only time could place it
			appendTo(t, path+"-20261121", "three\n")
			past := time.Now().Add(-time.Hour)
			must(t, os.Chtimes(path+"-20261121", past, past))
			appendTo(t, path, "four\n")
		}, []string{"three", "four"}, ""},
		{"rotated to an odd name", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
			must(t, os.Rename(path, filepath.Join(filepath.Dir(path), "saved")))
			appendTo(t, path, "four\n")
		}, []string{"three", "four"}, ""},
		{"a stranger whose name begins alike", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".1"))
			appendTo(t, path+".swp", "no log\n")
			appendTo(t, path+"ger", "no log\n")
			appendTo(t, path, "three\n")
		}, []string{"three"}, ""},
		{"removed and recreated", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			appendTo(t, path, "uno\n")
		}, []string{"uno"}, "line 2 of the file read last is lost"},
		{"removed and recreated longer", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			appendTo(t, path, "uno\ndue\ntre\nquattro\n")
		}, []string{"uno", "due", "tre", "quattro"}, "lost"},
		{"copied and truncated", func(t *testing.T, path string) {
			appendTo(t, path, "three\n")
			copyFile(t, path, path+".1")
			must(t, os.Truncate(path, 0))
			appendTo(t, path, "four\n")
		}, []string{"three", "four"}, ""},
		{"truncated", func(t *testing.T, path string) {
			must(t, os.Truncate(path, 0))
			appendTo(t, path, "four\n")
		}, []string{"four"}, "lost"},
		{"copied, with the same beginning", func(t *testing.T, path string) {
			copyFile(t, path, path+".1")
			appendTo(t, path, "three\n")
		}, []string{"three"}, ""},
		{"moved to another device number", func(t *testing.T, path string) {
			copyFile(t, path, path+".tmp")
			must(t, os.Rename(path+".tmp", path))
			appendTo(t, path, "three\n")
		}, []string{"three"}, ""},
		{"rotated and compressed", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			appendTo(t, path+".2.gz", "\x1f\x8b")
			appendTo(t, path+".1", "four\n")
			appendTo(t, path, "five\n")
		}, []string{"four", "five"}, "auth.log.2.gz were not read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "auth.log")
			appendTo(t, path+".9", "from the distant past\n")
			appendTo(t, path, first)
			fl := start(t, path, Options{})
			fl.wantLines("one", "two")
			pos := fl.stop()
			tc.meanwhile(t, path)
			fl = start(t, path, Options{From: pos})
			if tc.want != nil {
				fl.wantLines(tc.want...)
			}
			if tc.notice != "" {
				fl.wantNotice(tc.notice)
			}
			// Nothing more comes: the next line is the next to be handed on.
			appendTo(t, path, "the end\n")
			fl.wantLines(append(tc.want, "the end")...)
		})
	}
}

// Stopping after every single line and starting again gives every line once,
// while the log is rotated.
func TestRestartAfterEveryLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	var pos Position
	var got bytes.Buffer
	stop := errors.New("stop")
	n := 0
	for want := range 60 {
		for ; n < 2*(want+1) && n < 60; n++ {
			if n%7 == 6 {
				must(t, os.Rename(path, fmt.Sprintf("%s-202611%02d", path, n)))
			}
			appendTo(t, path, fmt.Sprintln("line", n))
		}
		err := Open(path, Options{From: pos}).Run(t.Context(), func(l Line) error {
			fmt.Fprintf(&got, "%s\n", l.Bytes)
			pos = l.End
			return stop
		})
		if err != stop {
			t.Fatal(err)
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(got.String()), "\n") {
		if line != fmt.Sprint("line ", i) {
			t.Fatalf("got %q, want line %d", line, i)
		}
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
