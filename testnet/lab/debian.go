package lab

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/testnet/authlog"
)

// config is Debian's sshd_config as installed, without X11 and sftp.
const config = `ListenAddress %s
HostKey /run/host_key
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
`

// aliceHash is what crypt(5) makes of the password "correct horse" of alice, and
// bobHash of bob's "battery staple": openssl passwd -6.
const (
	aliceHash = "$6$komondor$r8KfbhC7etxBlzSQ3iUk7cBgVBjVZvvy23uBq5s3z3vpuE/gnzsC89aG9W.mQGY0NtKd4eVmK5OJSgtHLpgYK/"
	bobHash   = "$6$komondor$CjlEtop7KePu59LHqm1vj18tNUguxSNKkn6aGQxv/0M6lIJfh5DMnraxvS4mr44doKhFqMm9oSEsnN6vAkq5d/"
)

// findSSHD is the machine's own sshd, if there is one.
func findSSHD() (string, error) {
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath("sshd")
}

// debian runs the machine's sshd with its PAM as installed. It must be called in
// mount, UTS and process namespaces of its own, in which it hides what sshd
// would touch: /run, /dev/log, the accounts, and the records of logins.
func (p Participant) debian(ctx context.Context, work *errgroup.Group, self netip.Addr, log *authlog.File) error {
	path, err := findSSHD()
	if err != nil {
		return fmt.Errorf("sshd: %w: apt-get install openssh-server", err)
	}
	if os.Getpid() != 1 {
		return errors.New("sshd: not in a process namespace of its own; this is for `testnet up` to start")
	}
	if err := p.hide(); err != nil {
		return fmt.Errorf("namespaces for sshd: %w", err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	key, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile("/run/host_key", pem.EncodeToMemory(key), 0o600),
		os.WriteFile("/run/sshd_config", fmt.Appendf(nil, config, self), 0o600))
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("unixgram", "/dev/log")
	if err != nil {
		return err
	}
	if err := os.Chmod("/dev/log", 0o666); err != nil {
		return errors.Join(err, socket.Close())
	}
	work.Go(func() error { return log.Receive(ctx, socket) })
	work.Go(func() error { return foreground(ctx, exec.Command(path, "-D", "-f", "/run/sshd_config")) })
	return nil
}

// hide makes the mounts. They end with the namespace.
func (p Participant) hide() error {
	if err := unix.Sethostname([]byte(p.Name)); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := mount("proc", "/proc", "proc", 0); err != nil {
		return err
	}
	// The member's own folder may be below /run.
	dir, err := os.Open(p.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := mount("tmpfs", "/run", "tmpfs", 0); err != nil {
		return err
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	if err := mount(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), p.Dir, "", unix.MS_BIND); err != nil {
		return err
	}
	if err := mount("tmpfs", "/var/log", "tmpfs", 0); err != nil {
		return err
	}
	return errors.Join(os.Mkdir("/run/sshd", 0o755), devices(), accounts())
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// devices makes a /dev of our own, in which /dev/log is ours.
func devices() error {
	const staged = "/run/dev"
	if err := os.Mkdir(staged, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", staged, "tmpfs", 0); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "random", "urandom"} {
		path := filepath.Join(staged, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o666), mount("/dev/"+name, path, "", unix.MS_BIND)); err != nil {
			return err
		}
	}
	return mount(staged, "/dev", "", unix.MS_MOVE)
}

// accounts adds alice and bob to the machine's accounts, here only.
func accounts() error {
	add := map[string]string{
		"/etc/passwd": "alice:x:2000:2000::/:/bin/sh\nbob:x:2001:2001::/:/bin/sh\n",
		"/etc/shadow": "alice:" + aliceHash + ":19000::::::\nbob:" + bobHash + ":19000::::::\n",
	}
	for path, more := range add {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		copied := filepath.Join("/run", filepath.Base(path))
		if err := os.WriteFile(copied, append(text, more...), info.Mode().Perm()); err != nil {
			return err
		}
		if err := mount(copied, path, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	return nil
}
