package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/node"
)

func newReplay() *cobra.Command {
	var p printer
	var reads []string
	var quorum int
	cmd := &cobra.Command{
		Use: "replay --read FORMAT=FILE...", Short: "Run the correlators over logs offline", Args: cobra.NoArgs,
		Long: `Runs the same correlators that a node runs over logs, on the time of the events.
Each file is a sensor and an organisation of its own: judged alone by what the
rules ask for at home, and all together by what they ask for over a federation.
Prints one alert for each attack, with --json one a line.

Formats:
` + formats(),
		Example: "  komondor replay --read sshd=host1.log --read sshd=host2.log\n  komondor replay --json --read suricata=eve.json | jq .key.value",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var sources []node.Source
			for _, r := range reads {
				s, err := node.ParseSource(r)
				if err != nil {
					return usageError{err}
				}
				sources = append(sources, s)
			}
			if len(sources) == 0 {
				return usageError{errors.New("nothing to read: say --read FORMAT=FILE, for instance --read sshd=/var/log/auth.log")}
			}
			rules, err := node.Rules(quorum)
			if err != nil {
				return err
			}
			alerts, read, err := node.Replay(cmd.Context(), rules, sources)
			for _, s := range read {
				summary(cmd, s)
			}
			if err != nil {
				return err
			}
			if !p.json {
				return printAlerts(cmd.OutOrStdout(), alerts)
			}
			for _, a := range alerts {
				if err := jsonLine(cmd.OutOrStdout(), a); err != nil {
					return fmt.Errorf("print alert: %w", err)
				}
			}
			return nil
		},
	}
	p.register(cmd)
	cmd.Flags().StringArrayVar(&reads, "read", nil, "a log to read, as `FORMAT=FILE`; may be repeated")
	cmd.Flags().IntVar(&quorum, "quorum", 0, "how many organisations an alert needs (default: each rule's own, 2)")
	return cmd
}
