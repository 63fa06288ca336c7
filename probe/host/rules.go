package host

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Rule names what is suspicious. All that it asks for must hold; of a list one entry
// must match. In a pattern, * stands for any characters, also for none and for /.
type Rule struct {
	Name      string
	killed    bool     // of processes that are killed, not of programs that are run
	exe       patterns // of the program's path
	args      patterns // of the whole command line, in any case
	parent    patterns // of who started or killed it; unknown ones match none
	notParent patterns // of who may
	users     []string // names, or numbers in decimal
	deleted   bool     // the program's file has no name
}

// Rules are rules that were checked.
type Rules []Rule

//go:embed rules.yaml
var builtin []byte

// Builtin returns the rules that come with Komondor.
func Builtin() Rules {
	rules, err := Load("rules.yaml", builtin)
	if err != nil {
		panic(err) // it is a constant: a mistake in it shows in every test
	}
	return rules
}

// Match returns the first rule that a process meets. It allocates nothing.
func (rs Rules) Match(p Process) (Rule, bool) {
	var room [MaxArgs]byte
	args := room[:min(len(p.Args), MaxArgs)]
	lower(args, p.Args)
	has := lettersOf(args)
	for i := range rs {
		if rs[i].meets(p, args, has) {
			return rs[i], true
		}
	}
	return Rule{}, false
}

// meets tells whether a process, with its command line in lower case, meets the rule.
func (r *Rule) meets(p Process, args []byte, has letters) bool {
	return r.killed == p.Killed &&
		(!r.deleted || p.Deleted) &&
		(len(r.parent) == 0 || r.parent.match(p.Parent, anything)) &&
		(len(r.exe) == 0 || r.exe.match(p.Exe, anything)) &&
		(len(r.users) == 0 || r.of(p)) &&
		!r.notParent.match(p.Parent, anything) &&
		(len(r.args) == 0 || r.args.match(args, has))
}

func (r *Rule) of(p Process) bool {
	for _, u := range r.users {
		if u == string(p.User) || isNumber(u, p.UID) {
			return true
		}
	}
	return false
}

// isNumber tells whether s is n in decimal.
func isNumber(s string, n uint32) bool {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != '0'+byte(n%10) {
			return false
		}
		if n /= 10; n == 0 {
			return i == 0
		}
	}
	return false
}

const (
	maxRules    = 256
	maxPatterns = 64 // of a list
	maxPattern  = 128
)

// Load reads rules from YAML, and says with file and line all that is wrong with them.
func Load(file string, text []byte) (Rules, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s: want a list of rules, each beginning with \"- name: …\"", file)
	}
	l := loader{file: file}
	var rules Rules
	for _, node := range document.Content[0].Content {
		r := l.rule(node)
		if slices.ContainsFunc(rules, func(other Rule) bool { return other.Name == r.Name }) {
			l.fail(node, "there are two rules of the name %q", r.Name)
		}
		rules = append(rules, r)
	}
	if len(rules) > maxRules {
		l.errs = append(l.errs, fmt.Errorf("%s: %d rules, want %d at the most", file, len(rules), maxRules))
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return rules, nil
}

// loader gathers what is wrong.
type loader struct {
	file string
	errs []error
}

func (l *loader) fail(node *yaml.Node, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s:%d: %s", l.file, node.Line, fmt.Sprintf(format, args...)))
}

func (l *loader) rule(node *yaml.Node) (r Rule) {
	if node.Kind != yaml.MappingNode {
		l.fail(node, "want a rule, which begins with \"name: …\"")
		return r
	}
	fields := map[string]any{"name": &r.Name, "killed": &r.killed, "deleted": &r.deleted,
		"exe": &r.exe, "args": &r.args, "parent": &r.parent, "not_parent": &r.notParent, "users": &r.users}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, ok := fields[key.Value]
		if !ok {
			l.fail(key, "there is no %q, only name, exe, args, parent, not_parent, users, deleted and killed", key.Value)
			continue
		}
		into, list := field, []string(nil)
		if _, ok := field.(*patterns); ok {
			into = &list
		}
		if err := value.Decode(into); err != nil {
			l.fail(value, "%s: want %s", key.Value, wanted(into))
			continue
		}
		switch field := field.(type) {
		case *patterns:
			l.check(value, key.Value, list)
			*field = compile(list, key.Value == "args")
		case *[]string:
			l.check(value, key.Value, *field)
		}
	}
	switch {
	case r.Name == "" || len(r.Name) > maxPattern:
		l.fail(node, "the rule has no name, or one of more than %d bytes", maxPattern)
	case r.killed && len(r.exe) == 0:
		l.fail(node, "rule %q: name in exe whose end matters", r.Name)
	case r.killed && (r.deleted || len(r.args) > 0):
		l.fail(node, "rule %q: of a process that was killed, neither args nor the file are known", r.Name)
	case len(r.exe)+len(r.args)+len(r.parent)+len(r.users) == 0 && !r.deleted:
		l.fail(node, "rule %q asks for nothing, so every program would match: give it exe, args, parent, users or deleted", r.Name)
	}
	return r
}

func wanted(field any) string {
	switch field.(type) {
	case *bool:
		return "true or false"
	case *string:
		return "a text"
	}
	return "a list of texts"
}

func (l *loader) check(node *yaml.Node, key string, list []string) {
	if len(list) == 0 || len(list) > maxPatterns {
		l.fail(node, "%s: want 1 to %d entries", key, maxPatterns)
	}
	for _, p := range list {
		if all(p) || len(p) > maxPattern {
			l.fail(node, "%s: %q matches everything or is longer than %d bytes", key, p, maxPattern)
		}
	}
}
