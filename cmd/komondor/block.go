package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/node"
)

func newBlock() *cobra.Command {
	cmd := &cobra.Command{
		Use: "block", Short: "Block by hand, end a block, or end all", Args: noArgs,
		Example: "  komondor block add 203.0.113.9 --for 1h --reason 'reported by phone'\n  komondor block remove 203.0.113.9\n  komondor block flush",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newBlockAdd(), newBlockRemove(), newBlockFlush())
	return cmd
}

func newBlockAdd() *cobra.Command {
	var at place
	var p printer
	var d time.Duration
	var reason string
	cmd := &cobra.Command{
		Use: "add ADDRESS|PREFIX", Short: "Block an address or prefix; never-block addresses are refused", Args: cobra.ExactArgs(1),
		Example: "  komondor block add 203.0.113.9 --for 1h --reason 'reported by phone'\n  komondor block add 2001:db8:1:2::/64",
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix, err := prefixOf(args[0])
			if err != nil {
				return usageError{err}
			}
			if d < 0 {
				return usageError{fmt.Errorf("--for %s: want a time ahead, for instance 1h", d)}
			}
			b, err := at.client().Block(cmd.Context(), prefix, d, reason)
			if err != nil {
				return err
			}
			return p.done(cmd.OutOrStdout(), b, fmt.Sprintf("%s %s until %s", b.Prefix, b.State, b.Until.Local().Format(time.DateTime)))
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().Var((*span)(&d), "for", "how long, for instance 90m, 12h or 7d (default: the policy's)")
	cmd.Flags().StringVar(&reason, "reason", "", "why: a `text` for komondor blocks")
	return cmd
}

func newBlockRemove() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "remove ADDRESS|PREFIX", Short: "End a block", Args: cobra.ExactArgs(1),
		Example: "  komondor block remove 203.0.113.9",
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix, err := prefixOf(args[0])
			if err != nil {
				return usageError{err}
			}
			if err := at.client().Unblock(cmd.Context(), prefix); err != nil {
				return err
			}
			did := struct {
				Prefix netip.Prefix `json:"prefix"`
			}{prefix}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("%s is not blocked any more", prefix))
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func newBlockFlush() *cobra.Command {
	var at place
	var p printer
	var tableName string
	cmd := &cobra.Command{
		Use: "flush", Short: "End all blocks; works without a running node", Args: noArgs,
		Long: "Ends all blocks. If no node runs, it removes the nftables tables that nodes have used, and\n" +
			"ends the blocks that the data directory keeps, so that a restart does not bring them back.",
		Example: "  komondor block flush\n  komondor block flush --data /var/lib/komondor",
		RunE: func(cmd *cobra.Command, _ []string) error {
			done := "the node goes on"
			ended, err := at.client().FlushBlocks(cmd.Context())
			if errors.Is(err, control.ErrNoNode) {
				path, tables := filepath.Join(at.data, "komondor.db"), []string(nil)
				ended, tables, err = node.Flush(path, tableName)
				done = "no node runs here, and the kernel has no table inet " + strings.Join(tables, ", inet ") + " any more"
				if _, missing := os.Stat(path); missing != nil {
					done += "; no node has kept blocks in " + at.data
				}
			}
			if err != nil {
				return err
			}
			did := struct {
				Ended int `json:"ended"`
			}{ended}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("%s ended; %s", amount(ended, "block"), done))
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().StringVar(&tableName, "table", "", "a further nftables `table` of ours to remove, where no node runs (default: komondor, if none is known)")
	return cmd
}

func prefixOf(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return prefix, fmt.Errorf("%q is no address and no prefix: want for instance 203.0.113.9 or 203.0.113.0/24", s)
	}
	return prefix, nil
}
