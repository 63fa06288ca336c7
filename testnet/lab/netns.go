package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netns"
)

const namespaces = "/run/netns" // as ip-netns(8) has them

// Netns runs the members in network namespaces that a bridge joins: each is a
// few processes of this machine.
type Netns struct {
	Project string // begins the names of the namespaces
	Program string // this one
	Binary  string // komondor
	// Debian runs the machine's own sshd, and not the testnet's.
	Debian bool
}

// NewNetns is the lab of this program, with the machine's sshd if there is one.
func NewNetns(program, binary string) Netns {
	_, err := findSSHD()
	return Netns{Project: project, Program: program, Binary: binary, Debian: err == nil}
}

// Name implements Lab.
func (Netns) Name() string { return "netns" }

// About implements Lab.
func (l Netns) About() string {
	if l.Debian {
		return "network namespaces of this machine, with its own sshd"
	}
	return "network namespaces of this machine, with the testnet's own SSH server"
}

// Available says why no namespace can be made, if so.
func (Netns) Available() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	return nil
}

func (l Netns) namespace(member string) string { return l.Project + "-" + member }

func (l Netns) path(member string) string { return filepath.Join(namespaces, l.namespace(member)) }

// folder holds the members' files; /run is gone after a restart, as they are.
func (l Netns) folder() string { return filepath.Join("/run", l.Project) }

// Up implements Lab.
func (l Netns) Up(ctx context.Context, nodes int) error {
	if err := l.Available(); err != nil {
		return err
	}
	if err := os.MkdirAll(l.folder(), 0o700); err != nil {
		return err
	}
	bridge, err := l.bridge()
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	defer bridge.Close()
	for _, member := range members(nodes) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.plug(bridge, member); err != nil {
			return fmt.Errorf("network of %s: %w", member, err)
		}
		if member == attackerName {
			continue // it is started when it attacks
		}
		if err := l.start(ctx, member); err != nil {
			return fmt.Errorf("start %s: %w", member, err)
		}
	}
	return nil
}

// start starts a participant that goes on when this program ends.
func (l Netns) start(ctx context.Context, member string) error {
	dir := filepath.Join(l.folder(), member)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	printed, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return err
	}
	defer printed.Close()
	args := []string{"participant", "--name", member, "--komondor", l.Binary}
	cmd := l.Command(context.WithoutCancel(ctx), member, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if l.Debian {
		cmd.Args = append(cmd.Args, "--debian")
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID
	}
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// Enter runs a program in a named network namespace, in the place of this one,
// as `ip netns exec` does.
func Enter(name string, argv []string) error {
	runtime.LockOSThread()
	ns, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// Command implements Lab.
func (l Netns) Command(ctx context.Context, member string, args ...string) *exec.Cmd {
	args = slices.Concat([]string{"enter", l.namespace(member), l.Program, args[0], "--dir", filepath.Join(l.folder(), member)}, args[1:])
	return exec.CommandContext(ctx, l.Program, args...)
}

// Printed implements Lab.
func (l Netns) Printed(_ context.Context, member string) string {
	text, err := os.ReadFile(filepath.Join(l.folder(), member, "stderr"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Members implements Lab.
func (l Netns) Members(context.Context) ([]string, error) {
	paths, err := filepath.Glob(l.path("*"))
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimPrefix(filepath.Base(path), l.namespace("")))
	}
	return names, err
}
