package sigma

import (
	"path"
	"strings"
)

// parseCondition reads "selection and not (filter or 1 of other_*)" into the searches that it
// names: or binds less than and, and that less than not.
func parseCondition(v Value, searches map[string]Matcher, names []string) (Matcher, error) {
	text := strings.NewReplacer("(", " ( ", ")", " ) ").Replace(v.Text())
	p := conditionParser{at: v.At(), words: strings.Fields(text), searches: searches, names: names}
	if len(p.words) == 0 {
		return nil, p.at.Errorf("condition: is empty, want for instance selection")
	}
	m, err := p.either(0)
	if err == nil && len(p.words) > 0 {
		err = p.at.Errorf("condition: %q is too much", p.words[0])
	}
	return m, err
}

type conditionParser struct {
	at       Position
	words    []string // that are left
	searches map[string]Matcher
	names    []string // of the searches, in their order
}

// deepest is how deep a condition may be nested.
const deepest = 50

func (p *conditionParser) take(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *conditionParser) either(depth int) (Matcher, error) {
	m, err := p.each(depth)
	for err == nil && p.take("or") {
		var next Matcher
		next, err = p.each(depth)
		m = some{m, next}
	}
	return m, err
}

func (p *conditionParser) each(depth int) (Matcher, error) {
	m, err := p.one(depth)
	for err == nil && p.take("and") {
		var next Matcher
		next, err = p.one(depth)
		m = all{m, next}
	}
	return m, err
}

func (p *conditionParser) one(depth int) (Matcher, error) {
	switch {
	case depth > deepest:
		return nil, p.at.Errorf("condition: nested deeper than %d: name parts of it as searches", deepest)
	case p.take("not"):
		m, err := p.one(depth + 1)
		return not{m}, err
	case p.take("("):
		m, err := p.either(depth + 1)
		if err == nil && !p.take(")") {
			err = p.at.Errorf("condition: a ) is missing")
		}
		return m, err
	case len(p.words) >= 3 && strings.EqualFold(p.words[1], "of") && (p.words[0] == "1" || strings.EqualFold(p.words[0], "all")):
		every, pattern := p.words[0] != "1", p.words[2]
		p.words = p.words[3:]
		return p.of(every, pattern)
	case len(p.words) == 0:
		return nil, p.at.Errorf("condition: it ends too early")
	}
	name := p.words[0]
	p.words = p.words[1:]
	m, ok := p.searches[name]
	if !ok {
		return nil, p.at.Errorf("condition: there is no search %q: there are %q", name, p.names)
	}
	return m, nil
}

// of is "1 of name*", "all of name*" or with them in the place of a name.
func (p *conditionParser) of(every bool, pattern string) (Matcher, error) {
	var found []Matcher
	for _, name := range p.names {
		if ok, _ := path.Match(pattern, name); ok || pattern == "them" {
			found = append(found, p.searches[name])
		}
	}
	if len(found) == 0 {
		return nil, p.at.Errorf("condition: no search is called %q: there are %q", pattern, p.names)
	}
	if every {
		return all(found), nil
	}
	return some(found), nil
}
