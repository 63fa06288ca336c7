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
)

const openNotice = `This is an open lab overlay: there are no certificates, and every node that
connects is believed to be an organisation of its own. Whoever starts as many
nodes as the quorum asks for can have any address blocked here. Private and
loopback addresses are allowed. Do not run it where that matters.`

func newJoin() *cobra.Command {
	var (
		at      place
		c       node.Config
		read    sensors
		pass    passphrase
		act     responding
		own     scenarios
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "join [INVITATION | BOOTSTRAP...]",
		Short: "Run a node: redeem an invitation, go on as a member, or run in an open lab",
		Long: `Runs a node until it is interrupted, is told to end or its terminal hangs up (SIGINT,
SIGTERM, SIGHUP; under nohup it goes on). It reads its rules and its configuration at
the start; files of --yara are read again when they change.

The first time, an INVITATION that a member has made (` + "`komondor invite`" + `) is redeemed
for a certificate; from then on, and on the node that founded the federation
(` + "`komondor init`" + `), the data directory says all, and an invitation is not used.

BOOTSTRAP are addresses of nodes to join by (` + "`komondor status`" + ` shows a node's
addresses). A member has those of its invitation, and remembers others; in an
open lab the first node has none.

With --open: ` + openNotice + `

Every flag can stand in the configuration file under its own name, for instance
"listen: [/ip4/0.0.0.0/tcp/4001]"; flags on the command line win.

In --read FORMAT is auto, or one that ` + "`komondor formats`" + ` lists: sshd, web-access, pcap and so on.`,
		Example: `  komondor join komondor-invitation-... --data /var/lib/komondor --read sshd=/var/log/auth.log
  komondor join --read sshd=/var/log/auth.log --network approve
  komondor join --read sshd=/var/log/auth.log --widest-ipv4 28 --widest-ipv6 56
  komondor join --read suricata=/var/log/suricata/eve.json --situations --rules my-rules/
  komondor join --read sshd=/var/log/auth.log --opinions lift --opinions-quorum 3
  komondor join --capacity 1/4 --read sshd=/var/log/auth.log
  komondor join --read live=eth0 --respond flow=auto --respond reset=auto --respond hook=approve --hook page=/usr/local/bin/page,--urgent
  komondor join --read live=eth0 --home 198.51.100.0/24 --follow bind-birthday --respond reset=auto --respond flow=approve
  komondor join --leaf --read sshd=/var/log/auth.log
  komondor join --open --data /tmp/a --listen /ip4/127.0.0.1/tcp/4001 --read sshd=/var/log/auth.log --block observe
  komondor join --open /ip4/127.0.0.1/tcp/4001/p2p/12D3Koo... --data /tmp/b --listen /ip4/127.0.0.1/tcp/4002 --block observe`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, bootstrap []string) error {
			file, err := readConfiguration(read.config, cmd.Flags().Changed("config"))
			if err != nil {
				return err
			}
			if err := file.configure(cmd.Flags()); err != nil {
				return err
			}
			if c.OpinionsQuorum == 0 { // which stands for the default there
				return usageError{errors.New("--opinions-quorum 0: want 1 or more")}
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
			formats, err := read.withProcesses(file.formats())
			if err != nil {
				return err
			}
			if c.Home, err = read.own(); err != nil {
				return err
			}
			if c.Sources, err = read.sources(formats, node.Live, node.Pcap); err != nil {
				return err
			}
			files, err := loadRules(read.rules)
			if err != nil {
				return err
			}
			c.Rules, c.Relations, c.Situations = all(files), related(files), read.seven
			if _, c.Scenarios, err = loadScenarios(own.paths); err != nil {
				return err
			}
			if c.Respond, c.Hooks, err = act.read(); err != nil {
				return usageError{err}
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
	read.register(cmd)
	read.registerReads(cmd)
	read.registerHome(cmd)
	read.registerProxies(cmd)
	read.registerRules(cmd)
	f.IntVar(&read.watch.RingMiB, "packet-ring", 32, "how many `MiB` of an interface's packets may wait to be looked at, 1 to 1024: more is for bursts, where komondor status shows that packets are lost")
	f.BoolVar(&c.Open, "open", false, "run in an open lab overlay without certificates (see above)")
	f.StringSliceVar(&c.Bootstrap, "bootstrap", nil, "`addresses` to join by, beside the arguments")
	f.StringSliceVar(&c.Listen, "listen", []string{"/ip4/0.0.0.0/tcp/4001"}, "`multiaddrs` to listen on")
	f.StringSliceVar(&c.Announce, "announce", nil, "further `multiaddrs` at which others reach this node, for instance /ip4/198.51.100.7/tcp/4001 where a NAT forwards that port")
	f.StringVar(&c.Capacity, "capacity", "", "for which `share` of the keys near to it this node collects the others' reports: 1, 1/2, 1/4, 1/8 or 0 (default 1, and 0 for a leaf)")
	f.BoolVar(&c.Leaf, "leaf", false, "only report and act: collect for nobody, and hang on three other nodes; needs no address at which others reach it")
	f.IntVar(&c.Quorum, "quorum", 0, "how many organisations an alert needs here; a federation's policy can only be made stricter: what has less waits for a person")
	f.StringVar(&c.Network, "network", "auto", "what evidence of others may do: `auto` blocks, approve waits for a person, observe shows it; own detections always block")
	f.StringSliceVar(&c.Allow, "allow", nil, "`addresses`, prefixes and host names never to block")
	own.register(cmd)
	f.StringSliceVar(&c.Follow, "follow", nil, "`names` of the scenarios to follow, all or none; komondor scenarios shows what is under way (default all)")
	f.StringVar(&c.Block, "block", "", "how to block: `nft`, or observe to only show it (default nft as root, else observe)")
	f.StringVar(&c.Table, "table", "komondor", "the nftables `table` of family inet to make and use")
	f.StringVar(&c.Opinions, "opinions", "show", "what others' opinions that an alert is false may do: `show` them, or lift the blocks that rest on the evidence of others")
	f.IntVar(&c.OpinionsQuorum, "opinions-quorum", 2, "how many organisations must be of the opinion, for it to lift blocks")
	f.IntVar(&c.WidestIPv4, "widest-ipv4", 32, "the shortest prefix `length` that alerts may block of IPv4: 32 for single addresses, down to 24 where many sources of one subnet attack")
	f.IntVar(&c.WidestIPv6, "widest-ipv6", 64, "the same of IPv6: 64 for single customers, down to 48")
	f.StringVar(&c.HTTP, "http", "", "also serve status, alerts and blocks read-only on this `address`, for instance 127.0.0.1:4080")
	act.register(cmd)
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
