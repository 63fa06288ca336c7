package web

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// modsecurity finds ModSecurity's message in that of the server. Version 2 names the client
// once more before it.
func modsecurity(m []byte) (message []byte, ok bool) {
	if again, isAgain := text.CutPrefix(m, "[client "); isAgain {
		if _, m, ok = bytes.Cut(again, []byte("] ")); !ok {
			return nil, false
		}
	}
	return text.CutPrefix(m, "ModSecurity: ")
}

// rule reads "… [id "930100"] [msg "…"] [severity "CRITICAL"] … [unique_id "…"]". Names and values
// of the request stand before and in it, so that a client can choose what it is
// accused of, and not who is.
func (e *webError) rule(m []byte) (event.Kind, bool) {
	id := attribute(m, ` [id "`)
	n, ok := text.Number(id)
	if !ok || len(id) > 7 {
		return "", false
	}
	e.ruleID = id
	if what := attribute(m, ` [msg "`); what != nil {
		e.message = what
	}
	if at := bytes.LastIndex(m, []byte(` [unique_id "`)); at >= 0 {
		e.request = attribute(m[at:], ` [unique_id "`)
	}
	if bytes.Count(m, []byte(` [id "`)) > 1 { // who sends attributes wants to be taken for less
		return event.HTTPExploit, true
	}
	denied := hasPrefix(m, "Access denied ")
	switch {
	// The Core Rule Set's numbers: what the server answered, and sums for people.
	case n >= 950000 && n < 960000:
		return event.HTTPRefused, denied
	case n >= 980000 && n < 990000:
		return "", false
	case n >= 913000 && n < 914000: // scanners, by their names
		return event.HTTPScan, true
	case n >= 910000 && n < 913000, n >= 920000 && n < 922000: // reputation and protocol
		return event.HTTPMalformed, true
	}
	switch severity := attribute(m, ` [severity "`); string(severity) {
	case "CRITICAL", "ERROR", "ALERT", "EMERGENCY", "0", "1", "2", "3":
		return event.HTTPExploit, true
	}
	return event.HTTPRefused, denied
}

// attribute reads a value in quotes.
func attribute(m []byte, label string) []byte {
	_, rest, ok := bytes.Cut(m, []byte(label))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return value
}
