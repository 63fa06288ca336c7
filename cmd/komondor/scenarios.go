package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newScenarios() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "scenarios", Short: "List the attacks of several steps that are under way, and what was seen, told and done", Args: noArgs,
		Long: `Lists the attacks of several steps that this node knows of: the steps that were seen, here
or by other members, and the actions that are still to come. Below are the alerts in their order: "local" is
what a sensor of this node has seen, "external" what another member has told, "assessment"
what this node did against it (komondor responses), "cooperative" what it told the others, and
"objective" that all steps were seen. They begin anew with the node; komondor alerts keeps
assessments and objectives.`,
		Example: "  komondor scenarios\n  komondor scenarios --json | jq -r '.alerts[] | [.time, .type, .says] | @tsv'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := at.client().Scenarios(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), s, func(w io.Writer) error { return printScenarios(w, s) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func printScenarios(w io.Writer, s control.Scenarios) error {
	if len(s.Open) == 0 && len(s.Alerts) == 0 {
		_, err := fmt.Fprintln(w, "No step of an attack of several steps was seen.")
		return err
	}
	var rows [][]string
	for _, o := range s.Open {
		var steps []string
		for _, step := range o.Steps {
			steps = append(steps, step.Says)
		}
		rows = append(rows, []string{o.Scenario, strings.Join(steps, ", "), strings.Join(o.Expected, ", ")})
	}
	if err := table(w, bold(w, "SCENARIO")+"\tSEEN\tEXPECTED", rows); err != nil {
		return err
	}
	rows = nil
	for _, a := range s.Alerts {
		count := ""
		if a.Count > 0 {
			count = strconv.Itoa(a.Count)
		}
		rows = append(rows, []string{a.Time.Local().Format(time.TimeOnly), a.Type, a.Scenario, a.Says, count, a.Action})
	}
	fmt.Fprintln(w)
	return table(w, bold(w, "TIME")+"\tALERT\tSCENARIO\tSAYS\tCOUNT\tACTION", rows)
}
