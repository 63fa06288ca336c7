package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/node"
	"github.com/komondor/komondor/probe"
)

func newFormats() *cobra.Command {
	var p printer
	var read sensors
	cmd := &cobra.Command{
		Use: "formats", Short: "List the formats of what can be read: logs, captures, and what is watched", Args: noArgs,
		Long: `Lists what FORMAT may be in --read FORMAT=PATH and in --format: the built-in formats, and
those of your own that the configuration file describes (docs/probes/custom.md). Each
family has a page in docs/probes.`,
		Example: "  komondor formats\n  komondor formats --json | jq -r '.[].name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			formats, err := read.formats(cmd)
			if err != nil {
				return err
			}
			rows := listed(formats)
			return p.value(cmd.OutOrStdout(), rows, func(w io.Writer) error {
				var cells [][]string
				for _, r := range rows {
					about := r.About
					if len(r.Aliases) > 0 {
						about += "; also called " + strings.Join(r.Aliases, ", ")
					}
					cells = append(cells, []string{r.Name, about})
				}
				return table(w, bold(w, "FORMAT")+"\tWHAT IT IS", cells)
			})
		},
	}
	read.registerConfig(cmd)
	p.register(cmd)
	return cmd
}

// formatRow is a format in --json.
type formatRow struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	About   string   `json:"about"`
}

// listed are the formats of logs, and what is read that is none.
func listed(formats probe.Formats) []formatRow {
	rows := []formatRow{{"auto", nil, "one of those below, by how the file begins"}}
	for _, f := range formats {
		rows = append(rows, formatRow{f.Name, f.Aliases, f.About})
	}
	return append(rows,
		formatRow{node.Pcap, nil, "packets that were captured, pcap or pcapng"},
		formatRow{node.Live, nil, "packets of an interface, which takes the place of PATH (join, Linux, as root)"},
		formatRow{node.Process, nil, "the programs that are run on this host, by the kernel's word; PATH is host (join, Linux, as root)"})
}
