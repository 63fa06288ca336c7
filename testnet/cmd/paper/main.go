// Command paper finds the results of paper 002 again: tables on standard output,
// figures in a folder.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/komondor/komondor/testnet/paper"
)

func main() {
	o := paper.Defaults()
	pflag.StringVar(&o.Data, "data", o.Data, "the folder of real logs")
	pflag.StringVar(&o.Out, "out", o.Out, "the folder for the figures")
	pflag.Uint64Var(&o.Seed, "seed", o.Seed, "the same seed gives the same tables and figures")
	pflag.IntSliceVar(&o.Nodes, "nodes", o.Nodes, "the sizes at which overlays are compared")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := paper.Run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "paper:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "figures are in", o.Out)
}
