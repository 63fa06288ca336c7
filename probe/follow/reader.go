package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

var errTruncated = errors.New("file was truncated")

// reader reads one of the files that make up a log.
type reader struct {
	file  *os.File
	pos   Position // after the last line that was handed on
	read  int64    // pos.Offset and what waits in split
	head  []byte   // the first min(read, headSize) bytes
	probe [headSize]byte
	split *splitter
}

// openReader opens the file for reading from pos on, and from its beginning if
// pos was not taken in it.
func openReader(name string, pos Position, maxLine int) (*reader, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file, split: newSplitter(maxLine)}
	if err := r.seek(pos); err != nil {
		file.Close()
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return r, nil
}

func (r *reader) seek(pos Position) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	head := r.probe[:min(pos.Offset, headSize)]
	n, err := r.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !pos.headIn(head[:n], info.Size()) {
		pos = Position{}
	}
	id := identify(info)
	pos.Device, pos.Inode, pos.Modified = id.device, id.inode, info.ModTime().UnixNano()
	if _, err := r.file.Seek(pos.Offset, io.SeekStart); err != nil {
		return err
	}
	r.pos, r.read = pos, pos.Offset
	r.head = append(r.head[:0], head[:min(pos.Offset, headSize)]...)
	return nil
}

// drain hands on all complete lines up to the present end of the file.
func (r *reader) drain(ctx context.Context, handle func(Line) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
		before := r.split.end - r.split.start
		n, err := r.split.fill(r.file)
		if missing := headSize - len(r.head); missing > 0 {
			r.head = append(r.head, r.split.buf[before:][:min(n, missing)]...)
		}
		r.read += int64(n)
		for l := (Line{End: r.pos}); r.split.next(&l); {
			if err := r.hand(&l, handle); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// check returns errTruncated if the file is shorter than what was read of it, or
// begins otherwise: then it was truncated and has grown again since.
func (r *reader) check() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < r.read {
		return errTruncated
	}
	n, err := r.file.ReadAt(r.probe[:len(r.head)], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !same(r.head, r.probe[:n]) {
		return errTruncated
	}
	r.pos.Modified = info.ModTime().UnixNano()
	return nil
}

// flush hands on the last line, which has no newline and will get none.
func (r *reader) flush(handle func(Line) error) error {
	if l := (Line{End: r.pos}); r.split.rest(&l) {
		return r.hand(&l, handle)
	}
	return nil
}

func (r *reader) hand(l *Line, handle func(Line) error) error {
	if r.pos.Offset < headSize {
		l.End.Head = checksum(r.head[:min(l.End.Offset, headSize)])
	}
	r.pos = l.End
	return handle(*l)
}

func (r *reader) close() {
	if r != nil {
		r.file.Close()
	}
}
