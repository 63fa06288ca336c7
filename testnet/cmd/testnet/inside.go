package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/lab"
)

// inside are the parts that this program plays in containers and namespaces.
func inside() []*cobra.Command {
	var dir string
	part := func(use, short string, args cobra.PositionalArgs, run func(context.Context, []string) error) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Args: args, Hidden: true,
			RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) }}
		cmd.Flags().StringVar(&dir, "dir", "/var/lib/komondor", "the member's `directory`")
		return cmd
	}

	var p lab.Participant
	participant := part("participant", "Be a participant", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		p.Dir = dir
		return p.Run(ctx)
	})
	participant.Flags().StringVar(&p.Name, "name", "", "which one")
	participant.Flags().StringVar(&p.Binary, "komondor", "/komondor", "the product's `program`")
	participant.Flags().BoolVar(&p.Debian, "debian", false, "with the machine's own sshd")

	rest := part("rest", "Be the attacker at rest", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		<-ctx.Done()
		return nil
	})

	var pattern string
	strike := part("strike NODE...", "Be the attacker, until standard input ends", cobra.MinimumNArgs(1), func(ctx context.Context, nodes []string) error {
		chosen, err := patterns(pattern)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { // ends with the program at the latest
			_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, nobody is there any more
			cancel()
		}()
		return lab.Strike(ctx, chosen[0], nodes, os.Stdout)
	})
	strike.Flags().StringVar(&pattern, "pattern", "", "which `pattern`")

	observe := part("observe", "Say what the participant here sees", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		seen, err := lab.Observe(ctx, dir)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(seen)
	})

	flush := part("flush", "End the participant's blocks", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return lab.Flush(ctx, dir)
	})

	enter := &cobra.Command{
		Use: "enter NAMESPACE PROGRAM...", Short: "Run a program in a network namespace", Args: cobra.MinimumNArgs(2), Hidden: true,
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return lab.Enter(args[0], args[1:]) },
	}
	return []*cobra.Command{participant, rest, strike, observe, flush, enter}
}
