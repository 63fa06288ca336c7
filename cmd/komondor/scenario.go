package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/correlate/scenario/draw"
	"github.com/komondor/komondor/event"
)

func newScenario() *cobra.Command {
	cmd := &cobra.Command{
		Use: "scenario", Short: "Check, list, draw, explain and replay scenarios of attacks", Args: noArgs,
		Long: `Scenarios are attacks of several steps, in the language LAMBDA: actions with what must hold
before and what holds after them, objectives, and countermeasures. Files of them end in
` + scenario.Extension + `; five come with Komondor: docs/scenarios.md.`,
		Example: "  komondor scenario list\n  komondor scenario graph bind-birthday\n  komondor scenario check my-scenarios/",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newScenarioCheck(), newScenarioList(), newScenarioGraph(), newScenarioExplain(), newScenarioReplay())
	return cmd
}

// scenarios is what commands are told of files beside the library that ships.
type scenarios struct{ paths []string }

func (s *scenarios) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.paths, "scenarios", nil, "a `file` of scenarios beside the built-in ones, or a directory of such; may be repeated")
}

// library is what ships, and what is named.
func (s *scenarios) library() (scenario.Library, error) {
	_, own, err := loadScenarios(s.paths)
	if err != nil {
		return scenario.Library{}, err
	}
	return scenario.NewLibrary(append(scenario.Builtin(), own...)...)
}

// named is the library's scenario of the name.
func (s *scenarios) named(name string) (*scenario.Scenario, error) {
	library, err := s.library()
	if err != nil {
		return nil, err
	}
	found, ok := library.Named(name)
	if !ok {
		return nil, fmt.Errorf("there is no scenario %s: `komondor scenario list` has all", name)
	}
	return found, nil
}

// loadScenarios reads files of scenarios, and directories with such files. All that is wrong in any of
// them is in the error.
func loadScenarios(paths []string) (files []string, all []*scenario.Scenario, err error) {
	var errs []error
	for _, path := range paths {
		found := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if found, err = filepath.Glob(filepath.Join(path, "*"+scenario.Extension)); err != nil || len(found) == 0 {
				errs = append(errs, fmt.Errorf("scenarios: no file in %s ends in %s", path, scenario.Extension))
			}
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				errs = append(errs, fmt.Errorf("scenarios: %w", err))
				continue
			}
			parsed, err := scenario.Parse(path, text)
			errs = append(errs, err)
			files, all = append(files, path), append(all, parsed...)
		}
	}
	return files, all, errors.Join(errs...)
}

// scenarioRow is a scenario in --json.
type scenarioRow struct {
	Name            string   `json:"name"`
	Title           string   `json:"title"`
	Within          string   `json:"within"`
	Actions         []string `json:"actions"`
	Objectives      []string `json:"objectives"`
	Countermeasures []string `json:"countermeasures"`
	Joins           []string `json:"joins"`
	Warnings        []string `json:"warnings"`
}

func rowOf(s *scenario.Scenario) scenarioRow {
	r := scenarioRow{Name: s.Name, Title: s.Title, Within: short(s.Within), Joins: s.Joins(), Warnings: append([]string{}, s.Warnings...)}
	for _, m := range s.Models {
		switch m.Role {
		case scenario.Action:
			r.Actions = append(r.Actions, m.String())
		case scenario.Objective:
			r.Objectives = append(r.Objectives, m.String())
		case scenario.Countermeasure:
			r.Countermeasures = append(r.Countermeasures, m.String())
		}
	}
	return r
}

func newScenarioCheck() *cobra.Command {
	var p printer
	var read sensors
	cmd := &cobra.Command{
		Use: "check [FILE...]", Short: "Say what is wrong with files of scenarios, and where",
		Long: `Reads files of scenarios, or directories with files that end in ` + scenario.Extension + `, together with those that
come with Komondor; without any, only those. Errors are FILE:LINE:COLUMN: what is wrong, and what
to write instead; with --json they are also in the answer. Warnings are about what may be meant
as it is. The rules whose alerts may be named (alert.RULE) are the built-in ones and those of
--rules.`,
		Example: "  komondor scenario check my-scenarios/\n  komondor scenario check mail.lambda && komondor scenario graph --scenarios mail.lambda mail-worm",
		RunE: func(cmd *cobra.Command, paths []string) error {
			rules, err := read.loaded(0)
			if err != nil {
				return err
			}
			_, checked, err := loadScenarios(paths)
			var library scenario.Library
			if err == nil {
				library, err = scenario.NewLibrary(append(scenario.Builtin(), checked...)...)
			}
			if len(paths) == 0 {
				checked = scenario.Builtin()
			}
			rows := []scenarioRow{}
			for _, s := range checked {
				row := rowOf(s)
				if err == nil { // otherwise nobody knows all that there is
					row.Warnings = append(row.Warnings, s.Unmet(told(rules, library))...)
				}
				rows = append(rows, row)
			}
			return p.checked(cmd.OutOrStdout(), scenariosChecked{rows, each(err)}, err, func(w io.Writer) error {
				for i, s := range checked {
					fmt.Fprintf(w, "%s: %s, %s, %s, %s\n", s.Name, amount(len(rows[i].Actions), "action"),
						amount(len(rows[i].Objectives), "objective"), amount(len(rows[i].Countermeasures), "countermeasure"), amount(len(s.Graph.Edges), "unifier"))
					for _, warning := range rows[i].Warnings {
						fmt.Fprintf(w, "  warning: %s\n", printable(warning))
					}
				}
				return nil
			})
		},
	}
	read.registerRules(cmd)
	p.register(cmd)
	return cmd
}

