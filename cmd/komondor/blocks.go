package main

import (
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
	cmd := &cobra.Command{
		Use: "blocks", Short: "List what is blocked, what each block has stopped, and what waits for a person", Args: cobra.NoArgs,
		Long: `Lists what is blocked and what each block has stopped; in mode observe, what would
be. A block that is "waiting" is not in force: others' evidence asks for it, and a
person decides (komondor approve, komondor reject). The reason says why it waits.
An address can be there twice: blocked, and waiting for a longer block.`,
		Example: "  komondor blocks\n  komondor blocks --json | jq -r '.[] | select(.state == \"waiting\") | .prefix'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			blocks, err := at.client().Blocks(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), blocks, func(w io.Writer) error { return printBlocks(w, blocks) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
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
