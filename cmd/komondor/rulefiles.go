package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/komondor/komondor/correlate"
)

// ruleFile is a file of rules with the rules and relations in it.
type ruleFile struct {
	path      string
	rules     []correlate.Rule
	relations []correlate.Relation
}

// loadRules reads files of rules, and directories with files that end in .yml or .yaml. All that is
// wrong in any of them is in the error.
func loadRules(paths []string) (files []ruleFile, err error) {
	var errs []error
	for _, path := range paths {
		found := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			yml, _ := filepath.Glob(filepath.Join(path, "*.yml"))
			yaml, _ := filepath.Glob(filepath.Join(path, "*.yaml"))
			if found = slices.Sorted(slices.Values(slices.Concat(yml, yaml))); len(found) == 0 {
				errs = append(errs, fmt.Errorf("rules: no file in %s ends in .yml or .yaml", path))
			}
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				errs = append(errs, fmt.Errorf("rules: %w", err))
				continue
			}
			rules, err := correlate.Load(path, text)
			relations, _ := correlate.LoadRelations(path, text) // its error is the same
			if err == nil && len(rules) == 0 && len(relations) == 0 {
				err = fmt.Errorf("%s: there is no correlation rule in it, and no relation", path)
			}
			errs = append(errs, err)
			files = append(files, ruleFile{path, rules, relations})
		}
	}
	return files, errors.Join(errs...)
}

// all are the rules of all files.
func all(files []ruleFile) (rules []correlate.Rule) {
	for _, f := range files {
		rules = slices.Concat(rules, f.rules)
	}
	return rules
}

// related are the relations of all files.
func related(files []ruleFile) (relations []correlate.Relation) {
	for _, f := range files {
		relations = slices.Concat(relations, f.relations)
	}
	return relations
}
