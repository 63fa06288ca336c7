// Package authlog writes auth.log as Debian's rsyslogd does by default
// (RSYSLOG_FileFormat: RFC 3339 time with microseconds, host, tag, message).
package authlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// File is an auth.log that lines are added to. It is safe for concurrent use.
type File struct {
	host string
	mu   sync.Mutex // a time is taken and its line written in one step
	file *os.File
}

// Create makes the file at path, empty, for lines of a host of this name.
func Create(path, host string) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("auth.log: %w", err)
	}
	return &File{host: host, file: f}, nil
}

// Add writes one line; tagged is what a program hands to syslog, for instance
// "sshd[92]: Failed password …".
func (f *File) Add(tagged []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := time.Now().AppendFormat(nil, "2006-01-02T15:04:05.000000Z07:00 ")
	line = append(append(line, f.host...), ' ')
	for _, b := range tagged {
		if b < ' ' || b == 0x7f { // rsyslog's $EscapeControlCharactersOnReceive
			line = fmt.Appendf(line, "#%03o", b)
			continue
		}
		line = append(line, b)
	}
	if _, err := f.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("auth.log: %w", err)
	}
	return nil
}

// Receive adds what programs send to the socket, which is in the place of
// /dev/log, until ctx ends. It closes the socket.
func (f *File) Receive(ctx context.Context, socket net.PacketConn) error {
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	defer socket.Close()
	for buffer := make([]byte, 8192); ; {
		n, _, err := socket.ReadFrom(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("syslog socket: %w", err)
		}
		tagged, err := payload(buffer[:n])
		if err != nil {
			return err
		}
		if err := f.Add(tagged); err != nil {
			return err
		}
	}
}

// payload is what syslog(3) of the C library was called with: it sends
// "<38>Nov 22 05:10:13 sshd[92]: message".
func payload(datagram []byte) ([]byte, error) {
	datagram = bytes.TrimRight(datagram, "\n\x00")
	_, rest, ok := bytes.Cut(datagram, []byte(">"))
	if !ok || datagram[0] != '<' || len(rest) <= len(time.Stamp) {
		return nil, fmt.Errorf("syslog socket: %q is no message of syslog(3)", datagram)
	}
	if _, err := time.Parse(time.Stamp, string(rest[:len(time.Stamp)])); err != nil {
		return nil, fmt.Errorf("syslog socket: %w", errors.Unwrap(err))
	}
	return rest[len(time.Stamp)+1:], nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
