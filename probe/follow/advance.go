package follow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// handlerError tells an error of the handler, which ends Run, from one of the
// file, which may pass.
type handlerError struct{ error }

// advance hands on all that there is, from file to file.
func (f *File) advance(ctx context.Context, handle func(Line) error) error {
	guarded := func(l Line) error {
		if err := handle(l); err != nil {
			return handlerError{err}
		}
		return nil
	}
	for {
		more, err := f.step(ctx, guarded)
		var failed handlerError
		switch {
		case errors.As(err, &failed):
			return failed.error
		case ctx.Err() != nil:
			return nil
		case err != nil:
			f.tell(fmt.Sprintf("follow %q: %v%s: trying on", f.path, err, remedy(f.path, err)))
			return nil
		case !more:
			return nil
		}
	}
}

// step reads the current file to its end and says whether another has taken its
// place.
func (f *File) step(ctx context.Context, handle func(Line) error) (more bool, err error) {
	if f.current == nil {
		if f.current, err = f.begin(); f.current == nil || err != nil {
			return false, err
		}
		f.told = ""
	}
	readErr := f.current.drain(ctx, handle)
	if errors.Is(readErr, errTruncated) {
		return true, f.truncated(handle)
	}
	if errors.As(readErr, new(handlerError)) || ctx.Err() != nil {
		return false, readErr
	}
	next, err := f.next()
	if next == nil || err != nil {
		return false, errors.Join(readErr, err, f.readLate(ctx, handle))
	}
	if err := f.retire(ctx, handle); err != nil {
		next.close()
		return false, err
	}
	f.opts.Notice(fmt.Sprintf("follow %q: rotated after line %d, going on with %s", f.path, f.late.pos.Lines, next.file.Name()))
	f.current, f.rotated, f.told = next, time.Time{}, ""
	return true, nil
}

// retire reads the current file to its end, where something may have been added
// before the next one was begun, and keeps it for late lines.
func (f *File) retire(ctx context.Context, handle func(Line) error) error {
	if err := f.current.drain(ctx, handle); errors.As(err, new(handlerError)) || ctx.Err() != nil {
		return err
	}
	if err := f.current.flush(handle); err != nil {
		return err
	}
	f.retired = time.Time{} // the lateness of the one before is over
	if err := f.readLate(ctx, handle); err != nil {
		return err
	}
	f.late, f.retired = f.current, time.Now()
	return nil
}

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
			return f.openNewer(list, Position{Modified: f.waiting.UnixNano()})
		}
		return openReader(f.path, from, f.opts.MaxLine)
	}
	if e, ok, err := find(list, from); err != nil {
		return nil, err
	} else if ok {
		return f.openEntry(e, from)
	}
	// The file at that inode, if any, is another one.
	r, err := f.openNewer(list, Position{Modified: from.Modified})
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
	newer := successors(list, pos)
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
	return f.openNewer(list, pos)
}

// openNewer opens the oldest file that is newer than the one at pos and that can
// be read, with notice of those that cannot.
func (f *File) openNewer(list []entry, pos Position) (*reader, error) {
	var lost []string
	for _, e := range successors(list, pos) {
		if e.compressed {
			lost = append(lost, fmt.Sprintf("follow %q: the lines of %s were not read: it is compressed already (logrotate: use delaycompress)", f.path, e.name))
			continue
		}
		r, err := f.openEntry(e, Position{})
		if err != nil && !e.live {
			lost = append(lost, fmt.Sprintf("follow %q: the lines of %s were not read: %v%s", f.path, e.name, err, remedy(e.name, err)))
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

// truncated goes on with the copy that was made before the truncation, if it has
// more, and else from the start.
func (f *File) truncated(handle func(Line) error) error {
	pos := f.current.pos
	list, err := siblings(f.path)
	if err != nil {
		return err
	}
	if e, ok := findCopy(list, pos); ok && e.size > pos.Offset {
		if r, err := f.openEntry(e, pos); r != nil && err == nil {
			f.opts.Notice(fmt.Sprintf("follow %q: truncated after line %d, reading on in its copy %s", f.path, pos.Lines, e.name))
			f.current.close()
			f.current = r
			return nil
		}
	}
	f.opts.Notice(fmt.Sprintf("follow %q: truncated after line %d, reading it from the start", f.path, pos.Lines))
	if err := f.current.flush(handle); err != nil {
		return err
	}
	return f.current.seek(Position{})
}

// readLate hands on what was added to the file before the current one. These
// lines have no Position of their own: the current file's stands.
func (f *File) readLate(ctx context.Context, handle func(Line) error) error {
	if f.late == nil {
		return nil
	}
	stand := func(l Line) error {
		l.End = f.current.pos
		return handle(l)
	}
	err := f.late.drain(ctx, stand)
	switch {
	case errors.As(err, new(handlerError)) || ctx.Err() != nil:
		return err
	case err == nil && time.Since(f.retired) < lateness:
		return nil
	}
	err = f.late.flush(stand)
	f.late.close()
	f.late = nil
	return err
}
