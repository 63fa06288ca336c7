package follow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options of a File; the zero value is ready for use.
type Options struct {
	// From is the End of the last line that was dealt with. The zero Position
	// begins at the start of the file.
	From Position
	// MaxLine is the longest line in bytes; 0 means MaxLine (1 MiB).
	MaxLine int
	// Poll is how often to look without having been told by the kernel; 0 means
	// every second.
	Poll time.Duration
	// Notice is told once of each thing worth a line in our own log: rotation,
	// truncation, lines that are lost, and what is being waited for.
	Notice func(string)
	// Over is told of a notice whose state has lasted, and is over: what was waited for is there.
	Over func(notice string)
}

// File follows one log.
type File struct {
	path   string
	opts   Options
	places []place

	current *reader
	// late is the file before current: writers that do not know of the rotation
	// yet still add to it.
	late *reader
	// finished holds where reading ended in the files before current that are
	// still there.
	finished map[identity]Position

	waiting time.Time // since when there has been no file to begin with
	retired time.Time // when current replaced late
	// rotated is when the successor of current was first seen in use.
	rotated time.Time
	soon    bool   // look again after settle, not after Poll
	blind   bool   // the kernel does not tell of some directory
	told    string // the notice of a state that lasts; empty for none
}

// After a rotation the old file must have been quiet for settle before the new
// one is begun, unless it has had its writers for patience already. Late lines
// are read for lateness.
const (
	settle   = 200 * time.Millisecond
	patience = 5 * time.Second
	lateness = time.Minute
	// clockGrain is how far a file's time may be behind the clock.
	clockGrain = 10 * time.Millisecond
)

// Open prepares to follow the log at path; "-" is standard input. The log need
// not exist yet.
func Open(path string, opts Options) *File {
	if opts.Poll <= 0 {
		opts.Poll = time.Second
	}
	if opts.Notice == nil {
		opts.Notice = func(string) {}
	}
	if opts.Over == nil {
		opts.Over = func(string) {}
	}
	if !opts.From.valid() {
		opts.From = Position{}
	}
	if path != "-" {
		path = filepath.Clean(path)
	}
	return &File{path: path, opts: opts, finished: make(map[identity]Position)}
}

// Run hands on every line, first those that are there and then each as it is
// written. It returns nil when ctx ends or a pipe does, and the error of handle
// as it is. What can get better is waited for and noticed; a path that names a
// directory or a socket is an error.
func (f *File) Run(ctx context.Context, handle func(Line) error) error {
	if info, err := os.Stat(f.path); f.path == "-" || err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		return f.runPipe(ctx, handle)
	} else if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("follow %q: it is a directory or a socket; name a log file", f.path)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		f.opts.Notice(fmt.Sprintf("follow %q: %v: looking every %v only; raise fs.inotify.max_user_instances", f.path, err, f.opts.Poll))
		watcher = &fsnotify.Watcher{} // its nil channels never have anything
	} else {
		defer watcher.Close()
	}
	defer func() { f.current.close(); f.late.close() }()

	for moved := true; ctx.Err() == nil; moved = f.wait(ctx, watcher) {
		if moved {
			f.watch(watcher)
		}
		f.soon = false
		if err := f.advance(ctx, handle); err != nil {
			return err
		}
	}
	return nil
}

// watch asks for news of the log's directories, which may be other ones by now.
func (f *File) watch(watcher *fsnotify.Watcher) {
	f.places = places(f.path)
	if watcher.Events == nil {
		return
	}
	for _, p := range f.places {
		if err := watcher.Add(p.dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !f.blind {
			f.blind = true
			f.opts.Notice(fmt.Sprintf("watch %q: %v: looking every %v only; raise fs.inotify.max_user_watches", p.dir, err, f.opts.Poll))
		}
	}
}

// wait returns when there may be something to read, and whether files may have
// come or gone. An overflow of the kernel's queue is such news too.
func (f *File) wait(ctx context.Context, watcher *fsnotify.Watcher) (moved bool) {
	pause := f.opts.Poll
	if f.soon {
		pause = min(pause, settle/4)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-watcher.Errors: //nolint:errcheck // an overflow or a lost watch: we look for ourselves
			return true
		case e := <-watcher.Events:
			for _, p := range f.places {
				if strings.HasPrefix(filepath.Base(e.Name), p.base) {
					return !e.Has(fsnotify.Write)
				}
			}
		}
	}
}

// tell gives notice of a state that lasts, once.
func (f *File) tell(notice string) {
	if notice != f.told {
		f.told = notice
		f.opts.Notice(notice)
	}
}

// over says that what was told is over.
func (f *File) over() {
	if f.told != "" {
		f.opts.Over(f.told)
		f.told = ""
	}
}
