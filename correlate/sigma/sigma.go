// Package sigma reads rules in Sigma's format: base rules, which select single events, and
// correlation rules (Sigma correlation rules specification 2.1). It knows the format, and not
// which fields events have or how anything is counted.
package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Rule is one document of a file: a base rule, a correlation rule, or one that has nothing but an
// Extension.
type Rule struct {
	Title, ID, Name, Description, Level string
	// Selects is nil but for a base rule, Correlation but for a correlation rule.
	Selects     Matcher
	Correlation *Correlation
	// Extension is what stands under the key of the program that reads the rule.
	Extension *Value
	At        Position
}

// Correlation is the section of that name.
type Correlation struct {
	Type     string
	Rules    []Value // names of base rules, or what the program takes in their place
	GroupBy  []Value
	Timespan time.Duration
	// AtLeast is the condition's gte, or its gt and one more. It is 0 where there is no
	// condition, which temporal rules need not have.
	AtLeast int
	Field   *Value
	// Aliases give a name to fields that are called differently in different base rules: by
	// alias, and by base rule.
	Aliases  map[string]map[string]string
	Generate bool
	At       Position
}

// Types are the types of correlation that the specification has and that are read here.
func Types() []string {
	return []string{"event_count", "value_count", "value_sum", "value_avg", "temporal", "temporal_ordered"}
}

// Position is a place in a file.
type Position struct {
	File         string
	Line, Column int // count from 1
}

func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Errorf is an error about the place: "FILE:LINE:COLUMN: …".
func (p Position) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{p}, args...)...)
}

// malformed says where text is no YAML, as far as the YAML parser tells: it knows lines, and no columns.
func malformed(file string, err error) error {
	what, line := err.Error(), 0
	if _, scanErr := fmt.Sscanf(what, "yaml: line %d:", &line); scanErr != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	_, what, _ = strings.Cut(what, ": ")
	_, what, _ = strings.Cut(what, ": ")
	return Position{file, line, 1}.Errorf("%s: this is no YAML; look for a bracket, a quote or an indentation here or above", what)
}

// Value is a piece of YAML that knows where it stands.
type Value struct {
	node *yaml.Node
	file string
}

// At is where the value stands.
func (v Value) At() Position { return Position{v.file, v.node.Line, v.node.Column} }

// Text is a scalar's text, and empty for what is none.
func (v Value) Text() string {
	if v.node.Kind != yaml.ScalarNode {
		return ""
	}
	return v.node.Value
}

// Fields are a mapping's values; a key that is not known, or there twice, is an error.
func (v Value) Fields(known ...string) (map[string]Value, error) {
	all, err := v.pairs()
	if err != nil {
		return nil, err
	}
	fields := map[string]Value{}
	for _, p := range all {
		if !slices.Contains(known, p.key.Text()) {
			return nil, p.key.At().Errorf("there is no %q here: want one of %q", p.key.Text(), known)
		}
		if _, twice := fields[p.key.Text()]; twice {
			return nil, p.key.At().Errorf("%q is there twice: leave one of them", p.key.Text())
		}
		fields[p.key.Text()] = p.value
	}
	return fields, nil
}

type pair struct{ key, value Value }

func (v Value) pairs() (all []pair, err error) {
	if v.node.Kind != yaml.MappingNode {
		return nil, v.At().Errorf("want a mapping, `name: value` lines")
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		all = append(all, pair{Value{v.node.Content[i], v.file}, Value{v.node.Content[i+1], v.file}})
	}
	return all, nil
}

// Items are a list's elements, or the value itself where it is no list.
func (v Value) Items() (items []Value) {
	if v.node.Kind != yaml.SequenceNode {
		return []Value{v}
	}
	for _, n := range v.node.Content {
		items = append(items, Value{n, v.file})
	}
	return items
}

// Number is a whole number of at least the least.
func (v Value) Number(least int) (int, error) {
	n, err := strconv.Atoi(v.Text())
	if err != nil || n < least {
		return 0, v.At().Errorf("%q: want a whole number of %d or more", v.Text(), least)
	}
	return n, nil
}

// Bool is true or false.
func (v Value) Bool() (bool, error) {
	b, err := strconv.ParseBool(v.Text())
	if err != nil {
		return false, v.At().Errorf("%q: want true or false", v.Text())
	}
	return b, nil
}

// Timespan is a number with s, m, h or d, as the specification writes them.
func (v Value) Timespan() (time.Duration, error) {
	text := v.Text()
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if n := len(text) - 1; n > 0 {
		count, err := strconv.Atoi(text[:n])
		if unit := units[text[n]]; err == nil && unit > 0 && count > 0 && count < 1e5 {
			return time.Duration(count) * unit, nil
		}
	}
	return 0, v.At().Errorf("timespan %q: want a number with s, m, h or d behind it, for instance 10m", text)
}

