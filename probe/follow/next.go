package follow

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// begin opens the file to start with: the one that was being read, or what
// followed it; without a Position the live one. It returns nil if there is none.
func (f *File) begin() (*reader, error) {
	list, err := siblings(f.path)
	if err != nil {
		return nil, err
	}
	from := f.opts.From
	if from == (Position{}) {
		if len(list) == 0 || !list[0].live {
			if f.waiting.IsZero() {
				f.waiting = time.Now().Add(-clockGrain)
			}
			f.tell(fmt.Sprintf("follow %q: waiting for it: no such file yet", f.path))
			return nil, nil
		}
		if !f.waiting.IsZero() { // it may have come and been rotated already
			return f.openNewer(successors(list, Position{Modified: f.waiting.UnixNano()}))
		}
		return openReader(f.path, from, f.opts.MaxLine)
	}
	if e, ok, err := find(list, from); err != nil {
		return nil, err
	} else if ok {
		return f.openEntry(e, from)
	}
	// The file at that inode, if any, is another one.
	r, err := f.openNewer(successors(list, Position{Modified: from.Modified}))
	if r != nil {
		f.opts.Notice(fmt.Sprintf("follow %q: what followed line %d of the file read last is lost: that file was removed, truncated, compressed or closed to us meanwhile (logrotate: use delaycompress)", f.path, from.Lines))
	} else if err == nil {
		f.tell(fmt.Sprintf("follow %q: waiting for it: no such file yet", f.path))
	}
	return r, err
}

// next opens the file that follows the current one, when that is finished; it
// returns nil while it is not.
func (f *File) next() (*reader, error) {
	pos := f.current.pos
	info, err := os.Stat(f.path)
	if err == nil && identify(info) == pos.identity() {
		f.rotated = time.Time{}
		return nil, nil
	}
	list, err := siblings(f.path)
	if err != nil {
		return nil, err
	}
	newer := f.unread(successors(list, pos))
	if len(newer) == 0 || newer[0].live && newer[0].size == 0 { // no writer has begun it yet
		return nil, nil
	}
	if now := time.Now(); newer[0].live {
		if f.rotated.IsZero() {
			f.rotated = now
		}
		if now.Sub(time.Unix(0, pos.Modified)) < settle && now.Sub(f.rotated) < patience {
			f.soon = true
			return nil, nil
		}
	}
	f.forget(list)
	return f.openNewer(newer)
}

// unread leaves out what was finished in this run, whatever its name and its
// times say now. An inode may belong to another file since, and the log's own
// name always leads on.
func (f *File) unread(newer []entry) []entry {
	return slices.DeleteFunc(newer, func(e entry) bool {
		end, ok := f.finished[e.id]
		if !ok || e.live {
			return false
		}
		head, err := readHead(e.name)
		return err == nil && end.headIn(head, e.size)
	})
}

// forget drops what is known of files that are gone.
func (f *File) forget(list []entry) {
	maps.DeleteFunc(f.finished, func(id identity, _ Position) bool {
		return !slices.ContainsFunc(list, func(e entry) bool { return e.id == id })
	})
}

// openNewer opens the first file that can be read, with notice of those that
// cannot.
func (f *File) openNewer(newer []entry) (*reader, error) {
	var lost []string
	for _, e := range newer {
		if e.compressed {
			lost = append(lost, fmt.Sprintf("follow %q: the lines of %s were not read: it is compressed already (logrotate: use delaycompress)", f.path, e.name))
			continue
		}
		r, err := f.openEntry(e, f.finished[e.id]) // it may have got the log's name back
		if err != nil && !e.live && !starved(err) {
			lost = append(lost, fmt.Sprintf("follow %q: the lines of %s were not read: %v", f.path, e.name, Explain(e.name, err)))
			continue
		}
		if r != nil {
			for _, notice := range lost {
				f.opts.Notice(notice)
			}
		}
		return r, err
	}
	return nil, nil
}

// openEntry opens a listed file, or nothing if its name has gone to another one
// since.
func (f *File) openEntry(e entry, pos Position) (*reader, error) {
	r, err := openReader(e.name, pos, f.opts.MaxLine)
	if errors.Is(err, os.ErrNotExist) || err == nil && r.pos.identity() != e.id {
		r.close()
		f.soon = true
		return nil, nil
	}
	return r, err
}
