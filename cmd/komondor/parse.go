package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

func newParse() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "parse FILE...", Short: "Print every evidence line of logs as one JSON event a line", Args: cobra.MinimumNArgs(1),
		Long: `Prints every line that is evidence as one JSON event a line; the lines of one
attempt are not merged here, that is the correlators' work. "-" is standard
input. A summary and the first malformed lines go to standard error.

Formats:
` + formats(),
		Example: "  komondor parse --format auto /var/log/auth.log | jq -r .source.addr | sort | uniq -c",
		RunE: func(cmd *cobra.Command, files []string) error {
			out := bufio.NewWriter(cmd.OutOrStdout())
			var failed []error
			for _, path := range files {
				source, err := node.ParseSource(format + "=" + path)
				if err != nil {
					return usageError{err}
				}
				read, err := node.Read(cmd.Context(), source, func(e event.Event) error { return jsonLine(out, e) })
				if err != nil {
					failed = append(failed, err)
				}
				if read.Path != "" {
					summary(cmd, read)
				}
			}
			return errors.Join(append(failed, out.Flush())...)
		},
	}
	cmd.Flags().StringVar(&format, "format", "auto", "the files' `format`")
	return cmd
}

func summary(cmd *cobra.Command, s control.Source) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s (%s): %d lines, %d events, %d malformed, %d cut\n",
		s.Path, s.Format, s.Lines, s.Events, s.Malformed, s.Truncated)
	if s.Lines > 0 && s.Events == 0 && s.Malformed == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "  no evidence in any line: is it really %s?\n", s.Format)
	}
	for _, example := range s.Examples {
		fmt.Fprintf(cmd.ErrOrStderr(), "  %s\n", printable(example))
	}
	if s.Malformed > uint64(len(s.Examples)) {
		fmt.Fprintf(cmd.ErrOrStderr(), "  and %d more\n", s.Malformed-uint64(len(s.Examples)))
	}
}
