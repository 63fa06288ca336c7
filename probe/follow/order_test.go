package follow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What was rotated after the file at hand is found by names and times together.
func TestSuccessors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files string // as they were written, the earliest first
		self  string
		want  string
	}{
		{"shifting numbers", ".4 .3 .2 .1 live", ".3", ".2 .1 live"},
		{"shifting from zero", ".2 .1 .0 live", ".1", ".0 live"},
		{"shifting beyond nine", ".11 .10 .9 .8 live", ".10", ".9 .8 live"},
		{"shifting, an old file written to", ".5 .3 .2 .1 .4 live", ".2", ".1 live"},
		{"shifting, compressed", ".4.gz .3.gz .2 .1 live", ".2", ".1 live"},
		{"rising numbers", ".1 .2 .3 .4 .5 live", ".3", ".4 .5 live"},
		{"rising beyond nine", ".8 .9 .10 .11 live", ".9", ".10 .11 live"},
		{"rising beyond a thousand", ".1022 .1023 .1024 live", ".1022", ".1023 .1024 live"},
		{"rising, finished compressed", ".1.gz .2.gz .3 live", ".3", "live"},
		{"rising after a former shifting", ".7 .6 .5 .4 .8 live", ".8", "live"},
		{"dates", "-20261120 -20261121 -20261122 live", "-20261120", "-20261121 -20261122 live"},
		{"dates, clock set back", "-20261121 -20261122 -20261120 live", "-20261120", "-20261121 -20261122 live"},
		{"the log itself", ".2 .1 live", "live", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.log")
			name := func(suffix string) string { return path + strings.TrimPrefix(suffix, "live") }
			for i, suffix := range strings.Fields(tc.files) {
				at := time.Unix(1_795_000_000+int64(i), 0)
				appendTo(t, name(suffix), suffix)
				must(t, os.Chtimes(name(suffix), at, at))
			}
			list, err := siblings(path)
			must(t, err)
			info, err := os.Stat(name(tc.self))
			must(t, err)
			id := identify(info)
			var got []string
			for _, e := range successors(list, Position{Device: id.device, Inode: id.inode}) {
				if e.live {
					got = append(got, "live")
				} else {
					got = append(got, strings.TrimPrefix(e.name, path))
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("after %s come %q, want %q", tc.self, got, tc.want)
			}
		})
	}
}

// An inode is used again for another file, which is not the finished one.
func TestUnread(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path+".1", "one\n")
	list, err := siblings(path)
	must(t, err)
	f, id := Open(path, Options{}), list[0].id
	for _, tc := range []struct {
		finished string
		live     bool
		want     int
	}{
		{"one\n", false, 0},
		{"one\n", true, 1},
		{"uno\n", false, 1},
		{"one\ntwo\n", false, 1},
	} {
		f.finished[id] = Position{Device: id.device, Inode: id.inode, Offset: int64(len(tc.finished)), Head: checksum([]byte(tc.finished))}
		list[0].live = tc.live
		if got := f.unread(append([]entry(nil), list...)); len(got) != tc.want {
			t.Errorf("finished %q, live %v: %d files left, want %d", tc.finished, tc.live, len(got), tc.want)
		}
	}
	f.forget(list)
	if len(f.finished) != 1 {
		t.Error("forgot a file that is there")
	}
	if f.forget(nil); len(f.finished) != 0 {
		t.Error("remembers a file that is gone")
	}
}

// A finished file that gets the log's name back goes on where it ended.
func TestRenamedBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "one\n")
	fl := start(t, path, Options{Poll: 5 * time.Millisecond})
	fl.wantLines("one")
	must(t, os.Rename(path, path+".1"))
	appendTo(t, path, "two\n")
	fl.wantLines("one", "two")
	must(t, os.Rename(path+".1", path))
	fl.until("the way back", func() bool { return len(fl.notices) == 2 })
	appendTo(t, path, "three\n")
	fl.wantLines("one", "two", "three")
}
