// Package sshd is an SSH server that writes the log of OpenSSH 9.2 (Debian 12,
// UsePAM no): for containers made from scratch, in which no sshd can be. It
// accepts real connections and checks real passwords; who is let in may run
// commands that do nothing.
package sshd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// version is Debian 12's, as its sshd tells every client.
const version = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10"

// Server is told who may log in and where its log goes.
type Server struct {
	// Users are the accounts with their passwords; one without a password exists
	// and lets nobody in, as root under "PermitRootLogin prohibit-password".
	Users          map[string]string
	MaxAuthTries   int           // failures before sshd hangs up; default 6
	LoginGraceTime time.Duration // default 2 minutes
	// Log gets each line as sshd hands it to syslog: "sshd[92]: Failed password …".
	Log func(line []byte) error
}

// Serve answers on l until ctx ends or the log cannot be written, closes what is
// open and waits for it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	key, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	// Every connection gets the number that its process would have.
	var processes atomic.Int64
	processes.Store(int64(os.Getpid()))
	logger := func(pid int64) func(string, ...any) {
		return func(format string, args ...any) {
			message := escape(fmt.Sprintf(format, args...))
			if strings.HasSuffix(message, " [preauth]") {
				message = escape(message) // by the unprivileged half, then by the monitor that logs for it
			}
			if err := s.Log(fmt.Appendf(nil, "sshd[%d]: %s", pid, message)); err != nil {
				cancel(err)
			}
		}
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	logger(processes.Load())("Server listening on %s port %s.", host, port)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return fmt.Errorf("ssh server: %w", cause)
			}
			return nil
		}
		if err != nil {
			cancel(nil)
			return fmt.Errorf("ssh server: %w", err)
		}
		sessions.Go(func() {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			s.session(conn, key, logger(processes.Add(1)))
		})
	}
}
