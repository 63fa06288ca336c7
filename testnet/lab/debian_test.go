package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/testnet/authlog"
	"github.com/komondor/komondor/testnet/sshd"
)

const insideNamespaces = "KOMONDOR_TEST_INSIDE"

// TestOurLinesAreDebians runs Debian's sshd and ours side by side, opens the
// same connections to both, and compares the logs.
func TestOurLinesAreDebians(t *testing.T) {
	if os.Getenv(insideNamespaces) != "" {
		compare(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("sshd needs root, in namespaces of its own")
	}
	if _, err := findSSHD(); err != nil {
		t.Skip("no sshd is installed: apt-get install openssh-server")
	}
	self := exec.Command("/proc/self/exe", "-test.run=^TestOurLinesAreDebians$", "-test.v")
	self.Env = append(os.Environ(), insideNamespaces+"=1")
	self.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID}
	out, err := self.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("no namespaces here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func compare(t *testing.T) {
	debian, ours, source := at(11), at(12), at(66)
	onLoopback(t, debian, ours, source)
	dir := t.TempDir()
	logs := map[netip.Addr]string{}
	open := func(name string, a netip.Addr) *authlog.File {
		logs[a] = filepath.Join(dir, name)
		log, err := authlog.Create(logs[a], name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { log.Close() })
		return log
	}
	ctx, cancel := context.WithCancel(t.Context())
	work, ctx := errgroup.WithContext(ctx)
	t.Cleanup(func() {
		cancel()
		if err := work.Wait(); err != nil {
			t.Error(err)
		}
	})
	if err := (Participant{Name: "node1", Dir: dir}).debian(ctx, work, debian, open("debian", debian)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	quickPAM(t)
	l, err := net.Listen("tcp", netip.AddrPortFrom(ours, 22).String())
	if err != nil {
		t.Fatal(err)
	}
	// Under PAM, three: pam_unix gives up before sshd's own six are over.
	server := sshd.Server{Users: users(), MaxAuthTries: 3, Log: open("ours", ours).Add}
	work.Go(func() error { return server.Serve(ctx, l) })
	eventually(t, "both listen", func() bool {
		return strings.Contains(read(t, logs[debian]), "Server listening") && strings.Contains(read(t, logs[ours]), "Server listening")
	})

	var all errgroup.Group
	all.SetLimit(4) // sshd refuses some of more than ten that have not logged in (MaxStartups)
	for i, do := range connections() {
		all.Go(func() error {
			var sessions [2][]string
			for j, server := range []netip.Addr{debian, ours} {
				port := 40000 + 10*i + j
				do(&net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice(), Port: port}}, netip.AddrPortFrom(server, 22).String())
				sessions[j] = settled(t, logs[server], port)
			}
			if len(sessions[0]) == 0 || !slices.Equal(sessions[0], sessions[1]) {
				t.Errorf("connection %d: Debian's sshd writes\n  %s\nours\n  %s", i, strings.Join(sessions[0], "\n  "), strings.Join(sessions[1], "\n  "))
			}
			return nil
		})
	}
	_ = all.Wait() // they tell the test
}

// connections are ways to knock at an SSH server. What the client gets to see
// does not matter here.
func connections() []func(d *net.Dialer, address string) {
	login := func(user string, passwords ...string) func(*net.Dialer, string) {
		return func(d *net.Dialer, address string) {
			conn, err := d.Dial("tcp", address)
			if err != nil {
				return
			}
			defer conn.Close()
			left := passwords
			next := func() (string, error) {
				if len(left) == 0 {
					return "", io.EOF
				}
				p := left[0]
				left = left[1:]
				return p, nil
			}
			client, _, _, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
				Auth: []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.PasswordCallback(next), len(passwords))}})
			if err == nil {
				client.Close()
			}
		}
	}
	send := func(text string, after func(net.Conn)) func(*net.Dialer, string) {
		return func(d *net.Dialer, address string) {
			conn, err := d.Dial("tcp", address)
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, text)
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			conn.Read(make([]byte, 256)) // the server's version
			after(conn)
		}
	}
	hangUp := func(c net.Conn) { // so that what the server still sends cannot make it a reset
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }
	return []func(*net.Dialer, string){
		login("root", "toor"),
		login("admin", "admin", "1234"),
		login("alice", "correct hrose", "correct horse"),
		login("bob", "battery staple"),
		login("root", "1", "2", "3", "4", "5", "6", "7"),
		login("nobody2", "1", "2", "3", "4", "5", "6", "7"),
		login("a\nb\\c\x1b\xc3\xbc from 192.0.2.1", "x"),
		login("", "x"),
		send("", hangUp),
		send("", reset),
		send("SSH-2.0-scanner\r\n", hangUp),
		send("SSH-2.0-scanner\r\n", reset),
		send("GET / HTTP/1.1\r\n", hangUp),
		send("GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", hangUp),
		send("SSH-2.0-x\r\n\x00\x00\x00\x00\x00\x00\x00\x00", hangUp),
		send("SSH-2.0-x\r\n"+strings.Repeat("\xff", 40), hangUp),
	}
}

// notOurs are the lines that our server does not write: PAM's, which it does
// not have, and the length of a broken packet, which x/crypto/ssh does not tell.
var notOurs = regexp.MustCompile(`^(pam_|PAM |Bad packet length )`)

// settled returns the messages of the process that served the client's port,
// once no more come.
func settled(t *testing.T, path string, port int) []string {
	tag := regexp.MustCompile(`^\S+ \S+ (sshd\[\d+\]): (.*)$`)
	var last []string
	for quiet, deadline := time.Now(), time.Now().Add(20*time.Second); ; time.Sleep(20 * time.Millisecond) {
		var lines [][]string
		process := ""
		for line := range strings.Lines(read(t, path)) {
			m := tag.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				continue
			}
			lines = append(lines, m)
			if strings.Contains(m[2], fmt.Sprintf("port %d", port)) && process == "" {
				process = m[1]
			}
		}
		var found []string
		for _, m := range lines {
			if m[1] != process || notOurs.MatchString(m[2]) {
				continue
			}
			found = append(found, strings.ReplaceAll(m[2], fmt.Sprint(port), "PORT"))
		}
		if !slices.Equal(found, last) {
			quiet, last = time.Now(), found
		}
		if len(last) > 0 && time.Since(quiet) > 400*time.Millisecond || time.Now().After(deadline) {
			return last
		}
	}
}

// quickPAM lets wrong passwords be told at once, in this mount namespace.
func quickPAM(t *testing.T) {
	t.Helper()
	const stack = "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_unix.so\n"
	if err := os.WriteFile("/run/pam", []byte(stack), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := mount("/run/pam", "/etc/pam.d/sshd", "", syscall.MS_BIND); err != nil {
		t.Fatal(err)
	}
}

func onLoopback(t *testing.T, addresses ...netip.Addr) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 10 s: %s", what)
		}
	}
}
