//go:build yara

package payload

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hillu/go-yara/v4"
)

// noTryCatch keeps libyara's signal handlers out of the program (SCAN_FLAGS_NO_TRYCATCH): they are
// for files that shrink while they are mapped, and what we scan is memory.
const noTryCatch yara.ScanFlags = 4

// Library names the engine that rules are looked for with; empty in a build without one.
func Library() string { return "libyara" }

type yaraRules struct {
	rules   *yara.Rules
	scanner *yara.Scanner
	classes map[string]*class // by namespace and name
	about   circumstances
	matched []*class
}

// compile makes rules ready. A file is a namespace of its own, so that names may be used again in another.
func compile(sources []source, timeout time.Duration) (rules ruleset, warnings []string, err error) {
	compiler, err := yara.NewCompiler()
	if err != nil {
		return nil, nil, fmt.Errorf("start libyara: %w", err)
	}
	defer compiler.Destroy()
	compiler.DisableIncludes()
	for name := range (circumstances{}).variables {
		if err := compiler.DefineVariable(name, 0); err != nil {
			return nil, nil, fmt.Errorf("define %s for rules: %w", name, err)
		}
	}
	for _, s := range sources {
		before := len(compiler.Warnings)
		err := compiler.AddString(s.text, s.name)
		for _, w := range compiler.Warnings[before:] {
			warnings = append(warnings, fmt.Sprintf("%s:%d: %s", s.name, w.Line, w.Text))
		}
		if len(compiler.Errors) > 0 {
			e := compiler.Errors[0]
			if e.Line == 0 { // the end of the text
				e.Line = strings.Count(s.text, "\n") + 1
			}
			return nil, warnings, fmt.Errorf("rules: %s:%d: %s (%d in all): mend it, or take the file out", s.name, e.Line, e.Text, len(compiler.Errors))
		}
		if err != nil {
			return nil, warnings, fmt.Errorf("rules: %s: %w", s.name, err)
		}
	}
	y := &yaraRules{classes: make(map[string]*class)}
	if y.rules, err = compiler.GetRules(); err != nil {
		return nil, warnings, fmt.Errorf("rules: %w", err)
	}
	for _, r := range y.rules.GetRules() {
		if r.IsPrivate() {
			continue
		}
		c, err := classify(r.Identifier(), func(yield func(string, any) bool) {
			for _, m := range r.Metas() {
				if !yield(m.Identifier, m.Value) {
					return
				}
			}
		})
		if err != nil {
			y.rules.Destroy()
			return nil, warnings, fmt.Errorf("rules: %s:%d: %w", r.Namespace(), lineOf(sources, r.Namespace(), r.Identifier()), err)
		}
		y.classes[r.Namespace()+"\x00"+r.Identifier()] = c
	}
	if y.scanner, err = yara.NewScanner(y.rules); err != nil {
		y.rules.Destroy()
		return nil, warnings, fmt.Errorf("rules: %w", err)
	}
	// libyara counts whole seconds, and none are no limit.
	y.scanner.SetTimeout(max(timeout, time.Second)).SetFlags(yara.ScanFlagsFastMode | noTryCatch).SetCallback(y)
	return y, warnings, nil
}

// lineOf is where a rule begins in its file, which libyara does not tell of rules that it has compiled.
func lineOf(sources []source, name, rule string) int {
	for _, s := range sources {
		if begin := regexp.MustCompile(`\brule\s+` + rule + `\b`).FindStringIndex(s.text); s.name == name && begin != nil {
			return strings.Count(s.text[:begin[0]], "\n") + 1
		}
	}
	return 0
}

// variables are what rules can ask for by name.
func (a circumstances) variables(yield func(name string, value int) bool) {
	_ = yield("port", a.port) && yield("protocol", a.protocol)
}

func (y *yaraRules) scan(data []byte, about circumstances) ([]*class, error) {
	if about != y.about {
		for name, value := range about.variables {
			if err := y.scanner.DefineVariable(name, value); err != nil {
				return nil, err
			}
		}
		y.about = about
	}
	clear(y.matched)
	y.matched = y.matched[:0]
	err := y.scanner.ScanMem(data)
	if code := yara.Error(0); errors.As(err, &code) && code == yara.Error(scanTimeout) {
		return y.matched, errTimeout
	}
	return y.matched, err
}

// scanTimeout is libyara's ERROR_SCAN_TIMEOUT.
const scanTimeout = 26

// RuleMatching is called by libyara.
func (y *yaraRules) RuleMatching(_ *yara.ScanContext, r *yara.Rule) (abort bool, err error) {
	if c := y.classes[r.Namespace()+"\x00"+r.Identifier()]; c != nil {
		y.matched = append(y.matched, c)
	}
	return false, nil
}

func (y *yaraRules) close() {
	y.scanner.Destroy()
	y.rules.Destroy()
}
