package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newResponses() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "responses", Short: "List what was done against attacks beyond blocks, and what waits for a person", Args: noArgs,
		Long: `Lists what the units that respond were asked for, what became of it, and why: the
latest first. A response that is "waiting" is not carried out: a person decides
(komondor responses approve, reject). One that is "observed" only says what would be
done, because its unit is in mode observe (komondor join --respond UNIT=MODE).`,
		Example: "  komondor responses\n  komondor responses approve 1a2b3c4d\n  komondor responses undo 1a2b3c4d\n" +
			"  komondor responses --json | jq -r '.[] | select(.state == \"waiting\") | .id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			responses, err := at.client().Responses(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), responses, func(w io.Writer) error { return printResponses(w, responses) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.AddCommand(newResponsesAsk(),
		newDecision("approve", "Carry out a response that waits for a person", "  komondor responses approve 1a2b3c4d"),
		newDecision("reject", "Drop a response that waits for a person; only newer evidence asks again", "  komondor responses reject 1a2b3c4d"),
		newDecision("undo", "Undo what a response did: a flow or an address passes again, resets stop, a hook runs as --hook-undo says", "  komondor responses undo 1a2b3c4d"))
	return cmd
}

func newDecision(decision, short, example string) *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: decision + " ID", Short: short, Args: cobra.ExactArgs(1), Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := at.client().DecideResponse(cmd.Context(), args[0], decision)
			if err != nil {
				return err
			}
			if decision == "reject" { // a person has refused it, as was wanted
				return p.done(cmd.OutOrStdout(), r, sentence(r))
			}
			return p.response(cmd.OutOrStdout(), r)
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func newResponsesAsk() *cobra.Command {
	var at place
	var p printer
	var a control.Action
	var source, target string
	cmd := &cobra.Command{
		Use: "ask ACTION", Short: "Ask for an action by hand, as a scenario would: what its unit's mode allows is done", Args: cobra.ExactArgs(1),
		Long: `Asks for an action as a scenario's countermeasure would. The modes of the units
hold: in mode observe, which is the default, this only says what would be done. Fails
(exit code 1) where the unit refuses, or could not, and says why. Actions:
  block-source      --source                                      both ways, as komondor block add
  block-target      --target                                      what this host sends there
  block-flow        --source --target [--protocol [--port]]       by what is written in the packets
  reset-half-open   --target [--port]                             undoes a SYN flood of this host's
  kill-process      --executable --user
  run-hook          --hook                                        of komondor join --hook`,
		Example: "  komondor responses ask block-flow --source 192.0.2.53 --target 198.51.100.7 --protocol udp --port 53 --reason 'forged replies'\n" +
			"  komondor responses ask reset-half-open --target 198.51.100.80 --port 80\n" +
			"  komondor responses ask kill-process --executable /tmp/.x/miner --user www-data",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Action = args[0]
			for _, f := range []struct {
				name, value string
				into        *netip.Addr
			}{{"source", source, &a.Source}, {"target", target, &a.Target}} {
				var err error
				if f.value == "" {
					continue
				}
				if *f.into, err = netip.ParseAddr(f.value); err != nil {
					return usageError{fmt.Errorf("--%s %q: want an address, for instance 198.51.100.7", f.name, f.value)}
				}
			}
			r, err := at.client().Respond(cmd.Context(), a)
			if err != nil {
				return err
			}
			return p.response(cmd.OutOrStdout(), r)
		},
	}
	at.register(cmd)
	p.register(cmd)
	f := cmd.Flags()
	f.StringVar(&source, "source", "", "the `address` that the packets bear")
	f.StringVar(&target, "target", "", "the `address` that they go to")
	f.StringVar(&a.Protocol, "protocol", "", "tcp, udp or icmp; none for any")
	f.Uint16Var(&a.Port, "port", 0, "the target's `port`; 0 for any")
	f.StringVar(&a.Executable, "executable", "", "the absolute `path` of what runs")
	f.StringVar(&a.User, "user", "", "the `name` or number of the user that it runs as")
	f.StringVar(&a.Hook, "hook", "", "the `name` of a hook")
	f.StringVar(&a.Reason, "reason", "by hand", "why, for komondor responses and the log")
	return cmd
}

// response prints what became of a response. That its unit refused or could not is an error, which says why.
func (p *printer) response(w io.Writer, r control.Response) error {
	if r.State != "refused" && r.State != "failed" {
		return p.done(w, r, sentence(r))
	}
	failed := errors.New("response " + sentence(r))
	if !p.json {
		return failed
	}
	return errors.Join(jsonLine(w, r), failed)
}

// sentence says what became of a response.
func sentence(r control.Response) string {
	s := fmt.Sprintf("%s %s: %s", r.ID, r.State, r.Outcome)
	if r.State == "waiting" {
		s += "; waits: " + r.Hold
	}
	return printable(s)
}

// what is an action without its reason.
func what(a control.Action) string {
	s := a.Action
	for _, word := range []string{a.Protocol, shownAddr(a.Source, 0)} {
		if word != "" {
			s += " " + word
		}
	}
	if a.Target.IsValid() {
		s += " > " + shownAddr(a.Target, a.Port)
	}
	for _, word := range []string{a.Executable, a.User, a.Hook} {
		if word != "" {
			s += " " + word
		}
	}
	return s
}

func shownAddr(a netip.Addr, port uint16) string {
	switch {
	case !a.IsValid():
		return ""
	case port == 0:
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

func printResponses(w io.Writer, responses []control.Response) error {
	if len(responses) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was asked of the units that respond.")
		return err
	}
	var rows [][]string
	waiting := false
	for _, r := range responses {
		outcome := r.Outcome
		if r.State == "waiting" {
			outcome, waiting = fmt.Sprintf("%s; waits: %s", outcome, r.Hold), true
		}
		state := r.State
		if r.Undoable {
			state += " (can be undone)"
		}
		rows = append(rows, []string{r.ID, ago(r.Changed, time.Now()), state, what(r.Action), outcome, cmp.Or(r.Reason, "-")})
	}
	if err := table(w, bold(w, "ID")+"\tSINCE\tSTATE\tACTION\tOUTCOME\tREASON", rows); err != nil || !waiting {
		return err
	}
	_, err := fmt.Fprintln(w, "Decide about what waits: komondor responses approve ID, or komondor responses reject ID")
	return err
}
