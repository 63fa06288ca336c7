package follow

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// MaxLine is the default limit of a line in bytes, its ending not counted.
const MaxLine = 1 << 20

// Line is one line of a log.
type Line struct {
	// Bytes is the line without its ending ("\n" or "\r\n"), of a first line
	// Unmarked, and valid during the call only.
	Bytes []byte
	// Number counts from 1 in each file.
	Number int64
	// End is where reading goes on after this line. Lines knows its Offset and
	// its Lines only.
	End Position
	// Truncated says that the line was longer than the limit, and that what
	// lies beyond was skipped.
	Truncated bool
}

// Lines hands on all lines of r, a last one without newline too, and returns
// the first error of r, handle or ctx. Lines over maxLine bytes are cut (0
// means MaxLine); memory is bounded by twice the limit. Nothing is copied and
// nothing is allocated for a line.
func Lines(ctx context.Context, r io.Reader, maxLine int, handle func(Line) error) error {
	s := newSplitter(maxLine)
	var l Line
	for empty := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, readErr := s.fill(r)
		for s.next(&l) {
			if err := handle(l); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			if s.rest(&l) {
				return handle(l)
			}
			return nil
		}
		if readErr != nil {
			return readErr
		}
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 {
			return io.ErrNoProgress
		}
	}
}

// space is how much is read at once, in bytes.
const space = 128 << 10

// splitter cuts what it is filled with into lines, in a buffer that grows up to
// the longest allowed line.
type splitter struct {
	max     int
	buf     []byte
	start   int   // the first byte of the line in hand
	scanned int   // there is no newline from start to here
	end     int   // the end of what was read
	skipped int64 // bytes of the line in hand that were dropped at end
}

func newSplitter(maxLine int) *splitter {
	if maxLine <= 0 {
		maxLine = MaxLine
	}
	return &splitter{max: maxLine, buf: make([]byte, space)}
}

// fill reads once. It must be called only when next has no more.
func (s *splitter) fill(r io.Reader) (int, error) {
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.scanned -= s.start
		s.end -= s.start
		s.start = 0
	}
	if len(s.buf)-s.end < space/2 {
		larger := make([]byte, min(2*len(s.buf), s.max+1+space))
		copy(larger, s.buf[:s.end])
		s.buf = larger
	}
	n, err := r.Read(s.buf[s.end:])
	s.end += n
	return n, err
}

// next makes l the line after it, if that is complete. If not, it lets go of
// what the line in hand has beyond the limit, and one byte that may be its "\r".
func (s *splitter) next(l *Line) bool {
	i := bytes.IndexByte(s.buf[s.scanned:s.end], '\n')
	if i < 0 {
		if keep := s.start + s.max + 1; s.end > keep {
			s.skipped += int64(s.end - keep)
			s.end = keep
		}
		s.scanned = s.end
		return false
	}
	newline := s.scanned + i
	s.cut(l, newline)
	l.End.Offset++
	s.start, s.scanned, s.skipped = newline+1, newline+1, 0
	return true
}

// rest makes l what is left, if anything, and is empty afterwards.
func (s *splitter) rest(l *Line) bool {
	if s.start == s.end {
		return false
	}
	s.cut(l, s.end)
	s.start, s.scanned, s.end, s.skipped = 0, 0, 0, 0
	return true
}

func (s *splitter) cut(l *Line, end int) {
	line := s.buf[s.start:end]
	l.End.Offset += int64(len(line)) + s.skipped
	l.End.Lines++
	l.Number = l.End.Lines
	if n := len(line); n > 0 && line[n-1] == '\r' && s.skipped == 0 {
		line = line[:n-1]
	}
	if l.Truncated = len(line) > s.max; l.Truncated {
		line = line[:s.max]
	}
	if l.Number == 1 {
		line = Unmarked(line)
	}
	l.Bytes = line
}

// Unmarked is the beginning of a file without the byte order mark that programs
// of Windows put before UTF-8.
func Unmarked(begin []byte) []byte { return bytes.TrimPrefix(begin, []byte("\ufeff")) }
