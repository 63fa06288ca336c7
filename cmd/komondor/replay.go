package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/node"
)

func newReplay() *cobra.Command {
	var p printer
	var read sensors
	var quorum int
	var together bool
	cmd := &cobra.Command{
		Use: "replay --read FORMAT=FILE...", Short: "Run the correlators over logs offline", Args: noArgs,
		Long: `Runs the same correlators that a node runs over logs, on the time of the events.
Each file is a sensor and an organisation of its own: judged alone by what the
rules ask for at home, and all together by what they ask for over a federation;
with --together the files are all of one node, whose duplicates count once.
Prints one alert for each attack, with --json one a line: the same bytes in whatever
order the files are named and their events come.

FORMAT is auto, or one that ` + "`komondor formats`" + ` lists: sshd, web-access, pcap and so on.`,
		Example: "  komondor replay --read sshd=host1.log --read sshd=host2.log\n  komondor replay --json --read suricata=eve.json | jq .key.value\n  komondor replay --situations --read suricata=eve.json\n  komondor replay --together --read suricata=eve.json --read snort-fast=alert",
		RunE: func(cmd *cobra.Command, _ []string) error {
			formats, err := read.formats(cmd)
			if err != nil {
				return err
			}
			sources, err := read.sources(formats, node.Pcap, "auto")
			if err != nil {
				return err
			}
			if len(sources) == 0 {
				return usageError{errors.New("nothing to read: say --read FORMAT=FILE, for instance --read sshd=/var/log/auth.log")}
			}
			own, err := read.own()
			if err != nil {
				return err
			}
			rules, err := read.loaded(quorum)
			if err != nil {
				return err
			}
			found, err := node.Replay(cmd.Context(), rules, sources, own, together)
			for _, s := range found.Sources {
				summary(cmd, s)
			}
			if err != nil {
				return err
			}
			printLinks(cmd.ErrOrStderr(), found.Links)
			if !p.json {
				return printReplayed(cmd.OutOrStdout(), found.Alerts)
			}
			for _, a := range found.Alerts {
				if err := jsonLine(cmd.OutOrStdout(), a); err != nil {
					return fmt.Errorf("print alert: %w", err)
				}
			}
			return nil
		},
	}
	p.register(cmd)
	read.register(cmd)
	read.registerReads(cmd)
	read.registerHome(cmd)
	read.registerProxies(cmd)
	read.registerRules(cmd)
	cmd.Flags().BoolVar(&together, "together", false, "the files are all of one node, as join reads them: what two sensors tell of one attack counts once")
	cmd.Flags().IntVar(&quorum, "quorum", 0, "how many organisations an alert needs (default: each rule's own, 2)")
	return cmd
}

// printLinks says how many events each relation has taken for one with others, and of which
// records the last ones are.
func printLinks(w io.Writer, links []correlate.Link) {
	count := map[string]int{}
	for _, l := range links {
		count[l.Relation.Name]++
	}
	for i, l := range links {
		last := !slices.ContainsFunc(links[i+1:], func(later correlate.Link) bool { return later.Relation.Name == l.Relation.Name })
		if last {
			fmt.Fprintf(w, "%s: %s taken for one with others, the last %s:%d with %s:%d\n",
				l.Relation.Name, amount(count[l.Relation.Name], "event"), l.Then.File, l.Then.Line, l.First.File, l.First.Line)
		}
	}
}