// Parse reads the rules of a file. Extension is the key under which the program has what
// Sigma does not know. All that is wrong is in the error, each with its place.
func Parse(file string, text []byte, extension string) (rules []Rule, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var errs []error
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			errs = append(errs, malformed(file, err))
			break
		}
		if document.Kind == 0 || len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
			continue
		}
		r, err := readRule(Value{document.Content[0], file}, extension)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		rules = append(rules, r)
	}
	return rules, errors.Join(errs...)
}

// about are the keys that are for people, or for the tools that manage rules.
var about = []string{
	"title", "id", "name", "description", "level", "status", "author", "date", "modified", "references", "reference", "related",
	"tags", "falsepositives", "fields", "license", "taxonomy", "scope", "generate", "sigma-version",
}

func readRule(v Value, extension string) (r Rule, err error) {
	r.At = v.At()
	fields, err := v.Fields(append([]string{"logsource", "detection", "correlation", extension}, about...)...)
	if err != nil {
		return r, err
	}
	text := func(key string) string {
		if f, ok := fields[key]; ok {
			return f.Text()
		}
		return ""
	}
	r.Title, r.ID, r.Name, r.Description, r.Level = text("title"), text("id"), text("name"), text("description"), text("level")
	if x, ok := fields[extension]; ok {
		r.Extension = &x
	}
	detection, selects := fields["detection"]
	correlation, correlates := fields["correlation"]
	switch {
	case selects && correlates, !selects && !correlates && r.Extension == nil:
		return r, r.At.Errorf("want `detection:` (a base rule) or `correlation:` (a correlation rule), and not both")
	case r.Title == "" && !selects:
		return r, r.At.Errorf("title: is missing; say in a line what the rule finds")
	case r.Name == "" && r.ID == "":
		return r, r.At.Errorf("name: is missing; others refer to the rule by it")
	case selects:
		r.Selects, err = readDetection(detection)
		return r, err
	case !correlates:
		return r, nil
	}
	r.Correlation, err = readCorrelation(correlation)
	if err != nil {
		return r, err
	}
	if g, ok := fields["generate"]; ok {
		r.Correlation.Generate, err = g.Bool()
	}
	return r, err
}

func readCorrelation(v Value) (c *Correlation, err error) {
	c = &Correlation{At: v.At()}
	fields, err := v.Fields("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"type", "rules", "timespan", "group-by"} {
		if _, ok := fields[key]; !ok {
			return nil, c.At.Errorf("%s: is missing", key)
		}
	}
	if c.Type = fields["type"].Text(); !slices.Contains(Types(), c.Type) {
		return nil, fields["type"].At().Errorf("type %q: want one of %q", c.Type, Types())
	}
	c.Rules, c.GroupBy = fields["rules"].Items(), fields["group-by"].Items()
	if len(c.Rules) == 0 {
		return nil, fields["rules"].At().Errorf("rules: the list is empty")
	}
	if c.Timespan, err = fields["timespan"].Timespan(); err != nil {
		return nil, err
	}
	if g, ok := fields["generate"]; ok {
		if c.Generate, err = g.Bool(); err != nil {
			return nil, err
		}
	}
	if aliases, ok := fields["aliases"]; ok {
		if c.Aliases, err = readAliases(aliases); err != nil {
			return nil, err
		}
	}
	condition, ok := fields["condition"]
	temporal := c.Type == "temporal" || c.Type == "temporal_ordered"
	if !ok {
		if !temporal {
			return nil, c.At.Errorf("condition: is missing, for instance {gte: 10}")
		}
		return c, nil
	}
	return c, c.readCondition(condition)
}

// readCondition reads a lower bound. An upper one cannot be judged while evidence still comes.
func (c *Correlation) readCondition(v Value) error {
	fields, err := v.Fields("gte", "gt", "field", "lt", "lte", "eq", "neq")
	if err != nil {
		return err
	}
	for _, op := range []string{"lt", "lte", "eq", "neq"} {
		if f, ok := fields[op]; ok {
			return f.At().Errorf("%s: evidence still comes from others, so only gte and gt can be judged; what must not happen is a consequence rule's matter", op)
		}
	}
	if f, ok := fields["field"]; ok {
		c.Field = &f
	}
	gte, hasGte := fields["gte"]
	gt, hasGt := fields["gt"]
	switch {
	case hasGte == hasGt:
		return v.At().Errorf("condition: want one of gte and gt")
	case hasGte:
		c.AtLeast, err = gte.Number(1)
		return err
	}
	c.AtLeast, err = gt.Number(0)
	c.AtLeast++
	return err
}

func readAliases(v Value) (map[string]map[string]string, error) {
	aliases := map[string]map[string]string{}
	names, err := v.pairs()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rules, err := name.value.pairs()
		if err != nil {
			return nil, err
		}
		fields := map[string]string{}
		for _, r := range rules {
			fields[r.key.Text()] = r.value.Text()
		}
		aliases[name.key.Text()] = fields
	}
	return aliases, nil
}
