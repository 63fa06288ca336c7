package sshd

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// session is one connection, as the process that serves it sees it. The names
// in comments are functions of openssh-portable 9.2.
type session struct {
	server *Server
	log    func(format string, args ...any)
	peer   string // "203.0.113.66 port 39445"
	user   string
	tried  bool // the client has named a user
	known  bool // who exists
	fails  int
}

func (s *Server) session(conn net.Conn, key ssh.Signer, log func(string, ...any)) {
	host, port, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return // gone already: sshd has no address to write either
	}
	c := &session{server: s, log: log, peer: host + " port " + port}
	tries := s.MaxAuthTries
	if tries == 0 {
		tries = 6
	}
	config := &ssh.ServerConfig{ServerVersion: version, MaxAuthTries: tries, PasswordCallback: c.password}
	config.AuthLogCallback = func(m ssh.ConnMetadata, method string, err error) { c.authLog(m.User(), method, err, tries) }
	config.AddHostKey(key)
	grace := s.LoginGraceTime
	if grace == 0 {
		grace = 2 * time.Minute
	}
	if conn.SetDeadline(time.Now().Add(grace)) != nil {
		return
	}
	wire := &identified{Conn: conn}
	client, channels, requests, err := ssh.NewServerConn(wire, config)
	if err != nil {
		if c.fails < tries {
			c.ended(wire, err)
		}
		return
	}
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	go ssh.DiscardRequests(requests) // ends with the connection
	serveNothing(channels)
	if code, text, ok := disconnected(client.Wait()); ok {
		c.log("Received disconnect from %s:%d: %s", c.peer, code, text)
		c.log("Disconnected from user %s %s", c.user, c.peer)
	}
	// sshd says at higher log levels only that a session ended without a goodbye.
}

func (c *session) password(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	want := c.server.Users[m.User()]
	if want == "" || subtle.ConstantTimeCompare([]byte(want), password) != 1 {
		return nil, errors.New("wrong password")
	}
	return nil, nil
}

// authLog is input_userauth_request, auth_log and auth_maxtries_exceeded.
func (c *session) authLog(user, method string, err error, tries int) {
	if !c.tried {
		c.tried, c.user = true, user
		if _, c.known = c.server.Users[user]; !c.known {
			c.log("Invalid user %s from %s", user, c.peer)
		}
	}
	if err == nil {
		c.log("Accepted %s for %s from %s ssh2", method, user, c.peer)
		return
	}
	if method == "none" { // how every client asks which methods there are
		return
	}
	who := user
	if !c.known {
		who = "invalid user " + user
	}
	if method == "password" { // others are not told at the default log level
		c.log("Failed password for %s from %s ssh2", who, c.peer)
	}
	if c.fails++; c.fails == tries {
		c.log("error: maximum authentication attempts exceeded for %s from %s ssh2 [preauth]", who, c.peer)
		c.log("Disconnecting %s: Too many authentication failures [preauth]", c.who())
	}
}

// who is fmt_connection_id: the peer, after the user that it has named.
func (c *session) who() string {
	switch {
	case !c.tried:
		return c.peer
	case c.known:
		return "authenticating user " + c.user + " " + c.peer
	}
	return "invalid user " + c.user + " " + c.peer
}

// ended is sshpkt_vfatal and grace_alarm_handler: why nobody was let in.
func (c *session) ended(wire *identified, err error) {
	cause := wire.cause()
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		c.log("fatal: Timeout before authentication for %s", c.peer)
		return
	}
	reset := errors.Is(cause, syscall.ECONNRESET) || errors.Is(cause, syscall.EPIPE)
	if !wire.complete { // kex_exchange_identification
		switch {
		case errors.Is(cause, errNotSSH):
			c.log("error: kex_exchange_identification: client sent invalid protocol identifier \"%.256s\"", wire.text())
			c.log("banner exchange: Connection from %s: invalid format", c.peer)
		case reset:
			c.log("error: kex_exchange_identification: read: Connection reset by peer")
			c.log("Connection reset by %s", c.peer)
		default:
			c.log("error: kex_exchange_identification: Connection closed by remote host")
			c.log("Connection closed by %s", c.peer)
		}
		return
	}
	if code, text, ok := disconnected(err); ok {
		c.log("Received disconnect from %s:%d: %s [preauth]", c.peer, code, text)
		c.log("Disconnected from %s [preauth]", c.who())
		return
	}
	switch {
	case reset:
		c.log("Connection reset by %s [preauth]", c.who())
	case errors.Is(cause, io.EOF):
		c.log("Connection closed by %s [preauth]", c.who())
	default:
		c.log("ssh_dispatch_run_fatal: Connection from %s: message authentication code incorrect [preauth]", c.who())
	}
}

// disconnected reads the error that x/crypto/ssh makes of the client's goodbye;
// its type is not exported.
func disconnected(err error) (code int, text string, ok bool) {
	if err == nil {
		return 0, "", false
	}
	_, goodbye, ok := strings.Cut(err.Error(), "ssh: disconnect, reason ")
	if !ok {
		return 0, "", false
	}
	_, err = fmt.Sscanf(goodbye, "%d: %q", &code, &text)
	return code, text, err == nil
}

// serveNothing answers every command with success.
func serveNothing(channels <-chan ssh.NewChannel) {
	for asked := range channels {
		if asked.ChannelType() != "session" {
			_ = asked.Reject(ssh.UnknownChannelType, "sessions only") // the client may be gone
			continue
		}
		channel, requests, err := asked.Accept()
		if err != nil {
			continue
		}
		go func() { // ends with the connection
			defer channel.Close()
			for r := range requests {
				run := r.Type == "exec" || r.Type == "shell"
				if r.Reply(run, nil) != nil || !run {
					continue
				}
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
				return
			}
		}()
	}
}
