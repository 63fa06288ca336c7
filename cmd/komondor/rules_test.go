package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/correlate"
)

const ruleFolder = "../../correlate/rules"

func komondor(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var printed bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&printed)
	root.SetErr(&printed)
	err = root.ExecuteContext(t.Context())
	return printed.String(), err
}

// Each built-in rule finds what its cases say, and nothing in those that are innocent; and what
// relations take for one counts once.
func TestBuiltinRules(t *testing.T) {
	situations := filepath.Join(ruleFolder, "situations")
	out, err := komondor(t, "rules", "test", ruleFolder, situations, filepath.Join(ruleFolder, "relations"), filepath.Join(ruleFolder, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"web-log-lives", "ids-and-web", "two-ids", "attack-response", "web-exploit-runs"} {
		if !strings.Contains(out, other+".yml: 2 cases") {
			t.Errorf("relation %s: want a case in which something counts once, and one in which it does not", other)
		}
	}
	for _, r := range slices.Concat(correlate.Builtin(), correlate.Situations()) {
		if strings.Contains(out, r.Name+".yml: 0 cases") || !strings.Contains(out, r.Name+".yml: ") {
			t.Errorf("rule %s has no cases", r.Name)
		}
		found, _ := filepath.Glob(filepath.Join(ruleFolder, r.Name, "*.alerts"))
		if strings.HasPrefix(r.Name, "situation-") {
			found, _ = filepath.Glob(filepath.Join(situations, r.Name, "*.alerts"))
		}
		silent, loud := false, false
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			silent, loud = silent || info.Size() == 0, loud || info.Size() > 0
		}
		if !silent || !loud {
			t.Errorf("rule %s: want a case with alerts and one without", r.Name)
		}
	}
}
