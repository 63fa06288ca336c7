package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/lab"
)

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show the participants", Args: cobra.NoArgs,
		Example: "  testnet status\n  testnet status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, nodes, err := running(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := lab.Status(cmd.Context(), l, nodes)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d participants in %s\n\n", len(nodes), l.About())
			return lab.PrintStatus(cmd.OutOrStdout(), rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON with stable names")
	return cmd
}
