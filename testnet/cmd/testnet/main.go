// Command testnet runs a test network of komondor: participants with addresses
// and firewalls of their own, real SSH services, and an attacker that connects
// to them. Each command is one file; package lab does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/lab"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted; `testnet down` removes what is left")
	}
	stop()
	fmt.Fprintln(os.Stderr, "testnet:", err)
	os.Exit(1)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "testnet",
		Short: "Run participants with real SSH services, and attack them",
		Long: `Runs a test network: participants with addresses and firewalls of their own in
containers (or, without a Docker engine, in network namespaces), each with a real
SSH service whose log it reads, and an attacker that really connects. All
addresses are of 203.0.113.0/24, nothing leaves this machine.`,
		Example:       "  testnet up --nodes 7\n  testnet attack --pattern worm\n  testnet status\n  testnet down",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs, Version: version,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(newUp(), newAttack(), newStatus(), newDown(), newCompose(), newSimulate())
	root.AddCommand(inside()...)
	return root
}

// places are where the test network can run, the preferred first.
func places() (docker lab.Docker, spaces lab.Netns, err error) {
	self, err := os.Executable()
	if err != nil {
		return docker, spaces, err
	}
	docker = lab.Docker{Image: "komondor-testnet:" + version}
	return docker, lab.NewNetns(self, filepath.Join(filepath.Dir(self), "komondor")), nil
}

// running is the test network that is up.
func running(ctx context.Context) (lab.Lab, []string, error) {
	docker, spaces, err := places()
	if err != nil {
		return nil, nil, err
	}
	return lab.Running(ctx, []lab.Lab{spaces, docker})
}

// choose is where the test network shall run, by --on.
func choose(ctx context.Context, on string, say func(string, ...any)) (lab.Lab, error) {
	docker, spaces, err := places()
	if err != nil {
		return nil, err
	}
	switch on {
	case docker.Name():
		return docker, docker.Available(ctx)
	case spaces.Name():
		return spaces, spaces.Available()
	case "auto":
		missing := docker.Available(ctx)
		if missing == nil {
			return docker, nil
		}
		say("No Docker engine answers here, so the same runs in network namespaces.\n  (%v)\n", missing)
		return spaces, spaces.Available()
	}
	return nil, fmt.Errorf("--on %s: want docker, netns or auto", on)
}

var errFailed = errors.New("what must happen did not")
