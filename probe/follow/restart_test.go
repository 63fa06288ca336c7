package follow

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

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
			for name, age := range map[string]time.Duration{path + ".9": 24 * time.Hour, path: time.Minute} {
				must(t, os.Chtimes(name, time.Time{}, time.Now().Add(-age)))
			}
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

// schemes are ways to rotate the log at path for the nth time.
var schemes = map[string]func(t *testing.T, path string, n int){
	"shifting numbers": func(t *testing.T, path string, n int) {
		for ; n > 1; n-- {
			must(t, os.Rename(fmt.Sprintf("%s.%d", path, n-1), fmt.Sprintf("%s.%d", path, n)))
		}
		must(t, os.Rename(path, path+".1"))
	},
	"rising numbers": func(t *testing.T, path string, n int) {
		must(t, os.Rename(path, fmt.Sprintf("%s.%d", path, n)))
	},
	"dates": func(t *testing.T, path string, n int) {
		must(t, os.Rename(path, fmt.Sprintf("%s-202611%02d", path, n)))
	},
}

// Stopping after every single line and starting again gives every line once,
// while the log is rotated up to four times in between.
func TestRestartAfterEveryLine(t *testing.T) {
	const lines = 60
	stop := errors.New("stop")
	began := time.Now().Add(-time.Hour)
	for name, rotate := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "auth.log")
			var pos Position
			for want, n := 0, 0; want < lines; want++ {
				for ; n < 2*(want+1) && n < lines; n++ {
					if n%7 == 6 {
						rotate(t, path, n/7+1)
					}
					appendTo(t, path, fmt.Sprintln("line", n))
					must(t, os.Chtimes(path, time.Time{}, began.Add(time.Duration(n)*time.Second)))
				}
				var got string
				err := Open(path, Options{From: pos}).Run(t.Context(), func(l Line) error {
					got, pos = string(l.Bytes), l.End
					return stop
				})
				if err != stop || got != fmt.Sprint("line ", want) {
					t.Fatalf("got %q, %v, want line %d", got, err, want)
				}
			}
		})
	}
}

// In one run no file is read again, even if neither names nor times can tell
// which came first.
func TestEveryLineOnce(t *testing.T) {
	noon := time.Now().Add(-time.Hour)
	for name, rotate := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "auth.log")
			fl := start(t, path, Options{Poll: 5 * time.Millisecond})
			var want []string
			for n := range 25 {
				if n > 0 && n%5 == 0 {
					rotate(t, path, n/5)
				}
				want = append(want, fmt.Sprint("line ", n))
				appendTo(t, path, want[n]+"\n")
				must(t, os.Chtimes(path, time.Time{}, noon))
				fl.wantLines(want...)
			}
			fl.stop()
			rotations := slices.DeleteFunc(fl.notices, func(n string) bool { return !strings.Contains(n, "rotated after") })
			if len(rotations) != 4 {
				t.Errorf("not one notice for each rotation: %q", rotations)
			}
		})
	}
}
