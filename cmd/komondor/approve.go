package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
)

func newApprove() *cobra.Command {
	var at place
	var p printer
	var all bool
	cmd := &cobra.Command{
		Use: "approve ADDRESS|PREFIX...", Short: "Block what waits for a person", Args: cobra.ArbitraryArgs,
		Long: `Blocks what others' evidence asks for and this node leaves to a person: with
--network approve all of it, otherwise what is in doubt. ` + "`komondor blocks`" + ` shows
what waits, and why.`,
		Example: "  komondor blocks\n  komondor approve 203.0.113.9\n  komondor approve --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			prefixes, err := waiting(args, all)
			if err != nil {
				return err
			}
			blocks, err := at.client().Approve(cmd.Context(), prefixes...)
			if err != nil {
				return err
			}
			err = p.value(cmd.OutOrStdout(), blocks, func(w io.Writer) error {
				for _, b := range blocks {
					fmt.Fprintf(w, "%s %s until %s\n", b.Prefix, b.State, b.Until.Local().Format(time.DateTime))
				}
				return nil
			})
			return errors.Join(err, missing(len(blocks), len(prefixes)))
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that waits")
	return cmd
}

func newReject() *cobra.Command {
	var at place
	var p printer
	var all bool
	cmd := &cobra.Command{
		Use: "reject ADDRESS|PREFIX...", Short: "Drop what waits for a person; only newer evidence asks again", Args: cobra.ArbitraryArgs,
		Example: "  komondor reject 203.0.113.9\n  komondor reject --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			prefixes, err := waiting(args, all)
			if err != nil {
				return err
			}
			n, err := at.client().Reject(cmd.Context(), prefixes...)
			if err != nil {
				return err
			}
			did := struct {
				Rejected int `json:"rejected"`
			}{n}
			return errors.Join(p.done(cmd.OutOrStdout(), did, fmt.Sprintf("%d rejected", n)), missing(n, len(prefixes)))
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that waits")
	return cmd
}

// waiting reads which blocks are meant; none are all.
func waiting(args []string, all bool) (prefixes []netip.Prefix, err error) {
	if all != (len(args) == 0) {
		return nil, usageError{errors.New("name addresses or prefixes of `komondor blocks`, or say --all")}
	}
	for _, arg := range args {
		prefix, err := prefixOf(arg)
		if err != nil {
			return nil, usageError{err}
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// missing says that of those named not all waited, or of none named none.
func missing(n, named int) error {
	switch {
	case n == 0:
		return errors.New("nothing of that waits; `komondor blocks` shows what does")
	case n < named:
		return fmt.Errorf("only %d of the %d that are named waited; `komondor blocks` shows what does", n, named)
	}
	return nil
}
