package follow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
	const lines, rotations = 50_000, 8 // and half as many again, two in a row
	fl := start(t, path, Options{})
	fl.wantNotice("no such file") // it has looked: from here on no line may be lost
	create := func() *os.File {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		return file
	}
	rotate := func() {
		for i := 2 * rotations; i > 0; i-- { // none is pushed out, however slow the reader
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
	// Writers that are not done yet are waited for; a future time makes that the
	// longest wait, so that a slow test is in time.
	must(t, os.Chtimes(path+"-20261122", time.Time{}, time.Now().Add(time.Hour)))
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
