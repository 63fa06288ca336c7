package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/testnet/attacker"
	"github.com/komondor/komondor/testnet/lab"
)

func newAttack() *cobra.Command {
	var pattern string
	var asJSON bool
	var list strings.Builder
	for _, p := range attacker.Patterns() {
		fmt.Fprintf(&list, "  %-10s  %s\n", p.Name, p.About)
	}
	cmd := &cobra.Command{
		Use: "attack", Short: "Attack the participants and say what came of it", Args: cobra.NoArgs,
		Long:    "Attacks in one pattern, or in all, one after the other, and prints a table.\nFails if what must happen did not. Patterns:\n" + list.String(),
		Example: "  testnet attack --pattern worm\n  testnet attack --pattern all --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := patterns(pattern)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			l, nodes, err := running(ctx)
			if err != nil {
				return err
			}
			var outcomes []lab.Outcome
			failed := false
			for _, p := range chosen {
				show := progress{cmd: cmd}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", p.Name, p.About)
				o, err := lab.Attack(ctx, l, nodes, p, show.tell)
				if err != nil {
					return err
				}
				show.scanned()
				outcomes = append(outcomes, o)
				failed = failed || len(o.Failures) > 0
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(outcomes)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "\n%d participants in %s\n\n", len(nodes), l.About())
				err = lab.Table(cmd.OutOrStdout(), outcomes)
			}
			if err == nil && failed {
				err = errFailed
			}
			return err
		},
	}
	cmd.Flags().StringVar(&pattern, "pattern", "worm", "which `pattern`, or all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON with stable names")
	return cmd
}

func patterns(name string) ([]attacker.Pattern, error) {
	all := attacker.Patterns()
	if name == "all" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(p attacker.Pattern) bool { return p.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no pattern %q; see `testnet attack --help`", name)
	}
	return all[i : i+1], nil
}

// progress shows each login as it is tried, and scans in one line.
type progress struct {
	cmd   *cobra.Command
	begin time.Time
	scans map[attacker.Outcome]int
}

func (p *progress) tell(a attacker.Attempt) {
	if p.begin.IsZero() {
		p.begin, p.scans = a.At, map[attacker.Outcome]int{}
	}
	if a.User == "" {
		p.scans[a.Outcome]++
		return
	}
	fmt.Fprintf(p.cmd.ErrOrStderr(), "  %5.1f s  %s -> %s  %-8s  %s\n", a.At.Sub(p.begin).Seconds(), a.Source, a.Target, a.User, a.Outcome)
}

func (p *progress) scanned() {
	for _, o := range []attacker.Outcome{attacker.Open, attacker.Closed, attacker.NoAnswer} {
		if n := p.scans[o]; n > 0 {
			fmt.Fprintf(p.cmd.ErrOrStderr(), "  %d connections: %s\n", n, o)
		}
	}
}