// scenariosChecked is what scenario check --json prints.
type scenariosChecked struct {
	Scenarios []scenarioRow `json:"scenarios"`
	Errors    []string      `json:"errors"`
}

// told are the kinds of what scenarios are told beside events: alerts of the rules, and what the library concludes.
func told(rules correlate.Rules, library scenario.Library) (kinds []event.Kind) {
	for _, r := range rules.All() {
		kinds = append(kinds, event.Kind("alert."+r.Name))
	}
	for _, s := range library.All() {
		kinds = append(kinds, s.Kind())
	}
	return kinds
}

func newScenarioList() *cobra.Command {
	var p printer
	var from scenarios
	cmd := &cobra.Command{
		Use: "list", Short: "List the built-in scenarios, and those that are named", Args: noArgs,
		Example: "  komondor scenario list\n  komondor scenario list --scenarios my-scenarios/ --json | jq -r '.[].name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			library, err := from.library()
			if err != nil {
				return err
			}
			rows := []scenarioRow{}
			var cells [][]string
			for _, s := range library.All() {
				r := rowOf(s)
				rows = append(rows, r)
				cells = append(cells, []string{r.Name, r.Within, fmt.Sprint(len(r.Actions)), strings.Join(r.Joins, ", "), r.Title})
			}
			return p.value(cmd.OutOrStdout(), rows, func(w io.Writer) error {
				return table(w, "SCENARIO\tWITHIN\tACTIONS\tJOINED BY\tTITLE", cells)
			})
		},
	}
	from.register(cmd)
	p.register(cmd)
	return cmd
}

func newScenarioGraph() *cobra.Command {
	var from scenarios
	var format string
	cmd := &cobra.Command{
		Use: "graph NAME", Short: "Draw which action makes which possible, and what countermeasures prevent", Args: cobra.ExactArgs(1),
		Long: `Draws the graph of correlations and anti-correlations of a scenario, as Figure 4(a) of paper 000
does: as text, for Graphviz (dot), or as a drawing (svg).`,
		Example: "  komondor scenario graph bind-birthday\n  komondor scenario graph --format svg bind-birthday > birthday.svg",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := from.named(args[0])
			if err != nil {
				return err
			}
			drawn, err := draw.Graph(s, format)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			_, err = cmd.OutOrStdout().Write(drawn)
			return err
		},
	}
	from.register(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, dot or svg")
	return cmd
}

func newScenarioExplain() *cobra.Command {
	var p printer
	var from scenarios
	cmd := &cobra.Command{
		Use: "explain NAME", Short: "Say what a scenario recognises, by what, and what it has done; print its file", Args: cobra.ExactArgs(1),
		Example: "  komondor scenario explain bind-birthday",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := from.named(args[0])
			if err != nil {
				return err
			}
			row := rowOf(s)
			return p.value(cmd.OutOrStdout(), row, func(w io.Writer) error {
				explainScenario(w, s, row)
				return nil
			})
		},
	}
	from.register(cmd)
	p.register(cmd)
	return cmd
}

func explainScenario(w io.Writer, s *scenario.Scenario, row scenarioRow) {
	fmt.Fprintf(w, "%s: %s\n", bold(w, s.Name), printable(s.Title))
	fmt.Fprintf(w, "\nwithin       %s: what is older counts no more\n", row.Within)
	fmt.Fprintf(w, "joined by    %s: steps are one attack where these agree\n", strings.Join(row.Joins, ", "))
	for _, m := range s.Models {
		fmt.Fprintf(w, "\n%s %s\n", m.Role, bold(w, m.String()))
		for _, b := range m.Binds {
			how := "seen as"
			if b.Follows {
				how = "seen as, if what it needs was seen,"
			}
			fmt.Fprintf(w, "  %s %s\n", how, b)
		}
		for _, b := range m.Refines {
			fmt.Fprintf(w, "  more of it is said by %s\n", b)
		}
		for _, l := range m.Pre {
			fmt.Fprintf(w, "  needs  %s\n", l)
		}
		for _, l := range m.Post {
			fmt.Fprintf(w, "  gives  %s\n", l)
		}
		for _, d := range m.Does {
			fmt.Fprintf(w, "  does   %s\n", d)
		}
	}
	if text, ok := scenario.Files()["library/"+s.Name+scenario.Extension]; ok {
		fmt.Fprintf(w, "\n%s", text)
	}
}
