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
	var read sensors
	cmd := &cobra.Command{
		Use: "parse FILE...", Short: "Print every evidence line of logs as one JSON event a line", Args: cobra.MinimumNArgs(1),
		Long: `Prints every line that is evidence as one JSON event a line; the lines of one
attempt are not merged here, that is the correlators' work. "-" is standard
input; files may be compressed by gzip. A summary and the first malformed lines go to standard error.

FORMAT is auto, or one that ` + "`komondor formats`" + ` lists: sshd, web-access, pcap and so on.`,
		Example: "  komondor parse --format auto /var/log/auth.log | jq -r .source.addr | sort | uniq -c",
		RunE: func(cmd *cobra.Command, files []string) error {
			formats, err := read.formats(cmd)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			var failed []error
			for _, path := range files {
				source, err := read.source(formats, format+"="+path)
				if err != nil {
					return err
				}
				state, err := node.Read(cmd.Context(), source, func(e event.Event) error { return jsonLine(out, e) })
				if unwritten := out.Flush(); unwritten != nil { // which is all that err says then
					return fmt.Errorf("events: %w", unwritten)
				}
				if err != nil {
					failed = append(failed, err)
				}
				if state.Path != "" {
					summary(cmd, state)
				}
			}
			return errors.Join(failed...)
		},
	}
	read.register(cmd)
	read.registerProxies(cmd)
	read.registerHome(cmd)
	cmd.Flags().StringVar(&format, "format", "auto", "the files' `format` (komondor formats)")
	return cmd
}

func summary(cmd *cobra.Command, s control.Source) {
	unit, really := "line", ""
	switch {
	case s.Format == node.Pcap:
		unit = "packet"
	case s.Doubtful:
		really = fmt.Sprintf(": is it really %s?", s.Format)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s (%s): %s, %s, %d malformed, %d cut\n",
		s.Path, s.Format, amount(s.Lines, unit), amount(s.Events, "event"), s.Malformed, s.Truncated)
	if s.Lines > 0 && s.Events == 0 && s.Malformed == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "  no evidence in any %s%s\n", unit, really)
	}
	for _, loss := range losses(s) {
		fmt.Fprintf(cmd.ErrOrStderr(), "  %s\n", loss)
	}
	for _, example := range s.Examples {
		fmt.Fprintf(cmd.ErrOrStderr(), "  %s\n", printable(example))
	}
	if s.Malformed > uint64(len(s.Examples)) {
		fmt.Fprintf(cmd.ErrOrStderr(), "  and %d more\n", s.Malformed-uint64(len(s.Examples)))
	}
}
