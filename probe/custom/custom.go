// Package custom makes formats of what an administrator writes into the configuration
// file: regular expressions with named groups for lines of text, paths for lines of JSON.
//
// What it reads is as hostile as any log. A pattern is linear (RE2), and is tried only on
// lines that have a literal piece of it; and a line that the pattern could read in two ways,
// with two sources, is given up.
package custom

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// Formats makes a format of each probe in a list of the configuration file (docs/probes/custom.md).
// An error names the line in the file and what to write there instead; all that is wrong is in it.
func Formats(list *yaml.Node) ([]text.Format, error) {
	if list.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: probes: want a list, each of which begins with `- name: …`", list.Line)
	}
	var formats []text.Format
	var errs []error
	for _, node := range list.Content {
		s, err := read(node)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		formats = append(formats, s.format())
	}
	return formats, errors.Join(errs...)
}

// spec is one probe of the list.
type spec struct {
	name, about string
	program     string // where it logs to syslog
	service     event.Endpoint
	protocol    string
	proof       event.Proof
	timeForm    timeForm
	paths       map[string]string // of JSON: a field of the event to its path, names with dots between them
	matches     []match
}

// match is one kind of line.
type match struct {
	kind event.Kind

	// Of text.
	pattern    *regexp.Regexp
	lazy, last *regexp.Regexp // the same, but lazy prefers the shortest reading, and last the one that begins last
	literal    []byte         // what every line that matches holds

	// Of JSON: paths and the values that they must have.
	where []condition
}

type condition struct {
	path   string
	values []string
}

