package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

func newScenarioReplay() *cobra.Command {
	var p printer
	var read sensors
	var from scenarios
	var events, hosts []string
	cmd := &cobra.Command{
		Use: "replay --read FORMAT=FILE... [NAME...]", Short: "Run scenarios over logs offline, and print the sequence of alerts",
		Long: `Runs the engine that a node runs over logs, on the time of the events. Each file is a
participant (a prevention cell), which tells the others of each step that it sees. Prints the
sequence of alerts as Figure 4(b) of paper 000 does: local ones, assessments (what is to be done
there), cooperative ones (what the others are told), and objectives that are reached. NAME are the
scenarios to look for, otherwise all.

--events reads events as ` + "`komondor parse`" + ` prints them; their file names the participant, or
NAME@ADDRESS the participant and the address of its host.

FORMAT is auto, or one that ` + "`komondor formats`" + ` lists: sshd, web-access, pcap and so on.`,
		Example: `  komondor scenario replay --read sshd=/var/log/auth.log --host /var/log/auth.log=192.0.2.10 ssh-takeover
  komondor scenario replay --read pcap=cell1.pcap --read pcap=cell2.pcap --home 192.0.2.0/24 bind-birthday
  komondor scenario replay --events attack.events --json | jq -r .says`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(read.reads)+len(events) == 0 {
				return usageError{errors.New("nothing to read: say --read FORMAT=FILE, for instance --read sshd=/var/log/auth.log, or --events FILE")}
			}
			library, err := from.chosen(names)
			if err != nil {
				return err
			}
			cells, err := replayedCells(cmd, &read, events, hosts)
			if err != nil {
				return err
			}
			sequence := scenario.Replay(library, scenario.Limits{}, cells)
			if !p.json {
				return printSequence(cmd.OutOrStdout(), sequence)
			}
			for _, a := range sequence {
				if err := jsonLine(cmd.OutOrStdout(), a); err != nil {
					return fmt.Errorf("print alert: %w", err)
				}
			}
			return nil
		},
	}
	p.register(cmd)
	from.register(cmd)
	read.register(cmd)
	read.registerReads(cmd)
	read.registerHome(cmd)
	read.registerProxies(cmd)
	cmd.Flags().StringArrayVar(&events, "events", nil, "a `file` of events, as komondor parse prints them; may be repeated")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "the address of the host whose log a file of --read is, as `FILE=ADDRESS`; may be repeated")
	return cmd
}

// chosen are the scenarios of the names, all where there is none.
func (s *scenarios) chosen(names []string) (scenario.Library, error) {
	library, err := s.library()
	if err != nil || len(names) == 0 {
		return library, err
	}
	var chosen []*scenario.Scenario
	for _, name := range names {
		found, err := s.named(name)
		if err != nil {
			return scenario.Library{}, err
		}
		chosen = append(chosen, found)
	}
	return scenario.NewLibrary(chosen...)
}

// replayedCells are the participants whose files are named, with what is in them.
func replayedCells(cmd *cobra.Command, read *sensors, events, hosts []string) (cells []scenario.Cell, err error) {
	home, err := read.own()
	if err != nil {
		return nil, err
	}
	host, err := hostAddresses(hosts)
	if err != nil {
		return nil, err
	}
	formats, err := read.formats(cmd)
	if err != nil {
		return nil, err
	}
	sources, err := read.sources(formats, node.Pcap, "auto")
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		cell := scenario.Cell{Name: source.Path}
		state, err := node.Read(cmd.Context(), source, func(e event.Event) error {
			cell.Seen = append(cell.Seen, scenario.FromEvent(e, cell.Name, host[source.Path], home))
			return cmd.Context().Err()
		})
		if err != nil {
			return nil, err
		}
		summary(cmd, state)
		cells = append(cells, cell)
	}
	for path := range host {
		if !slices.ContainsFunc(sources, func(s node.Source) bool { return s.Path == path }) {
			return nil, usageError{fmt.Errorf("--host %s: no --read names that file", path)}
		}
	}
	for _, path := range events {
		sensors, err := readEvents(path)
		if err != nil {
			return nil, err
		}
		for _, s := range sensors {
			name, at, _ := strings.Cut(s.Name, "@")
			cell := scenario.Cell{Name: name}
			address, err := netip.ParseAddr(at)
			if err != nil && at != "" {
				return nil, fmt.Errorf("%s: file %q: %w", path, s.Name, err)
			}
			for _, e := range s.Events {
				cell.Seen = append(cell.Seen, scenario.FromEvent(e, cell.Name, address, home))
			}
			cells = append(cells, cell)
		}
	}
	return cells, nil
}

// hostAddresses reads the values of --host.
func hostAddresses(values []string) (map[string]netip.Addr, error) {
	addresses := map[string]netip.Addr{}
	for _, v := range values {
		i := strings.LastIndexByte(v, '=')
		address, err := netip.ParseAddr(v[i+1:])
		if i < 1 || err != nil {
			return nil, usageError{fmt.Errorf("--host %s: want FILE=ADDRESS, for instance /var/log/auth.log=192.0.2.10", v)}
		}
		addresses[v[:i]] = address
	}
	return addresses, nil
}

// printSequence is the sequence of alerts for people.
func printSequence(w io.Writer, sequence []scenario.Alert) error {
	var rows [][]string
	for _, a := range sequence {
		what, says := a.Type, a.Says
		switch {
		case a.Do != nil:
			says = a.Do.String() + ", by " + a.Says + " against " + strings.Join(a.Against, ", ")
			if a.Doubt != "" {
				says += "; a person decides: " + a.Doubt
			}
		case a.Reached:
			says += ", and an objective is reached"
		}
		rows = append(rows, []string{fmt.Sprintf("t%d", a.T), a.Time.UTC().Format("2006-01-02 15:04:05"), a.Cell, what, a.Scenario, says})
	}
	return table(w, "\tTIME\tSEEN AT\tALERT\tSCENARIO\tWHAT", rows)
}
