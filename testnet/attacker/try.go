package attacker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

const (
	connectTime = 1500 * time.Millisecond // the first SYN and one more, after a second
	// silence is how long a host may acknowledge nothing before it counts as gone.
	silence = 3 * time.Second
	// loginTime is enough for three wrong passwords at an sshd under PAM, which
	// takes two to three seconds for each.
	loginTime = 12 * time.Second
)

func try(ctx context.Context, s Step) (Outcome, error) {
	dialer := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: s.Source.AsSlice()}, Timeout: connectTime, Control: giveUp,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2},
	}
	conn, err := dialer.DialContext(ctx, "tcp", s.Target.String())
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", ctx.Err()
	case timedOut(err):
		return NoAnswer, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return Closed, nil
	default:
		return "", fmt.Errorf("attack from %s: %w", s.Source, err)
	}
	defer conn.Close()
	if s.User == "" {
		return Open, nil
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return "", err
	}
	err = login(conn, s)
	switch {
	case err == nil:
		return LetIn, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case timedOut(err):
		return CutOff, nil
	}
	return Refused, nil
}

func login(conn net.Conn, s Step) error {
	left := s.Passwords
	next := ssh.PasswordCallback(func() (string, error) {
		if len(left) == 0 {
			return "", errors.New("no more passwords")
		}
		password := left[0]
		left = left[1:]
		return password, nil
	})
	client, channels, requests, err := ssh.NewClientConn(conn, s.Target.String(), &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.RetryableAuthMethod(next, len(s.Passwords))},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // guessers do not care whom they guess at
	})
	if err != nil {
		return err
	}
	session := ssh.NewClient(client, channels, requests)
	defer session.Close()
	command, err := session.NewSession()
	if err != nil {
		return err
	}
	return command.Run("true")
}

// giveUp bounds how long what was sent may stay unacknowledged (tcp(7)).
func giveUp(_, _ string, c syscall.RawConn) error {
	var err error
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	return errors.Join(failed, err)
}

func timedOut(err error) bool {
	var e net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}
