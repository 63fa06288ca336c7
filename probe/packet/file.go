package packet

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// File is a capture: pcap or pcapng of either byte order, gzip'd or not. It is read as
// a stream, through one buffer that no length in the file makes grow, so a capture of
// any size costs the same memory, and one that is still being written can come through
// a pipe. It is not safe for concurrent use.
type File struct {
	r       *bufio.Reader
	format  format
	frame   frame
	decoder decoder
}

// format reads one kind of capture.
type format interface {
	// next reads the next frame, whose data is valid until the next call. io.EOF is the
	// end between two packets, io.ErrUnexpectedEOF one within.
	next(r *bufio.Reader, f *frame) error
}

// maxFrame is the largest packet there is in a capture, in bytes: tcpdump's and
// Wireshark's bound too.
const maxFrame = 256 << 10

// bufferSize is room for the largest packet with its header.
const bufferSize = maxFrame + 4<<10

// Open reads the beginning of a capture.
func Open(r io.Reader) (*File, error) {
	f := &File{r: bufio.NewReaderSize(r, bufferSize)}
	if magic, _ := f.r.Peek(2); string(magic) == "\x1f\x8b" {
		unzip, err := gzip.NewReader(f.r)
		if err != nil {
			return nil, fmt.Errorf("capture: it begins as gzip does, and is damaged: %w", err)
		}
		f.r = bufio.NewReaderSize(unzip, bufferSize)
	}
	magic, err := f.r.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("capture: it is too short to be one (%d bytes): %w", len(magic), err)
	}
	switch binary.LittleEndian.Uint32(magic) {
	case sectionHeader:
		f.format = &pcapng{}
	default:
		if f.format, err = openPcap(f.r); err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
	}
	return f, nil
}

// Each hands on the packets one after the other, in the capture's order. It returns nil
// at the capture's end, ctx's error when that ends first, and the error of handle as it
// is. A capture that is cut off or damaged is an error too, after the packets before. A
// pipe that says nothing holds it up: who wants it to end then closes the pipe.
func (f *File) Each(ctx context.Context, handle func(*Packet) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.format.next(f.r, &f.frame); err != nil {
			return f.ended(err)
		}
		if p := f.decoder.decode(&f.frame); p != nil {
			if err := handle(p); err != nil {
				return err
			}
		}
	}
}

// ended says how a capture ended, if otherwise than it should.
func (f *File) ended(err error) error {
	n := f.decoder.stats.Read
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("capture: it is cut off within packet %d; %d packets were read: %w", n+1, n, err)
	case errors.Is(err, io.EOF):
		return nil
	}
	return fmt.Errorf("capture: at packet %d, after %d that were read: %w", n+1, n, err)
}

// Stats says what became of the packets so far. It is for the goroutine that runs Each.
func (f *File) Stats() Stats { return f.decoder.stats }

// take returns the next n bytes, at most bufferSize, without a copy.
func take(r *bufio.Reader, n int) ([]byte, error) {
	b, err := r.Peek(n)
	if err != nil {
		if errors.Is(err, io.EOF) && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	_, err = r.Discard(n)
	return b, err
}

// inside is for what cannot be missing any more: an end here is not the capture's.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
