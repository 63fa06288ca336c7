package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newBlocks() *cobra.Command {
	var at place
	var p printer
	var only bool
	cmd := &cobra.Command{
		Use: "blocks", Short: "List what is blocked, what each block has stopped, and what waits for a person", Args: noArgs,
		Long: `Lists what is blocked and what each block has stopped; in mode observe, what would
be. A block that is "waiting" is not in force: others' evidence asks for it, and a
person decides (komondor approve, komondor reject). The reason says why it waits.
An address can be there twice: blocked, and waiting for a longer block.

Flows are listed below: packets that are dropped by the source that they bear, their
target, protocol and port (docs/responses.md). With --json, --flows lists them, and
otherwise only what is blocked by its address.`,
		Example: "  komondor blocks\n  komondor blocks --json | jq -r '.[] | select(.state == \"waiting\") | .prefix'\n  komondor blocks --flows --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			flows, err := at.client().Flows(cmd.Context())
			if err != nil {
				return err
			}
			if only {
				return p.value(cmd.OutOrStdout(), flows, func(w io.Writer) error { return printFlows(w, flows) })
			}
			blocks, err := at.client().Blocks(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), blocks, func(w io.Writer) error {
				if err := printBlocks(w, blocks); err != nil || len(flows) == 0 {
					return err
				}
				fmt.Fprintln(w)
				return printFlows(w, flows)
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().BoolVar(&only, "flows", false, "only the flows")
	return cmd
}

func printFlows(w io.Writer, flows []control.Flow) error {
	if len(flows) == 0 {
		_, err := fmt.Fprintln(w, "No flow is blocked.")
		return err
	}
	var rows [][]string
	for _, f := range flows {
		rows = append(rows, []string{cmp.Or(shownAddr(f.Source, 0), "any"), shownAddr(f.Target, f.Port), cmp.Or(f.Protocol, "any"), f.State, short(time.Until(f.Until)),
			strconv.FormatUint(f.Packets, 10), f.Reason})
	}
	return table(w, bold(w, "FLOW FROM")+"\tTO\tPROTOCOL\tSTATE\tENDS IN\tPACKETS\tREASON", rows)
}

func printBlocks(w io.Writer, blocks []control.Block) error {
	if len(blocks) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is blocked, and nothing waits.")
		return err
	}
	var rows [][]string
	waiting := false
	for _, b := range blocks {
		reason := b.Reason
		if b.Hold != "" {
			reason, waiting = fmt.Sprintf("%s; waits: %s", b.Reason, b.Hold), true
		}
		rows = append(rows, []string{b.Prefix.String(), b.State, short(time.Until(b.Until)), strconv.Itoa(b.Repeats),
			strconv.FormatUint(b.Packets, 10), reason})
	}
	if err := table(w, bold(w, "PREFIX")+"\tSTATE\tENDS IN\tREPEATS\tPACKETS\tREASON", rows); err != nil || !waiting {
		return err
	}
	_, err := fmt.Fprintln(w, "Decide about what waits: komondor approve ADDRESS, or komondor reject ADDRESS")
	return err
}
