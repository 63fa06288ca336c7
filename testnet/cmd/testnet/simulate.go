package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/simulate"
)

func newSimulate() *cobra.Command {
	o := simulate.Defaults()
	var asJSON bool
	var out string
	cmd := &cobra.Command{
		Use: "simulate", Short: "Simulate overlays of up to a million nodes", Args: cobra.NoArgs,
		Long: `Runs virtual nodes in this process, by the product's own decisions: lookups,
the load of the collectors, and broadcasts with losses. The same seed gives the
same tables on any number of cores. A million nodes take some minutes and 3 GiB.`,
		Example: "  testnet simulate\n  testnet simulate --nodes 100,1000,10000,100000,1000000 --out build/simulate\n  testnet simulate --nodes 10000 --dead 0.2 --loss 0,0.3 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format, args...) }
			results, err := simulate.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if out != "" {
				if err := simulate.Draw(out, results); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Seed    uint64            `json:"seed"`
					Results []simulate.Result `json:"results"`
				}{o.Seed, results})
			}
			return simulate.Print(cmd.OutOrStdout(), o, results)
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&o.Nodes, "nodes", o.Nodes, "sizes of the networks")
	flags.IntVar(&o.Lookups, "lookups", o.Lookups, "lookups in each network")
	flags.IntVar(&o.Keys, "keys", o.Keys, "keys a node, for the load")
	flags.IntVar(&o.Events, "events", o.Events, "events of one key, for the messages per event")
	flags.IntVar(&o.Replicas, "replicas", o.Replicas, "collectors of a key")
	flags.Float64SliceVar(&o.Loss, "loss", o.Loss, "shares of the broadcast's frames and acknowledgements that are lost")
	flags.Float64Var(&o.Dead, "dead", o.Dead, "`share` of the nodes that are gone and still in the tables")
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "of all random choices")
	flags.BoolVar(&asJSON, "json", false, "print JSON with stable names")
	flags.StringVar(&out, "out", "", "draw SVG files into this `directory`")
	return cmd
}
