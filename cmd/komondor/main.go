// Command komondor is collaborative intrusion detection and prevention without
// a centre. Each command is one file: its flags, one call, and how it prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
)

// version is set by the linker.
var version = "devel"

// The exit codes, as the help documents them.
const (
	exitFailed = 1
	exitUsage  = 2
	exitNoNode = 3
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "komondor: %v\n", err)
		return exitUsage
	}
	if errors.Is(err, federation.ErrPassphrase) {
		err = fmt.Errorf("%w: name a file that holds it with --passphrase-file FILE, or set KOMONDOR_PASSPHRASE", err)
	}
	fmt.Fprintf(os.Stderr, "komondor: %v\n", err)
	if errors.Is(err, control.ErrNoNode) {
		return exitNoNode
	}
	return exitFailed
}

// usageError is a mistake in the command line: the help is the remedy.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "komondor",
		Short: "Intrusion detection and prevention that counts together, without a centre",
		Long: `Komondor turns logs into evidence of attacks, brings the evidence of all
participants about one attacker together at the nodes of a peer-to-peer overlay
that are nearest to it, and blocks at every participant what that participant's
own policy accepts.

Exit codes: 0 done; 1 failed or refused; 2 the command line is wrong; 3 no node answers.
NO_COLOR is respected. Every command that answers has --json.`,
		Example: `  komondor init --federation example-net --organisation uni-a      # found a federation, or be invited to one
  komondor join --read sshd=/var/log/auth.log                       # run a node
  komondor status
  komondor explain 203.0.113.9`,
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	root.AddCommand(newJoin(), newInit(), newInvite(), newMember(), newPolicy(), newStatus(), newAlerts(), newBlocks(),
		newBlock(), newResponses(), newApprove(), newReject(), newAllow(), newExplain(), newFormats(), newParse(), newReplay(), newRules(), newScenario(), newScenarios(), newVersion())
	checkArgs(root)
	root.InitDefaultCompletionCmd()
	return root
}

// noArgs is for commands that take no arguments: what is given to one with others below it is meant as one of them.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 || c.HasSubCommands() {
		return cobra.NoArgs(c, args)
	}
	return fmt.Errorf("%q is one argument too many: %s takes none", args[0], c.CommandPath())
}

// checkArgs makes wrong arguments usage errors, as wrong flags are.
func checkArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
			}
			return nil
		}
	}
}

func newVersion() *cobra.Command {
	var p printer
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		Example: "  komondor version\n  komondor version --json | jq -r .version",
		RunE: func(c *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
			}{version}
			return p.done(c.OutOrStdout(), v, "komondor "+version)
		},
	}
	p.register(cmd)
	return cmd
}
