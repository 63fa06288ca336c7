package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

func newRules() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Check, list, test and explain the rules of correlation", Args: noArgs,
		Long: `Rules are Sigma correlation rules, with kinds of events in the place of base rules or
beside them, and what Sigma does not know under the key komondor: docs/correlation.md.`,
		Example: "  komondor rules list\n  komondor rules check my-rules/",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newRulesCheck(), newRulesList(), newRulesTest(), newRulesExplain())
	return cmd
}

func newRulesCheck() *cobra.Command {
	var p printer
	cmd := &cobra.Command{
		Use: "check FILE...", Short: "Say what is wrong with files of rules, and where", Args: cobra.MinimumNArgs(1),
		Long: `Reads files of rules, or directories with files that end in .yml or .yaml, together with
the built-in rules. Errors are FILE:LINE:COLUMN: what is wrong, and what to write instead.
With --json they are also in the answer.`,
		Example: "  komondor rules check my-rules/ && sudo komondor join --rules my-rules/ --read sshd=/var/log/auth.log\n  komondor rules check --json my-rules/ | jq -r '.errors[]'",
		RunE: func(cmd *cobra.Command, paths []string) error {
			files, err := loadRules(paths)
			if err == nil {
				err = beside(files)
			}
			found := rulesChecked{Files: []ruleFileRow{}, Errors: each(err)}
			for _, f := range files {
				found.Files = append(found.Files, ruleFileRow{f.path, len(f.rules), len(f.relations)})
			}
			return p.checked(cmd.OutOrStdout(), found, err, func(w io.Writer) error {
				for _, f := range found.Files {
					fmt.Fprintf(w, "%s: %s", f.File, amount(f.Rules, "rule"))
					if f.Relations > 0 {
						fmt.Fprintf(w, ", %s", amount(f.Relations, "relation"))
					}
					fmt.Fprintln(w)
				}
				return nil
			})
		},
	}
	p.register(cmd)
	return cmd
}

// rulesChecked is what rules check --json prints.
type rulesChecked struct {
	Files  []ruleFileRow `json:"files"`
	Errors []string      `json:"errors"`
}

// ruleFileRow is a file of rules in --json.
type ruleFileRow struct {
	File      string `json:"file"`
	Rules     int    `json:"rules"` // without those that are wrong
	Relations int    `json:"relations"`
}

// beside says what is wrong with files of rules beside the built-in ones.
func beside(files []ruleFile) error {
	rules, err := node.Rules(0, all(files)...)
	if err != nil {
		return err
	}
	_, err = rules.With(related(files)...)
	return err
}

// ruleRow is a rule in --json.
type ruleRow struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Type       string   `json:"type"`
	Counts     []string `json:"counts"`
	GroupBy    string   `json:"group_by"`
	Level      string   `json:"level"`
	Blocks     bool     `json:"blocks"`
	Local      bool     `json:"local"`
	Home       string   `json:"home"`
	Federation string   `json:"federation"`
}

func newRulesList() *cobra.Command {
	var p printer
	var read sensors
	cmd := &cobra.Command{
		Use: "list", Short: "List the built-in rules, and those that are named", Args: noArgs,
		Example: "  komondor rules list\n  komondor rules list --situations\n  komondor rules list --rules my-rules/ --json | jq -r '.[].name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := read.loaded(0)
			if err != nil {
				return err
			}
			rows := []ruleRow{}
			for _, r := range rules.All() {
				rows = append(rows, rowOfRule(r))
			}
			for _, r := range rules.Relations() {
				rows = append(rows, relationRow(r))
			}
			return p.value(cmd.OutOrStdout(), rows, func(w io.Writer) error { return printRules(w, rows) })
		},
	}
	read.registerRules(cmd)
	p.register(cmd)
	return cmd
}

func rowOfRule(r correlate.Rule) ruleRow {
	home, federation := node.Conditions(r)
	return ruleRow{r.Name, r.Title, string(r.Type), counted(r), string(r.GroupBy), r.Level, r.Blocks, r.Local, home, federation}
}

// relationRow is a relation in the list of rules: it holds for a node's own events.
func relationRow(r correlate.Relation) ruleRow {
	row := ruleRow{Name: r.Name, Title: r.Title, Type: string(r.Type), Local: true, Home: "within " + node.Span(r.Within)}
	var same []string
	for _, s := range r.Stages {
		row.Counts = append(row.Counts, s.Names...)
	}
	for _, s := range r.Same {
		same = append(same, s.String())
	}
	row.GroupBy = strings.Join(same, ",")
	return row
}

