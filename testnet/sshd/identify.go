package sshd

import (
	"bytes"
	"errors"
	"net"
	"sync"
)

// longest is how much of a client's first line sshd reads (SSH_MAX_BANNER_LEN).
const longest = 8192

var errNotSSH = errors.New("the client does not speak SSH")

// identified watches a client's first line go by, which x/crypto/ssh would skip
// where sshd hangs up, and remembers how the connection ended.
type identified struct {
	net.Conn
	line     []byte
	complete bool

	mu     sync.Mutex // x/crypto/ssh reads and writes at the same time
	failed error
}

func (c *identified) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.complete {
		end := bytes.IndexByte(p[:n], '\n')
		if end < 0 {
			c.line = append(c.line, p[:n]...)
		} else {
			c.line = append(c.line, p[:end]...)
		}
		switch {
		case end >= 0 && (bytes.HasPrefix(c.line, []byte("SSH-2.0-")) || bytes.HasPrefix(c.line, []byte("SSH-1.99-"))):
			c.complete = true
		case end >= 0, len(c.line) > longest:
			_, _ = c.Conn.Write([]byte("Invalid SSH identification string.\r\n")) // it may be gone
			n, err = 0, errNotSSH
		}
	}
	if err != nil {
		c.fail(err)
	}
	return n, err
}

func (c *identified) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.fail(err)
	}
	return n, err
}

func (c *identified) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// cause is the first thing that went wrong.
func (c *identified) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *identified) text() string { return string(bytes.TrimSuffix(c.line, []byte("\r"))) }
