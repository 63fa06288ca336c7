package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/lab"
)

const upTime = 3 * time.Minute

func newUp() *cobra.Command {
	var nodes int
	var on string
	cmd := &cobra.Command{
		Use: "up", Short: "Start the participants, and the attacker at rest", Args: cobra.NoArgs,
		Long:    "Starts the test network anew: one that is up already is taken down first.",
		Example: "  testnet up --nodes 7\n  testnet up --nodes 15 --on netns",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if nodes < lab.Fewest || nodes > lab.Most {
				return fmt.Errorf("--nodes %d: want %d to %d", nodes, lab.Fewest, lab.Most)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), upTime)
			defer cancel()
			say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format, args...) }
			l, err := choose(ctx, on, say)
			if err != nil {
				return err
			}
			if err := down(ctx); err != nil {
				return err
			}
			say("Starting %d participants in %s.\n", nodes, l.About())
			defer func() {
				if err != nil {
					err = errors.Join(err, down(context.WithoutCancel(ctx)))
				}
			}()
			if err := l.Up(ctx, nodes); err != nil {
				return err
			}
			return lab.Await(ctx, l, nodes, func(member string, took time.Duration) {
				say("  %-6s  knows all others after %.1f s\n", member, took.Seconds())
			})
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 7, "how many participants")
	cmd.Flags().StringVar(&on, "on", "auto", "where: `docker`, netns, or auto for docker if there is an engine")
	return cmd
}

func newDown() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Remove all containers, networks, namespaces and files of the test network", Args: cobra.NoArgs,
		Example: "  testnet down",
		RunE:    func(cmd *cobra.Command, _ []string) error { return down(cmd.Context()) },
	}
}

// down takes down what is up, wherever it is.
func down(ctx context.Context) error {
	docker, spaces, err := places()
	if err != nil {
		return err
	}
	var errs []error
	if spaces.Available() == nil {
		errs = append(errs, spaces.Down(ctx))
	}
	if docker.Available(ctx) == nil {
		errs = append(errs, docker.Down(ctx))
	}
	return errors.Join(errs...)
}

func newCompose() *cobra.Command {
	var nodes int
	cmd := &cobra.Command{
		Use: "compose", Short: "Print the compose file that `up` uses", Args: cobra.NoArgs,
		Example: "  testnet compose --nodes 3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			docker, _, err := places()
			if err != nil {
				return err
			}
			return docker.Compose(cmd.OutOrStdout(), nodes)
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 7, "how many participants")
	return cmd
}
