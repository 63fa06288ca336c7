package sshd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/text"
)

// serve runs a server until the test ends; log returns what it wrote, once it
// has so many lines, with the client's port as PORT.
func serve(t *testing.T, s Server) (address string, log func(lines int) []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var text []string
	wrote := make(chan struct{}, 100)
	s.Users = map[string]string{"root": "", "alice": "correct horse"}
	s.Log = func(line []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if !bytes.Contains(line, []byte("Server listening")) {
			text = append(text, string(line))
			wrote <- struct{}{}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	port := regexp.MustCompile(`port \d+`)
	return l.Addr().String(), func(lines int) []string {
		for range lines {
			select {
			case <-wrote:
			case <-time.After(5 * time.Second):
				t.Fatalf("only: %q", text)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		var found []string
		for _, line := range text {
			found = append(found, port.ReplaceAllString(line, "port PORT"))
		}
		text = nil
		return found
	}
}

func login(address, user string, passwords ...string) error {
	tries := len(passwords)
	next := ssh.PasswordCallback(func() (string, error) {
		if len(passwords) == 0 {
			return "", io.EOF
		}
		p := passwords[0]
		passwords = passwords[1:]
		return p, nil
	})
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.RetryableAuthMethod(next, tries)}})
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	return session.Run("true")
}

// TestLinesAreOpenSSHs has the lines of OpenSSH 9.2p1 for each way to knock; the
// test of lab that runs Debian's own beside it shows that they are.
func TestLinesAreOpenSSHs(t *testing.T) {
	send := func(text string) func(string) error {
		return func(address string) error {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, text); err != nil {
				return err
			}
			// Not Close: what the server still sends would make it a reset.
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, conn)
			return err
		}
	}
	tries := func(user string, passwords ...string) func(string) error {
		return func(address string) error { return login(address, user, passwords...) }
	}
	tests := []struct {
		name string
		do   func(address string) error
		want string
		kind event.Kind // of the last line that is evidence
	}{
		{"wrong password", tries("root", "toor"), `
Failed password for root from 127.0.0.1 port PORT ssh2
Connection closed by authenticating user root 127.0.0.1 port PORT [preauth]`, event.SSHPreauthClosed},
		{"unknown user", tries("admin", "admin", "1234"), `
Invalid user admin from 127.0.0.1 port PORT
Failed password for invalid user admin from 127.0.0.1 port PORT ssh2
Failed password for invalid user admin from 127.0.0.1 port PORT ssh2
Connection closed by invalid user admin 127.0.0.1 port PORT [preauth]`, event.SSHPreauthClosed},
		{"typo", tries("alice", "correct hrose", "correct horse"), `
Failed password for alice from 127.0.0.1 port PORT ssh2
Accepted password for alice from 127.0.0.1 port PORT ssh2`, event.SSHLoginAccepted},
		{"dictionary", tries("root", "1", "2", "3", "4", "5", "6", "7"), `
Failed password for root from 127.0.0.1 port PORT ssh2
Failed password for root from 127.0.0.1 port PORT ssh2
Failed password for root from 127.0.0.1 port PORT ssh2
Failed password for root from 127.0.0.1 port PORT ssh2
Failed password for root from 127.0.0.1 port PORT ssh2
Failed password for root from 127.0.0.1 port PORT ssh2
error: maximum authentication attempts exceeded for root from 127.0.0.1 port PORT ssh2 [preauth]
Disconnecting authenticating user root 127.0.0.1 port PORT: Too many authentication failures [preauth]`, event.SSHTriesExceeded},
		{"hostile name", tries("a\nb\\c\x1b from 192.0.2.1", "x"), `
Invalid user a\nb\\c\033 from 192.0.2.1 from 127.0.0.1 port PORT
Failed password for invalid user a\nb\\c\033 from 192.0.2.1 from 127.0.0.1 port PORT ssh2
Connection closed by invalid user a\\nb\\\\c\\033 from 192.0.2.1 127.0.0.1 port PORT [preauth]`, event.SSHPreauthClosed},
		{"scan", send(""), `
error: kex_exchange_identification: Connection closed by remote host
Connection closed by 127.0.0.1 port PORT`, event.SSHPreauthClosed},
		{"version scan", send("SSH-2.0-scanner\r\n"), `
Connection closed by 127.0.0.1 port PORT [preauth]`, event.SSHPreauthClosed},
		{"web browser", send("GET / HTTP/1.1\r\n"), `
error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1"
banner exchange: Connection from 127.0.0.1 port PORT: invalid format`, event.SSHProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address, log := serve(t, Server{})
			want := strings.Split(strings.TrimSpace(test.want), "\n")
			err := test.do(address)
			got := log(len(want))
			var messages []string
			pids := map[string]bool{}
			for _, line := range got {
				pid, message, _ := strings.Cut(line, ": ")
				pids[pid] = true
				messages = append(messages, message)
			}
			if strings.Join(messages, "\n") != strings.Join(want, "\n") || len(pids) != 1 {
				t.Errorf("after %v:\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if kind := lastKind(t, got); kind != test.kind {
				t.Errorf("our probe reads %q, want %q", kind, test.kind)
			}
		})
	}
}

func TestGraceTime(t *testing.T) {
	address, log := serve(t, Server{LoginGraceTime: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := log(1)
	if !strings.HasSuffix(got[0], ": fatal: Timeout before authentication for 127.0.0.1 port PORT") || lastKind(t, got) != event.SSHPreauthTimeout {
		t.Errorf("%q", got)
	}
}

func TestLogThatCannotBeWritten(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := fmt.Errorf("no space left on device")
	s := Server{Log: func([]byte) error { return full }}
	if err := s.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), full.Error()) {
		t.Error(err)
	}
}

func lastKind(t *testing.T, lines []string) (kind event.Kind) {
	t.Helper()
	format, err := probe.Builtin().Lookup("sshd")
	if err != nil {
		t.Fatal(err)
	}
	parser := format.New(text.Clock{})
	for _, line := range lines {
		line = "2026-11-22T05:10:13.671897+00:00 node1 " + strings.ReplaceAll(line, "PORT", "40000")
		e, ok, err := parser.Parse(text.Line{Bytes: []byte(line)})
		if err != nil {
			t.Error(err)
		}
		if ok && e.Source.Addr != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s blames %s", line, e.Source.Addr)
		}
		if ok {
			kind = e.Kind
		}
	}
	return kind
}