// fields are what a match may tell of the event.
var fields = []string{"time", "source", "source_port", "target", "target_port", "user", "detail", "vulnerability"}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,30}$`)

// read checks one probe of the list.
func read(node *yaml.Node) (s spec, err error) {
	var errs []error
	fail := func(n *yaml.Node, form string, args ...any) {
		errs = append(errs, fmt.Errorf("line %d: "+form, append([]any{n.Line}, args...)...))
	}
	values, err := mapping(node, "name", "about", "program", "service", "proof", "time", "json", "match")
	if err != nil {
		return s, err
	}
	at := func(key string) *yaml.Node {
		if n := values[key]; n != nil {
			return n
		}
		return node
	}
	s.name, s.about, s.program = scalar(values["name"]), scalar(values["about"]), scalar(values["program"])
	if !nameForm.MatchString(s.name) {
		fail(at("name"), "name: %q: want 2 to 31 lower-case letters, digits and hyphens, a letter first, for instance my-shop", s.name)
	}
	if s.about == "" {
		s.about = "your own, from the configuration file"
	}
	if text := scalar(values["service"]); text != "" {
		protocol, port, _ := strings.Cut(text, "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if protocol != "tcp" && protocol != "udp" || err != nil {
			fail(at("service"), "service: %q: want the protocol and port that is attacked, for instance tcp/8443", text)
		}
		s.protocol, s.service.Port = protocol, uint16(n)
	}
	if text := scalar(values["proof"]); text != "" {
		if err := s.proof.UnmarshalText([]byte(text)); err != nil {
			fail(at("proof"), "%v; handshake only where the program itself has talked with the source over TCP", err)
		}
	}
	if s.timeForm, err = parseTimeForm(scalar(values["time"])); err != nil {
		fail(at("time"), "time: %v", err)
	}
	if paths := values["json"]; paths != nil {
		found, err := mapping(paths, fields...)
		if err != nil {
			errs = append(errs, err)
		}
		s.paths = map[string]string{}
		for field, n := range found {
			s.paths[field] = scalar(n)
		}
		if s.paths["source"] == "" || s.paths["time"] == "" {
			fail(paths, "json: want the paths of time and source at least")
		}
		if s.program != "" {
			fail(at("program"), "program: goes with patterns, not with json")
		}
	}
	matches := values["match"]
	if matches == nil || matches.Kind != yaml.SequenceNode || len(matches.Content) == 0 {
		fail(at("match"), "match: want a list of what to look for, each with a kind and a %s", s.looksFor())
		return s, errors.Join(errs...)
	}
	for _, n := range matches.Content {
		m, err := s.readMatch(n)
		if err != nil {
			errs = append(errs, err)
		}
		s.matches = append(s.matches, m)
	}
	return s, errors.Join(errs...)
}

func (s *spec) looksFor() string {
	if s.paths != nil {
		return "where"
	}
	return "pattern"
}

func (s *spec) readMatch(node *yaml.Node) (m match, err error) {
	values, err := mapping(node, "kind", s.looksFor())
	if err != nil {
		return m, err
	}
	m.kind = event.Kind(scalar(values["kind"]))
	if !slices.Contains(event.Kinds(), m.kind) {
		return m, fmt.Errorf("line %d: kind: there is no %q; there are %v", node.Line, m.kind, event.Kinds())
	}
	if s.paths != nil {
		return m, m.readWhere(node, values["where"])
	}
	return m, m.readPattern(node, scalar(values["pattern"]), s.program != "")
}

// readPattern compiles a pattern. Without a program the pattern reads the time as well.
func (m *match) readPattern(node *yaml.Node, expression string, dated bool) (err error) {
	if m.pattern, err = regexp.Compile(expression); err != nil {
		return fmt.Errorf("line %d: pattern: %w (the syntax is RE2's: no look-ahead, no back-references)", node.Line, err)
	}
	if m.lazy, err = regexp.Compile("(?U:" + expression + ")"); err != nil {
		return fmt.Errorf("line %d: pattern: %w", node.Line, err)
	}
	if m.last, err = regexp.Compile("(?s:.*)(?:" + expression + ")"); err != nil {
		return fmt.Errorf("line %d: pattern: %w", node.Line, err)
	}
	var named []string
	for _, name := range m.pattern.SubexpNames() {
		if name != "" && !slices.Contains(fields, name) {
			return fmt.Errorf("line %d: pattern: there is no group %q; there are %s", node.Line, name, strings.Join(fields, ", "))
		}
		if name != "" && slices.Contains(named, name) {
			return fmt.Errorf("line %d: pattern: two groups are named %q; write two patterns", node.Line, name)
		}
		named = append(named, name)
	}
	if !slices.Contains(named, "source") {
		return fmt.Errorf("line %d: pattern: nothing says who it was; name the group (?P<source>…)", node.Line)
	}
	if dated == slices.Contains(named, "time") {
		return fmt.Errorf("line %d: pattern: the time comes from the group (?P<time>…), or from the syslog header where `program:` is given; want one of them", node.Line)
	}
	if m.literal = literal(expression); len(m.literal) < 3 {
		return fmt.Errorf("line %d: pattern: want a literal text of three or more characters in it that stands in all the lines it is for; else each line of the log would be tried", node.Line)
	}
	return nil
}

func (m *match) readWhere(node, where *yaml.Node) error {
	if where == nil || where.Kind != yaml.MappingNode || len(where.Content) == 0 {
		return fmt.Errorf("line %d: where: want paths and their values, for instance {event: login, ok: false}", node.Line)
	}
	for i := 0; i+1 < len(where.Content); i += 2 {
		c := condition{path: where.Content[i].Value}
		for _, n := range items(where.Content[i+1]) {
			if n.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: where: %s: want a value, or a list of which one must be there", n.Line, where.Content[i].Value)
			}
			c.values = append(c.values, n.Value)
		}
		m.where = append(m.where, c)
	}
	return nil
}

// mapping is a node's keys and values, each key one of those that are known.
func mapping(node *yaml.Node, known ...string) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want `name: value` lines with %s", node.Line, strings.Join(known, ", "))
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if !slices.Contains(known, key.Value) {
			return nil, fmt.Errorf("line %d: there is no setting %q here; there are %s", key.Line, key.Value, strings.Join(known, ", "))
		}
		values[key.Value] = node.Content[i+1]
	}
	return values, nil
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

func items(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// event makes the event of what a line says under the fields' names.
func (s *spec) event(line text.Line, at time.Time, kind event.Kind, said func(field string) []byte) (e event.Event, ok bool) {
	source, ok := text.Address(said("source"))
	if !ok {
		return e, false // a host name, or nobody: it is no evidence against anybody
	}
	e = event.Event{
		Time: at, Kind: kind, Severity: kind.Severity(), Count: 1, Proof: s.proof, Protocol: s.protocol,
		Source: event.Endpoint{Addr: source}, Target: s.service,
		User: text.String(said("user")), Detail: text.String(said("detail")), Vulnerability: text.String(said("vulnerability")),
		Sensor: s.name, File: line.File, Line: line.Number,
	}
	e.Source.Port, _ = text.Port(said("source_port"))
	if port, ok := text.Port(said("target_port")); ok {
		e.Target.Port = port
	}
	if target, ok := text.Address(said("target")); ok {
		e.Target.Addr = target
	}
	return e, true
}
