package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/node"
	"github.com/komondor/komondor/probe"
)

const openNotice = `This is an open lab overlay: there are no certificates, and every node that
connects is believed to be an organisation of its own. Whoever starts as many
nodes as the quorum asks for can have any address blocked here. Private and
loopback addresses are allowed. Do not run it where that matters.`

func newJoin() *cobra.Command {
	var (
		at      place
		c       node.Config
		reads   []string
		config  string
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "join [BOOTSTRAP...]",
		Short: "Run a node: join an overlay, or start one",
		Long: `Runs a node until it is interrupted. BOOTSTRAP are addresses of nodes to join by
(` + "`komondor status`" + ` shows a node's addresses); the first node of an overlay has
none. Federations with certificates are not built yet, so --open must be said.

` + openNotice + `

Every flag can stand in the configuration file under its own name, for instance
"listen: [/ip4/0.0.0.0/tcp/4001]"; flags on the command line win. Formats for
--read:
` + formats(),
		Example: `  komondor join --open --data /tmp/a --listen /ip4/127.0.0.1/tcp/4001 --read sshd=/var/log/auth.log --block observe
  komondor join --open /ip4/127.0.0.1/tcp/4001/p2p/12D3Koo... --data /tmp/b --listen /ip4/127.0.0.1/tcp/4002 --block observe`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, bootstrap []string) error {
			if err := configure(cmd.Flags(), config, cmd.Flags().Changed("config")); err != nil {
				return err
			}
			c.Version, c.Data, c.Control = version, at.data, at.socket()
			c.Bootstrap = append(c.Bootstrap, bootstrap...)
			for _, r := range reads {
				source, err := node.ParseSource(r)
				if err != nil {
					return usageError{err}
				}
				c.Sources = append(c.Sources, source)
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			if c.Open {
				fmt.Fprintln(cmd.ErrOrStderr(), openNotice)
			}
			return join(cmd.Context(), cmd, c)
		},
	}
	at.register(cmd)
	f := cmd.Flags()
	f.StringVar(&config, "config", "/etc/komondor/komondor.yaml", "configuration `file`; need not exist unless named")
	f.BoolVar(&c.Open, "open", false, "run in an open lab overlay without certificates (see above)")
	f.StringSliceVar(&c.Bootstrap, "bootstrap", nil, "`addresses` to join by, beside the arguments")
	f.StringSliceVar(&c.Listen, "listen", []string{"/ip4/0.0.0.0/tcp/4001"}, "`multiaddrs` to listen on")
	f.StringArrayVar(&reads, "read", nil, "a log to read, as `FORMAT=PATH`; may be repeated")
	f.IntVar(&c.Quorum, "quorum", 0, "how many organisations an alert needs (default: each rule's own, 2)")
	f.StringSliceVar(&c.Allow, "allow", nil, "`addresses`, prefixes and host names never to block")
	f.StringVar(&c.Block, "block", "", "how to block: `nft`, or observe to only show it (default nft as root, else observe)")
	f.StringVar(&c.Table, "table", "komondor", "the nftables `table` of family inet to use")
	f.StringVar(&c.HTTP, "http", "", "also serve status, alerts and blocks read-only on this `address`, for instance 127.0.0.1:4080")
	f.BoolVar(&verbose, "verbose", false, "log more")
	return cmd
}

// memoryLimit is what the garbage collector aims to stay below; what a node keeps
// is bounded (docs/measurements.md, Memory). GOMEMLIMIT sets another.
const memoryLimit = 256 << 20

func join(ctx context.Context, cmd *cobra.Command, c node.Config) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if c.Block == "" {
		c.Block = "nft"
		if os.Geteuid() != 0 {
			c.Block = "observe"
			fmt.Fprintln(cmd.ErrOrStderr(), "Not root, so nothing is blocked: blocks are observed only. Run as root, or say --block nft with CAP_NET_ADMIN.")
		}
	}
	return node.Run(ctx, c, func(n *node.Node) {
		s := n.Status()
		fmt.Fprintf(cmd.ErrOrStderr(), "Node %s runs, blocks by %s. Others join by\n  komondor join --open %s ...\n",
			s.Node.ID, s.Block.Mode, strings.Join(s.Node.Addresses, " "))
	})
}

// formats lists what --read and --format know.
func formats() string {
	var text strings.Builder
	for _, f := range probe.Builtin() {
		fmt.Fprintf(&text, "  %-14s %s\n", f.Name, f.About)
	}
	fmt.Fprintf(&text, "  %-14s %s\n", "auto", "one of these, by how the file begins")
	return text.String()
}
