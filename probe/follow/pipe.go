package follow

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// pipe reads what cannot be followed, standard input or a FIFO, and gives up
// when ctx ends: a read that waits could not be interrupted.
type pipe struct {
	ctx context.Context
	fd  int
}

func (p pipe) Read(buf []byte) (int, error) {
	for {
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, 100) // milliseconds
		if ready == 0 || err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait for input: %w", err)
		}
		n, err := unix.Read(p.fd, buf)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return 0, fmt.Errorf("read input: %w", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// runPipe hands on everything up to the end of a pipe. The first writer of a
// FIFO is waited for.
func (f *File) runPipe(ctx context.Context, handle func(Line) error) error {
	fd := unix.Stdin
	if f.path != "-" {
		var err error
		if fd, err = unix.Open(f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("follow %q: %w", f.path, Explain(f.path, err))
		}
		defer unix.Close(fd)
	}
	err := Lines(ctx, pipe{ctx, fd}, f.opts.MaxLine, func(l Line) error {
		l.End = Position{}
		return handle(l)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
