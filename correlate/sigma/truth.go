package sigma

// Truth is what is sure of a detection's answer while not everything is known of an event.
type Truth int

// The truths, from the least to the most.
const (
	Never Truth = iota - 1
	Perhaps
	Always
)

func (m all) Given(e Event, field string) Truth {
	truth := Always
	for _, m := range m {
		truth = min(truth, m.Given(e, field))
	}
	return truth
}

func (m some) Given(e Event, field string) Truth {
	truth := Never
	for _, m := range m {
		truth = max(truth, m.Given(e, field))
	}
	return truth
}

func (m not) Given(e Event, field string) Truth { return -m.Matcher.Given(e, field) }

func (c compare) Given(e Event, field string) Truth {
	switch {
	case c.field != field:
		return Perhaps
	case c.Matches(e):
		return Always
	}
	return Never
}
