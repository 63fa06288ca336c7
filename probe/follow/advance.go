package follow

import (
	"context"
	"errors"
	"fmt"
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
			f.tell(fmt.Sprintf("follow %q: %v: trying on", f.path, Explain(f.path, err)))
			return nil
		case !more:
			if f.current != nil {
				f.over()
			}
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
	f.current, f.rotated = next, time.Time{}
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
	if pos := f.late.pos; pos.Offset > 0 {
		f.finished[pos.identity()] = pos
	}
	return nil
}

// truncated goes on with the copy that was made before the truncation, if it has
// more, and else from the start.
func (f *File) truncated(handle func(Line) error) error {
	pos := f.current.pos
	list, err := siblings(f.path)
	if err != nil {
		return err
	}
	e, ok, err := findCopy(list, pos)
	if err != nil {
		return err
	}
	if ok && e.size > pos.Offset {
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
