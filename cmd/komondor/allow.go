package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func newAllow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "allow", Short: "Keep addresses, prefixes and host names from ever being blocked", Args: noArgs,
		Example: "  komondor allow add 198.51.100.0/24 --note 'our branch office'\n  komondor allow list",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newAllowAdd(), newAllowRemove(), newAllowList())
	return cmd
}

func newAllowAdd() *cobra.Command {
	var at place
	var p printer
	var note string
	cmd := &cobra.Command{
		Use: "add ENTRY", Short: "Add an address, prefix or host name; a block that it forbids ends", Args: cobra.ExactArgs(1),
		Example: "  komondor allow add admin.example.net --note 'the on-call laptop'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := at.client().Allow(cmd.Context(), args[0], note); err != nil {
				return err
			}
			return p.done(cmd.OutOrStdout(), entry{args[0]}, args[0]+" will never be blocked")
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().StringVar(&note, "note", "", "why, for the list")
	return cmd
}

// entry says which entry of the list was changed.
type entry struct {
	Entry string `json:"entry"`
}

func newAllowRemove() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "remove ENTRY", Short: "Take an entry out again", Args: cobra.ExactArgs(1),
		Example: "  komondor allow remove admin.example.net",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := at.client().Disallow(cmd.Context(), args[0]); err != nil {
				return err
			}
			return p.done(cmd.OutOrStdout(), entry{args[0]}, args[0]+" may be blocked again")
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func newAllowList() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "list", Short: "Show the allow-list", Args: noArgs,
		Example: "  komondor allow list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			allowed, err := at.client().Allowed(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), allowed, func(w io.Writer) error {
				if len(allowed) == 0 {
					_, err := fmt.Fprintln(w, "The allow-list is empty. Own addresses, gateways, resolvers, time servers, private ranges and the administrator's SSH peer are never blocked anyway.")
					return err
				}
				var rows [][]string
				for _, a := range allowed {
					since := ""
					if !a.Since.IsZero() {
						since = a.Since.Local().Format(time.DateTime)
					}
					rows = append(rows, []string{a.Entry, since, a.Note})
				}
				return table(w, bold(w, "ENTRY")+"\tSINCE\tNOTE", rows)
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}
