package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

func newRulesTest() *cobra.Command {
	var p printer
	var update bool
	cmd := &cobra.Command{
		Use: "test FILE...", Short: "Run the rules of files over the events beside them, and compare the alerts", Args: cobra.MinimumNArgs(1),
		Long: `The cases of rules/worm.yml are in the folder rules/worm: for each case NAME.events, events as
` + "`komondor parse`" + ` prints them (points that are left out are the kind's; the file of an
event stands for its sensor, an organisation of its own; lines that begin with # are for
people), and NAME.alerts, the alerts that ` + "`komondor replay --json`" + ` would print. A case without
alerts has an empty file. Only the rules and relations of that one file are loaded; if it has
nothing but relations, the built-in rules with them.`,
		Example: "  komondor rules test my-rules/\n  komondor rules test my-rules/worm.yml --update   # take what comes for what is wanted",
		RunE: func(cmd *cobra.Command, paths []string) error {
			files, err := loadRules(paths)
			if err != nil {
				return err
			}
			var failed []error
			rows := []caseRow{}
			for _, f := range files {
				rules, err := f.alone()
				if err != nil {
					return err
				}
				found, _ := filepath.Glob(filepath.Join(strings.TrimSuffix(f.path, filepath.Ext(f.path)), "*.events"))
				for _, path := range found {
					err := testRules(rules, path, update)
					if err != nil {
						failed = append(failed, err)
					}
					rows = append(rows, caseRow{f.path, path, err == nil})
				}
				if !p.json {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", f.path, amount(len(found), "case"))
				}
			}
			if len(rows) == 0 {
				failed = append(failed, errors.New("no cases: `komondor rules test --help` says where they are looked for"))
			}
			if p.json {
				failed = append(failed, jsonLine(cmd.OutOrStdout(), rows))
			}
			return errors.Join(failed...)
		},
	}
	p.register(cmd)
	cmd.Flags().BoolVar(&update, "update", false, "write the alerts that come into the cases")
	return cmd
}

// caseRow is a case in --json.
type caseRow struct {
	File   string `json:"file"` // of rules
	Events string `json:"events"`
	Passed bool   `json:"passed"`
}

// alone are the rules that a file's cases are run with.
func (f ruleFile) alone() (correlate.Rules, error) {
	list := f.rules
	if len(list) == 0 {
		list = correlate.Builtin()
	}
	rules, err := correlate.NewRules(list, event.Kind.Severity)
	if err != nil {
		return rules, err
	}
	return rules.With(f.relations...)
}

// testRules runs one case.
func testRules(rules correlate.Rules, events string, update bool) error {
	sensors, err := readEvents(events)
	if err != nil {
		return err
	}
	var got bytes.Buffer
	for _, a := range node.Correlate(rules, sensors) {
		if err := jsonLine(&got, a); err != nil {
			return err
		}
	}
	path := strings.TrimSuffix(events, ".events") + ".alerts"
	if update {
		return os.WriteFile(path, got.Bytes(), 0o644)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("what is wanted of %s is not known: %w (--update writes it)", events, err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		return fmt.Errorf("%s: the alerts are others\n got:\n%swant:\n%s", events, got.Bytes(), want)
	}
	return nil
}

// readEvents reads a case's events, by sensor.
func readEvents(path string) (sensors []node.Sensor, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	at := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		e := event.Event{Count: 1}
		strict := json.NewDecoder(bytes.NewReader(line))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&e); err != nil {
			return nil, fmt.Errorf("%s:%d: no event as `komondor parse` prints it: %w", path, number, err)
		}
		if e.Severity == 0 {
			e.Severity = e.Kind.Severity()
		}
		i, ok := at[e.File]
		if !ok {
			i = len(sensors)
			at[e.File], sensors = i, append(sensors, node.Sensor{Name: e.File})
		}
		sensors[i].Events = append(sensors[i].Events, e)
	}
	return sensors, lines.Err()
}
