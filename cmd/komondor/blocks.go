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
		Use: "blocks", Short: "List what is blocked, and what each block has stopped", Args: cobra.NoArgs,
		Example: "  komondor blocks\n  komondor blocks --json | jq -r '.[].prefix'",
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
		_, err := fmt.Fprintln(w, "Nothing is blocked.")
		return err
	}
	var rows [][]string
	for _, b := range blocks {
		rows = append(rows, []string{b.Prefix.String(), b.State, short(time.Until(b.Until)), strconv.Itoa(b.Repeats),
			strconv.FormatUint(b.Packets, 10), b.Reason})
	}
	return table(w, bold(w, "PREFIX")+"\tSTATE\tENDS IN\tREPEATS\tPACKETS\tREASON", rows)
}