func printRules(w io.Writer, rows []ruleRow) error {
	var cells [][]string
	for _, r := range rows {
		does := "informs"
		switch {
		case r.Blocks:
			does = "blocks"
		case r.Federation == "":
			does = r.Type // a relation
		}
		cells = append(cells, []string{r.Name, r.GroupBy, r.Home, r.Federation, r.Level, does})
	}
	return table(w, "RULE\tGROUPS BY\tAT HOME\tOVER THE FEDERATION\tLEVEL\tDOES", cells)
}

func newRulesExplain() *cobra.Command {
	var p printer
	var read sensors
	cmd := &cobra.Command{
		Use: "explain RULE", Short: "Say what a rule finds, where its evidence meets and what follows; print its file", Args: cobra.ExactArgs(1),
		Example: "  komondor rules explain ssh-brute-force\n  komondor rules explain situation-2-3\n  komondor rules explain many-services --rules my-rules/",
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := read.loaded(0)
			if err != nil {
				return err
			}
			r := named(slices.Concat(rules.All(), correlate.Situations()), args[0])
			relation := slices.IndexFunc(rules.Relations(), func(r correlate.Relation) bool { return r.Name == args[0] })
			switch {
			case relation >= 0:
				r := rules.Relations()[relation]
				return p.value(cmd.OutOrStdout(), relationRow(r), func(w io.Writer) error { explainRelation(w, r); return nil })
			case r == nil:
				return fmt.Errorf("there is no rule %s: `komondor rules list --situations` has all", args[0])
			}
			return p.value(cmd.OutOrStdout(), rowOfRule(*r), func(w io.Writer) error { explainRule(w, *r); return nil })
		},
	}
	p.register(cmd)
	read.registerRules(cmd)
	return cmd
}

// named is the rule of that name; nil where there is none.
func named(rules []correlate.Rule, name string) *correlate.Rule {
	i := slices.IndexFunc(rules, func(r correlate.Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &rules[i]
}

// counted is what a rule counts, as its author has written it.
func counted(r correlate.Rule) []string {
	if len(r.Names) > 0 {
		return r.Names
	}
	return r.Kinds
}

func explainRule(w io.Writer, r correlate.Rule) {
	home, federation := node.Conditions(r)
	fmt.Fprintf(w, "%s: %s\n", bold(w, r.Name), r.Title)
	if r.Description != "" {
		fmt.Fprintln(w, r.Description)
	}
	fmt.Fprintf(w, "\ncounts       %s (%s)\n", strings.Join(counted(r), ", "), r.Type)
	fmt.Fprintf(w, "groups by    %s: all evidence with the same value meets at the nodes nearest to that key\n", r.GroupBy)
	fmt.Fprintf(w, "at home      %s\n", home)
	fmt.Fprintf(w, "federation   %s\n", federation)
	switch {
	case r.Blocks:
		fmt.Fprintln(w, "blocks       each source that crosses the threshold by itself, on evidence that proves it")
	default:
		fmt.Fprintln(w, "informs      nobody is blocked by it")
	}
	if named(slices.Concat(correlate.Builtin(), correlate.Situations()), r.Name) != nil {
		printFile(w, func(file string, _ []byte) bool { return path.Base(file) == r.Name+".yml" })
	}
}

func explainRelation(w io.Writer, r correlate.Relation) {
	fmt.Fprintf(w, "%s: %s\n", bold(w, r.Name), r.Title)
	if r.Description != "" {
		fmt.Fprintln(w, r.Description)
	}
	row := relationRow(r)
	var stages []string
	for _, s := range r.Stages {
		stages = append(stages, s.String())
	}
	fmt.Fprintf(w, "\n%-13s%s\n", r.Type, strings.Join(stages, ", then "))
	fmt.Fprintf(w, "in common    %s\n", cmp.Or(row.GroupBy, "that this node has seen them"))
	fmt.Fprintf(w, "within       %s\n", node.Span(r.Within))
	switch r.Type {
	case correlate.Duplicate:
		fmt.Fprintln(w, "counts       once, at the highest severity, where several sensors tell of it")
	case correlate.Confirmation:
		fmt.Fprintf(w, "counts       once, as %s of %s\n", r.Makes, amount(r.Makes.Severity(), "point"))
	case correlate.Consequence:
		fmt.Fprintf(w, "else         %s is an event\n", event.ConsequenceMissing)
	}
	if slices.ContainsFunc(correlate.BuiltinRelations(), func(b correlate.Relation) bool { return b.Name == r.Name }) {
		printFile(w, func(file string, text []byte) bool {
			relations, _ := correlate.LoadRelations(file, text)
			return slices.ContainsFunc(relations, func(of correlate.Relation) bool { return of.Name == r.Name })
		})
	}
}

// printFile prints the built-in files that holds says are wanted.
func printFile(w io.Writer, holds func(file string, text []byte) bool) {
	for file, text := range correlate.Files() {
		if holds(file, text) {
			fmt.Fprintf(w, "\n%s", text)
		}
	}
}
