package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/node"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/audit"
	"github.com/komondor/komondor/probe/host"
)

// sensors is what the commands that read logs are told about them, by flags and by the
// configuration file.
type sensors struct {
	config  string
	reads   []string
	watch   node.Watch
	rules   []string
	seven   bool // the situations, too
	home    []string
	proxies []string
	process string
}

func (s *sensors) registerConfig(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.config, "config", "/etc/komondor/komondor.yaml", "configuration `file`, for the probes of your own in it; need not exist unless named")
}

func (s *sensors) register(cmd *cobra.Command) {
	s.registerConfig(cmd)
	cmd.Flags().StringVar(&s.process, "process-rules", "", "a `file` of rules for the programs of this host (process, auditd), in the place of the built-in ones: docs/probes/host.md")
	cmd.Flags().StringArrayVar(&s.watch.Rules, "yara", nil, "a file of YARA rules for the payload of packets, or a `directory` of such; may be repeated")
	cmd.Flags().IntVar(&s.watch.MemoryMiB, "packet-memory", 64, "how many `MiB` a source of packets may take for what it remembers of connections")
}

func (s *sensors) registerReads(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.reads, "read", nil, "a log to read, as `FORMAT=PATH`; may be repeated (komondor formats)")
}

func (s *sensors) registerHome(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&s.home, "home", nil, "`prefixes` of your own networks: what comes from there is kept, and held against nobody")
}

func (s *sensors) registerProxies(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&s.proxies, "proxies", nil, "`prefixes` of your own proxies: where an access log names one, the client that X-Forwarded-For names is blamed")
}

// own are the networks that are never accused: those at home, and the proxies.
func (s *sensors) own() ([]netip.Prefix, error) {
	home, err1 := prefixes("--home", s.home)
	proxies, err2 := prefixes("--proxies", s.proxies)
	return slices.Concat(home, proxies), cmp.Or(err1, err2)
}

// prefixes reads the values of a flag: addresses and prefixes.
func prefixes(flag string, values []string) (all []netip.Prefix, err error) {
	for _, v := range values {
		p, err := netip.ParsePrefix(v)
		if addr, errAddr := netip.ParseAddr(v); errAddr == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, usageError{fmt.Errorf("%s %q: want an address or a prefix, for instance 192.0.2.0/24", flag, v)}
		case p.Bits() == 0:
			return nil, usageError{fmt.Errorf("%s %s: that is everybody; name the networks that are your own", flag, v)}
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func (s *sensors) registerRules(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.rules, "rules", nil, "a `file` of rules beside the built-in ones, or a directory of such; may be repeated (komondor rules check)")
	cmd.Flags().BoolVar(&s.seven, "situations", false, "load the seven situations, too: attack, source and target in every combination, which costs five more keys an event (docs/correlation.md)")
}

// loaded are the built-in rules and relations, those of --rules and, where they are asked for, the situations.
func (s *sensors) loaded(quorum int) (correlate.Rules, error) {
	files, err := loadRules(s.rules)
	if err != nil {
		return correlate.Rules{}, err
	}
	own := all(files)
	if s.seven {
		own = append(correlate.Situations(), own...)
	}
	rules, err := node.Rules(quorum, own...)
	if err != nil {
		return rules, err
	}
	return rules.With(related(files)...)
}

// formats are the built-in ones and those of the configuration file, whose other settings are
// for join.
func (s *sensors) formats(cmd *cobra.Command) (probe.Formats, error) {
	file, err := readConfiguration(s.config, cmd.Flags().Changed("config"))
	if err != nil {
		return nil, err
	}
	return s.withProcesses(file.formats())
}

// withProcesses has auditd's log judged by the rules of --process-rules.
func (s *sensors) withProcesses(formats probe.Formats, err error) (probe.Formats, error) {
	if err != nil {
		return nil, err
	}
	s.watch.Processes = host.Builtin()
	if s.process == "" {
		return formats, nil
	}
	text, err := os.ReadFile(s.process)
	if err != nil {
		return nil, fmt.Errorf("--process-rules: %w", err)
	}
	if s.watch.Processes, err = host.Load(s.process, text); err != nil {
		return nil, err
	}
	return formats.Instead(audit.Format(s.watch.Processes))
}

// sources are what --read names. In packets are the formats that are, or may be, of packets for the command.
func (s *sensors) sources(formats probe.Formats, packets ...string) (sources []node.Source, err error) {
	for _, r := range s.reads {
		source, err := s.source(formats, r)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	ofPackets := func(s node.Source) bool { return slices.Contains(packets, s.Format) }
	if len(s.watch.Rules) > 0 && !slices.ContainsFunc(sources, ofPackets) {
		return nil, usageError{fmt.Errorf("--yara %s: its rules are for packets, and none are read; add a source of them, --read %s=INTERFACE (join) or --read %s=FILE", s.watch.Rules[0], node.Live, node.Pcap)}
	}
	return sources, nil
}

// source is what FORMAT=PATH names, told what all sources are told.
func (s *sensors) source(formats probe.Formats, named string) (source node.Source, err error) {
	if source, err = node.ParseSource(formats, named); err != nil {
		return source, usageError{err}
	}
	if source.Proxies, err = prefixes("--proxies", s.proxies); err != nil {
		return source, err
	}
	if s.watch.MemoryMiB < 1 {
		return source, usageError{fmt.Errorf("--packet-memory %d: want 1 MiB or more", s.watch.MemoryMiB)}
	}
	if s.watch.RingMiB < 0 || s.watch.RingMiB > 1024 {
		return source, usageError{fmt.Errorf("--packet-ring %d: want 1 to 1024 MiB", s.watch.RingMiB)}
	}
	source.Watch = s.watch
	source.Watch.Home, err = prefixes("--home", s.home)
	return source, err
}
