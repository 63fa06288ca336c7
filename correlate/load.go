package correlate

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/komondor/komondor/correlate/sigma"
	"github.com/komondor/komondor/event"
)

// Extension is the key under which a rule's file has what Sigma does not know
// (docs/correlation.md).
const Extension = "komondor"

var (
	levels   = []string{"informational", "low", "medium", "high", "critical"}
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{2,60}$`)
)

// Load reads the rules of a file. All that is wrong is in the error, as "FILE:LINE:COLUMN: what,
// and what to write instead".
func Load(file string, text []byte) ([]Rule, error) {
	rules, _, err := read(file, text)
	return rules, err
}

// LoadRelations reads the relations of a file, which may stand beside rules. Its error is Load's.
func LoadRelations(file string, text []byte) ([]Relation, error) {
	_, relations, err := read(file, text)
	return relations, err
}

func read(file string, text []byte) (rules []Rule, relations []Relation, err error) {
	documents, err := sigma.Parse(file, text, Extension)
	errs := []error{err}
	l := loader{base: map[string]sigma.Rule{}}
	for _, d := range documents {
		if d.Selects != nil {
			errs = append(errs, l.keep(d))
		}
	}
	for _, d := range documents {
		if d.Selects == nil && d.Correlation == nil {
			r, err := l.relation(d)
			errs, relations = append(errs, err), append(relations, r)
		}
		if d.Correlation == nil {
			continue
		}
		r, err := l.rule(d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		rules = append(rules, r)
		if d.Correlation.Generate {
			rules = append(rules, l.alone(r)...)
		}
	}
	return rules, relations, errors.Join(errs...)
}

// loader has the base rules of a file, by name and by id.
type loader struct {
	base map[string]sigma.Rule
}

// keep notes a base rule, and checks what it asks for.
func (l *loader) keep(d sigma.Rule) error {
	var errs []error
	d.Selects.Fields(func(name string, at sigma.Position) bool {
		if !slices.Contains(eventFields, name) {
			errs = append(errs, at.Errorf("events have no field %q: want one of %q", name, eventFields))
		}
		return true
	})
	for _, name := range []string{d.Name, d.ID} {
		if name != "" {
			l.base[name] = d
		}
	}
	if d.Extension != nil {
		errs = append(errs, d.Extension.At().Errorf("%s: belongs to correlation rules only", Extension))
	}
	return errors.Join(errs...)
}

func (l *loader) rule(d sigma.Rule) (r Rule, err error) {
	c := d.Correlation
	r = Rule{Name: d.Name, Title: d.Title, Description: d.Description, From: d.At.String(), Level: d.Level, Type: Type(c.Type)}
	if r.Level == "" {
		r.Level = "medium"
	}
	switch {
	case !nameForm.MatchString(r.Name):
		return r, badName(d)
	case !slices.Contains(levels, r.Level):
		return r, d.At.Errorf("level %q: want one of %q", r.Level, levels)
	}
	if err := l.counts(&r, c); err != nil {
		return r, err
	}
	if err := l.group(&r, c); err != nil {
		return r, err
	}
	if err := r.field(c); err != nil {
		return r, err
	}
	atLeast := c.AtLeast
	if r.Type.temporal() && atLeast == 0 {
		atLeast = len(r.Kinds)
	}
	if r.Type.temporal() && atLeast > len(r.Kinds) {
		return r, c.At.Errorf("condition: %d of %d rules is more than there are", atLeast, len(r.Kinds))
	}
	if r.Type == TemporalOrdered && atLeast != len(r.Kinds) {
		return r, c.At.Errorf("condition: all %d rules of a temporal_ordered rule must be met; leave the condition away", len(r.Kinds))
	}
	r.Home = Condition{Timespan: c.Timespan, AtLeast: atLeast, Quorum: 1}
	r.Federation = Condition{Timespan: c.Timespan, AtLeast: atLeast, Quorum: 2}
	if d.Extension != nil {
		if err := r.extend(*d.Extension); err != nil {
			return r, err
		}
	}
	if err := r.checkCrowd(); err != nil {
		return r, c.At.Errorf("%v", err)
	}
	if err := r.check(); err != nil {
		return r, c.At.Errorf("rule %s: %v", r.Name, err)
	}
	return r, nil
}

func badName(d sigma.Rule) error {
	return d.At.Errorf("name %q: want 3 to 61 lower-case letters, digits and hyphens, a letter first", d.Name)
}

// counts reads what the rule counts: kinds of events, and base rules.
func (l *loader) counts(r *Rule, c *sigma.Correlation) error {
	for _, v := range c.Rules {
		name := v.Text()
		r.Names = append(r.Names, name)
		if d, ok := l.base[name]; ok {
			s := Selection{Name: d.Name, From: d.At.String(), Matches: func(e event.Event) bool { return d.Selects.Matches(fields(e)) }}
			r.Kinds, r.Selections = append(r.Kinds, selected(d.Name)), append(r.Selections, s)
			continue
		}
		if !anyKind(name) {
			return noKind(v)
		}
		r.Kinds = append(r.Kinds, name)
	}
	return nil
}

// anyKind reports whether the pattern matches a kind that there is.
func anyKind(pattern string) bool {
	return slices.ContainsFunc(event.Kinds(), func(k event.Kind) bool { return k.Matches(pattern) })
}

func noKind(v sigma.Value) error {
	return v.At().Errorf("rules: %q is neither a base rule of this file nor a kind of event, nor a beginning of some with .* behind it; kinds are %v", v.Text(), event.Kinds())
}

// group reads what the rule groups by: fields, and aliases of them.
func (l *loader) group(r *Rule, c *sigma.Correlation) error {
	var parts []event.Selector
	var at sigma.Position
	for _, v := range c.GroupBy {
		at = v.At()
		alias, ok := c.Aliases[v.Text()]
		if !ok {
			parts = append(parts, event.Selector(v.Text()))
			continue
		}
		if err := aliased(r, v, alias); err != nil {
			return err
		}
		parts = append(parts, event.BySource)
	}
	by, err := event.NewSelector(parts...)
	if err != nil {
		return at.Errorf("group-by: %v", err)
	}
	r.GroupBy = by
	return nil
}

// aliased has the selections of a rule see their events with the address that the alias names as
// the source: so a host that was attacked, and then attacks, has one key. Whole addresses of
// targets leave no host, so such a rule is judged at home only.
func aliased(r *Rule, v sigma.Value, fields map[string]string) error {
	if len(r.Selections) != len(r.Kinds) {
		return v.At().Errorf("aliases: %q needs base rules with names; a kind of event has none", v.Text())
	}
	for i := range r.Selections {
		s := &r.Selections[i]
		switch fields[s.Name] {
		case string(FieldSource):
		case string(FieldTarget):
			s.As, r.Local = byTarget, true
		default:
			return v.At().Errorf("aliases: %s: %q of %s: want source.ip or target.ip for each base rule", v.Text(), fields[s.Name], s.Name)
		}
		// A view of its own, since another rule may see the same events otherwise.
		s.Name = r.Name + "." + s.Name
		r.Kinds[i] = selected(s.Name)
	}
	return nil
}

func byTarget(e event.Event) (event.Event, bool) {
	e.Source, e.Target = event.Endpoint{Addr: e.Target.Addr}, event.Endpoint{Addr: e.Source.Addr}
	return e, e.Source.Addr.IsValid()
}

// field reads the condition's field.
func (r *Rule) field(c *sigma.Correlation) error {
	text := ""
	at := c.At
	if c.Field != nil {
		text, at = c.Field.Text(), c.Field.At()
	}
	switch r.Type {
	case ValueCount:
		if r.Field = Field(text); !slices.Contains(Fields(), r.Field) {
			return at.Errorf("condition: field %q: want one of %q", text, Fields())
		}
		if r.Field == FieldSource && r.GroupBy.Has(event.BySource) {
			return at.Errorf("condition: field %s: the rule groups by it, so there is one", text)
		}
	case ValueSum, ValueAverage:
		if text != "severity" {
			return at.Errorf("condition: field %q: want severity, the points of an event", text)
		}
	default:
		if text != "" {
			return at.Errorf("condition: a field does not go with %s", r.Type)
		}
	}
	return nil
}

// extend reads what Sigma does not know.
func (r *Rule) extend(v sigma.Value) error {
	fields, err := v.Fields("levels", "federation", "blocks", "local", "prefix")
	if err != nil {
		return err
	}
	for key, to := range map[string]*bool{"blocks": &r.Blocks, "local": &r.Local} {
		if f, ok := fields[key]; ok {
			if *to, err = f.Bool(); err != nil {
				return err
			}
		}
	}
	if l, ok := fields["levels"]; ok {
		if r.Home.Levels, err = readLevels(l, r.Home); err != nil {
			return err
		}
	}
	if p, ok := fields["prefix"]; ok {
		if err := r.prefix(p); err != nil {
			return err
		}
	}
	if f, ok := fields["federation"]; ok {
		return r.federate(f)
	}
	r.Federation.Levels = r.Home.Levels
	return nil
}

// federate reads the condition over the federation. Its levels are those at home in proportion to
// the threshold, unless it has its own.
func (r *Rule) federate(v sigma.Value) error {
	fields, err := v.Fields("timespan", "gte", "quorum", "levels")
	if err != nil {
		return err
	}
	if t, ok := fields["timespan"]; ok {
		if r.Federation.Timespan, err = t.Timespan(); err != nil {
			return err
		}
	}
	for key, to := range map[string]*int{"gte": &r.Federation.AtLeast, "quorum": &r.Federation.Quorum} {
		if n, ok := fields[key]; ok {
			if *to, err = n.Number(1); err != nil {
				return err
			}
		}
	}
	if l, ok := fields["levels"]; ok {
		r.Federation.Levels, err = readLevels(l, r.Federation)
		return err
	}
	r.Federation.Levels = r.Home.Threshold(r.Federation.AtLeast).Levels
	return nil
}

// readLevels reads the levels of a condition, in their order of urgency.
func readLevels(v sigma.Value, c Condition) ([]Level, error) {
	fields, err := v.Fields(WarningLevels()...)
	if err != nil {
		return nil, err
	}
	for _, name := range WarningLevels() {
		f, ok := fields[name]
		if !ok {
			continue
		}
		n, err := f.Number(1)
		if err != nil {
			return nil, err
		}
		c.Levels = append(c.Levels, Level{name, n})
		if err := c.checkLevels(); err != nil {
			return nil, f.At().Errorf("%v", err)
		}
	}
	return c.Levels, nil
}

// prefix reads what a rule that blocks prefixes asks of them.
func (r *Rule) prefix(v sigma.Value) error {
	fields, err := v.Fields("sources")
	if err != nil {
		return err
	}
	if n, ok := fields["sources"]; ok {
		if r.Sources, err = n.Number(2); err != nil {
			return err
		}
	}
	return nil
}

// The sources that a prefix must have evidence against.
const (
	usualSources = 4
	mostSources  = 64
)

// checkCrowd completes what a rule asks of prefixes, and checks that they can be judged.
func (r *Rule) checkCrowd() error {
	switch {
	case !r.Crowds() && r.Sources > 0:
		return errors.New("komondor: prefix: belongs to rules with group-by: [source.subnet] and blocks: true")
	case !r.Crowds():
		return nil
	case r.GroupBy != event.BySourceSubnet:
		return errors.New("group-by: a rule that blocks prefixes groups by source.subnet alone")
	case r.Type != ValueSum && r.Type != EventCount:
		return fmt.Errorf("type %s: a rule that blocks prefixes adds up: want value_sum or event_count", r.Type)
	}
	if r.Sources == 0 {
		r.Sources = usualSources
	}
	if r.Sources > mostSources {
		return fmt.Errorf("komondor: prefix: %d sources: want up to %d", r.Sources, mostSources)
	}
	return nil
}

// alone are the base rules of a rule that says generate: each event of them is an alert by itself.
func (l *loader) alone(of Rule) (rules []Rule) {
	for _, s := range of.Selections {
		base := l.base[strings.TrimPrefix(s.Name, of.Name+".")]
		level := base.Level
		if level == "" {
			level = "low"
		}
		c := Condition{Timespan: of.Home.Timespan, AtLeast: 1, Quorum: 1}
		rules = append(rules, Rule{Name: base.Name, Title: base.Title, Description: base.Description, From: base.At.String(), Level: level, Type: EventCount, Local: true,
			Kinds: []string{selected(s.Name)}, GroupBy: of.GroupBy, Field: fieldOf(of.GroupBy), Home: c, Federation: c, Selections: []Selection{s}})
	}
	return rules
}

// eventFields are what a base rule may ask for.
var eventFields = []string{
	"kind", "source.ip", "source.port", "target.ip", "target.port", "protocol", "vulnerability", "user", "detail", "sensor", "severity", "count", "proof",
}

// fields is an event as base rules see it.
type fields event.Event

// Field is the value of a field as text.
func (f fields) Field(name string) (string, bool) {
	text := func(s string) (string, bool) { return s, s != "" }
	number := func(n int) (string, bool) { return strconv.Itoa(n), n != 0 }
	address := func(a netip.Addr) (string, bool) { return a.String(), a.IsValid() }
	switch name {
	case "kind":
		return text(string(f.Kind))
	case "source.ip":
		return address(f.Source.Addr)
	case "source.port":
		return number(int(f.Source.Port))
	case "target.ip":
		return address(f.Target.Addr)
	case "target.port":
		return number(int(f.Target.Port))
	case "protocol":
		return text(f.Protocol)
	case "vulnerability":
		return text(f.Vulnerability)
	case "user":
		return text(f.User)
	case "detail":
		return text(f.Detail)
	case "sensor":
		return text(f.Sensor)
	case "severity":
		return strconv.Itoa(f.Severity), true
	case "count":
		return number(f.Count)
	case "proof":
		return f.Proof.String(), true
	}
	return "", false
}
