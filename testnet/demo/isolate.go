package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

const inside = "KOMONDOR_DEMO_INSIDE"

// isolate runs this program again in a network namespace of its own, so that
// real blocks can be shown without touching the machine's firewall. Where the
// kernel does not let us, the demo goes on here and observes only.
func isolate(ctx context.Context) (code int, done bool, err error) {
	if os.Getenv(inside) != "" {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return 0, false, err
		}
		return 0, false, netlink.LinkSetUp(lo)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, false, nil // not permitted here
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(1, exit.ExitCode()), true, nil
	}
	return 0, true, err
}

// blocking is how the participants can block here, and why so.
func blocking() (mode, why string) {
	if os.Getenv(inside) == "" {
		return "observe", "(this kernel gives us no network namespace, so nothing is really dropped)"
	}
	conn, err := nftables.New()
	if err == nil {
		_, err = conn.ListTables()
	}
	if err != nil {
		return "observe", fmt.Sprintf("(no nftables here, so nothing is really dropped: %v)", err)
	}
	return "nft", "(real nftables, in a network namespace of the demo's own: your firewall is not touched)"
}
