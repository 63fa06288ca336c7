package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
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
		pass    passphrase
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "join [INVITATION | BOOTSTRAP...]",
		Short: "Run a node: redeem an invitation, go on as a member, or run in an open lab",
		Long: `Runs a node until it is interrupted. The first time, an INVITATION that a member has
made (` + "`komondor invite`" + `) is redeemed for a certificate; from then on, and on the
node that founded the federation (` + "`komondor init`" + `), the data directory says all,
and an invitation is not used.

BOOTSTRAP are addresses of nodes to join by (` + "`komondor status`" + ` shows a node's
addresses). A member has those of its invitation, and remembers others; in an
open lab the first node has none.

With --open: ` + openNotice + `

Every flag can stand in the configuration file under its own name, for instance
"listen: [/ip4/0.0.0.0/tcp/4001]"; flags on the command line win. Formats for
--read:
` + formats(),
		Example: `  komondor join komondor-invitation-... --data /var/lib/komondor --read sshd=/var/log/auth.log
  komondor join --read sshd=/var/log/auth.log --network approve
  komondor join --capacity 1/4 --read sshd=/var/log/auth.log
  komondor join --leaf --read sshd=/var/log/auth.log
  komondor join --open --data /tmp/a --listen /ip4/127.0.0.1/tcp/4001 --read sshd=/var/log/auth.log --block observe
  komondor join --open /ip4/127.0.0.1/tcp/4001/p2p/12D3Koo... --data /tmp/b --listen /ip4/127.0.0.1/tcp/4002 --block observe`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, bootstrap []string) error {
			err := configure(cmd.Flags(), config, cmd.Flags().Changed("config"))
			if err != nil {
				return err
			}
			if c.Leaf && !cmd.Flags().Changed("listen") {
				c.Listen = nil
			}
			c.Version, c.Data, c.Control = version, at.data, at.socket()
			if c.Passphrase, err = pass.read(); err != nil {
				return err
			}
			for _, arg := range bootstrap {
				if !federation.IsInvitation(arg) {
					c.Bootstrap = append(c.Bootstrap, arg)
				} else if c.Invitation != "" {
					return usageError{errors.New("two invitations: redeem one")}
				} else {
					c.Invitation = arg
				}
			}
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
	f.StringSliceVar(&c.Announce, "announce", nil, "further `multiaddrs` at which others reach this node, for instance /ip4/198.51.100.7/tcp/4001 where a NAT forwards that port")
	f.StringVar(&c.Capacity, "capacity", "", "for which `share` of the keys near to it this node collects the others' reports: 1, 1/2, 1/4, 1/8 or 0 (default 1, and 0 for a leaf)")
	f.BoolVar(&c.Leaf, "leaf", false, "only report and act: collect for nobody, and hang on three other nodes; needs no address at which others reach it")
	f.StringArrayVar(&reads, "read", nil, "a log to read, as `FORMAT=PATH`; may be repeated")
	f.IntVar(&c.Quorum, "quorum", 0, "how many organisations an alert needs here; a federation's policy can only be made stricter: what has less waits for a person")
	f.StringVar(&c.Network, "network", "auto", "what evidence of others may do: `auto` blocks, approve waits for a person, observe shows it; own detections always block")
	f.StringSliceVar(&c.Allow, "allow", nil, "`addresses`, prefixes and host names never to block")
	f.StringVar(&c.Block, "block", "", "how to block: `nft`, or observe to only show it (default nft as root, else observe)")
	f.StringVar(&c.Table, "table", "komondor", "the nftables `table` of family inet to use")
	f.StringVar(&c.HTTP, "http", "", "also serve status, alerts and blocks read-only on this `address`, for instance 127.0.0.1:4080")
	pass.register(cmd)
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
	if err := c.Check(); err != nil {
		return usageError{err}
	}
	return node.Run(ctx, c, func(n *node.Node) { greet(cmd.ErrOrStderr(), n.Status()) })
}

// greet says that the node runs, and how others join.
func greet(w io.Writer, s control.Status) {
	fmt.Fprintf(w, "Node %s runs, blocks by %s. ", s.Node.ID, s.Block.Mode)
	if s.Federation.Open && len(s.Node.Addresses) == 0 { // a leaf
		fmt.Fprintln(w, "Nobody joins by it, since it listens nowhere.")
		return
	}
	if s.Federation.Open {
		fmt.Fprintf(w, "Others join by\n  komondor join --open %s ...\n", strings.Join(s.Node.Addresses, " "))
		return
	}
	// It has met nobody yet, so it cannot say how safe the federation is.
	fmt.Fprintf(w, "Organisation %s of federation %s; `komondor status` says whom it has met, and how safe that is.\nOthers join by an invitation: komondor invite --organisation NAME\n",
		s.Federation.Organisation, s.Federation.Name)
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
