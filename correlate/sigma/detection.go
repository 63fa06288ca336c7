package sigma

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Event is what a base rule asks of an event: the value of a field, and false where it has none.
type Event interface {
	Field(name string) (value string, ok bool)
}

// Matcher is a base rule's detection.
type Matcher interface {
	Matches(e Event) bool
	// Fields calls yield for each field that it asks for, with where it does.
	Fields(yield func(name string, at Position) bool) bool
	// Given is what is sure of the answer when of the event only one field is known.
	Given(e Event, field string) Truth
}

type (
	all     []Matcher
	some    []Matcher
	not     struct{ Matcher }
	compare struct {
		field  string
		at     Position
		holds  func(value string) bool
		absent bool // holds where the field is not there
	}
)

func (m all) Matches(e Event) bool {
	return !slices.ContainsFunc(m, func(m Matcher) bool { return !m.Matches(e) })
}

func (m some) Matches(e Event) bool {
	return slices.ContainsFunc(m, func(m Matcher) bool { return m.Matches(e) })
}

func (m not) Matches(e Event) bool { return !m.Matcher.Matches(e) }

func (c compare) Matches(e Event) bool {
	value, ok := e.Field(c.field)
	if !ok {
		return c.absent
	}
	return c.holds != nil && c.holds(value)
}

func (m all) Fields(yield func(string, Position) bool) bool  { return fieldsOf(m, yield) }
func (m some) Fields(yield func(string, Position) bool) bool { return fieldsOf(m, yield) }

func (c compare) Fields(yield func(string, Position) bool) bool { return yield(c.field, c.at) }

func fieldsOf(list []Matcher, yield func(string, Position) bool) bool {
	return !slices.ContainsFunc(list, func(m Matcher) bool { return !m.Fields(yield) })
}

// readDetection reads named searches and the condition that joins them.
func readDetection(v Value) (Matcher, error) {
	fields, err := v.pairs()
	if err != nil {
		return nil, err
	}
	searches := map[string]Matcher{}
	var names []string
	var condition *Value
	for _, f := range fields {
		name := f.key.Text()
		if name == "condition" {
			condition = &f.value
			continue
		}
		if searches[name], err = readSearch(f.value); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if condition == nil {
		return nil, v.At().Errorf("condition: is missing, for instance `condition: selection`")
	}
	return parseCondition(*condition, searches, names)
}

// readSearch reads a map, all of which must hold, or a list of maps, one of which must.
func readSearch(v Value) (Matcher, error) {
	var either some
	for _, item := range v.Items() {
		fields, err := item.pairs()
		if err != nil {
			return nil, err
		}
		var each all
		for _, f := range fields {
			m, err := readItem(f)
			if err != nil {
				return nil, err
			}
			each = append(each, m)
		}
		either = append(either, each)
	}
	if len(either) == 1 {
		return either[0], nil
	}
	return either, nil
}

// readItem reads "field|modifier: value", or with a list of values, one of which must hold; with the
// modifier all, each of them.
func readItem(f pair) (Matcher, error) {
	name, modifiers, _ := strings.Cut(f.key.Text(), "|")
	how, every := "", false
	for m := range strings.SplitSeq(modifiers, "|") {
		switch m {
		case "":
		case "all":
			every = true
		case "contains", "startswith", "endswith", "cidr", "gt", "gte", "lt", "lte", "exists":
			if how != "" {
				return nil, f.key.At().Errorf("%s: two modifiers, %s and %s: want one, and perhaps all", name, how, m)
			}
			how = m
		default:
			return nil, f.key.At().Errorf("%s: there is no modifier %q here: want contains, startswith, endswith, cidr, gt, gte, lt, lte, exists or all", name, m)
		}
	}
	var values []Matcher
	for _, v := range f.value.Items() {
		c, err := readValue(name, how, v)
		if err != nil {
			return nil, err
		}
		values = append(values, c)
	}
	if every {
		return all(values), nil
	}
	return some(values), nil
}

func readValue(name, how string, v Value) (c compare, err error) {
	c = compare{field: name, at: v.At()}
	want := strings.ToLower(v.Text())
	switch how {
	case "":
		if v.node.Tag == "!!null" {
			c.absent = true
			return c, nil
		}
		if !strings.ContainsAny(want, "*?") {
			c.holds = func(s string) bool { return strings.EqualFold(s, want) }
			return c, nil
		}
		pattern := escapeClasses(want)
		if _, err := path.Match(pattern, ""); err != nil {
			return c, v.At().Errorf("%q: %v", v.Text(), err)
		}
		// A field's value is no path: what path.Match would stop at is written otherwise.
		pattern = strings.ReplaceAll(pattern, "/", "\x00")
		c.holds = func(s string) bool {
			ok, _ := path.Match(pattern, strings.ReplaceAll(strings.ToLower(s), "/", "\x00"))
			return ok
		}
	case "contains":
		c.holds = func(s string) bool { return strings.Contains(strings.ToLower(s), want) }
	case "startswith":
		c.holds = func(s string) bool { return strings.HasPrefix(strings.ToLower(s), want) }
	case "endswith":
		c.holds = func(s string) bool { return strings.HasSuffix(strings.ToLower(s), want) }
	case "exists":
		exists, err := v.Bool()
		c.absent = !exists
		c.holds = func(string) bool { return exists }
		return c, err
	case "cidr":
		prefix, err := netip.ParsePrefix(v.Text())
		if err != nil {
			return c, v.At().Errorf("%q: want a prefix, for instance 192.0.2.0/24", v.Text())
		}
		c.holds = func(s string) bool {
			addr, err := netip.ParseAddr(s)
			return err == nil && prefix.Contains(addr)
		}
	default:
		limit, err := strconv.ParseFloat(v.Text(), 64)
		if err != nil {
			return c, v.At().Errorf("%q: want a number to compare with", v.Text())
		}
		c.holds = func(s string) bool {
			n, err := strconv.ParseFloat(s, 64)
			return err == nil && (how == "gt" && n > limit || how == "gte" && n >= limit || how == "lt" && n < limit || how == "lte" && n <= limit)
		}
	}
	return c, nil
}

// escapeClasses leaves * and ? as the only signs with a meaning, as in Sigma.
func escapeClasses(s string) string { return strings.ReplaceAll(s, "[", `\[`) }
