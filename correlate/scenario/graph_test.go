package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// birthday is the scenario of paper 000.
func birthday(t testing.TB) *Scenario {
	t.Helper()
	for _, s := range Builtin() {
		if s.Name == "bind-birthday" {
			return s
		}
	}
	t.Fatal("there is no bind-birthday")
	return nil
}

// TestFigure4a has the correlations and anti-correlations that paper 000 names in sections IV and V.
func TestFigure4a(t *testing.T) {
	s := birthday(t)
	var got []string
	for _, e := range s.Graph.Edges {
		arrow := "->"
		if e.Anti {
			arrow = "-|"
		}
		var equations []string
		for _, q := range s.Unifier(e) {
			equations = append(equations, q.Left+" = "+q.Right)
		}
		got = append(got, fmt.Sprintf("%s %s %s: %s; %s", s.Models[e.From].Name, arrow, s.Models[e.To].Name,
			s.Models[e.To].Pre[e.Pre].Predicate, strings.Join(equations, ", ")))
	}
	want := []string{
		"syn-flood -> flooding-spoofed-replies: deny-of-service; syn-flood.H2 = flooding-spoofed-replies.H2",
		"syn-flood -> undo-deny-of-service: deny-of-service; syn-flood.H2 = undo-deny-of-service.H1",
		"flooding-queries -> flooding-spoofed-replies: wait-recursive-reply; flooding-queries.H1 = flooding-spoofed-replies.H1, " +
			"flooding-queries.H2 = flooding-spoofed-replies.H2, flooding-queries.N = flooding-spoofed-replies.N",
		"flooding-spoofed-replies -> illegal-recursive-query: legitimate-recursive-query; flooding-spoofed-replies.H1 = illegal-recursive-query.H1, " +
			"flooding-spoofed-replies.N = illegal-recursive-query.N, flooding-spoofed-replies.IP = illegal-recursive-query.IP",
		"flooding-spoofed-replies -> illegal-recursive-query: spoofed-connection; flooding-spoofed-replies.A = illegal-recursive-query.A, " +
			"flooding-spoofed-replies.H1 = illegal-recursive-query.H1, flooding-spoofed-replies.H2 = illegal-recursive-query.H2",
		"flooding-spoofed-replies -> block-spoofed-connection: spoofed-connection; flooding-spoofed-replies.A = block-spoofed-connection.A, " +
			"flooding-spoofed-replies.H1 = block-spoofed-connection.H1, flooding-spoofed-replies.H2 = block-spoofed-connection.H2",
		"undo-deny-of-service -| flooding-spoofed-replies: deny-of-service; undo-deny-of-service.H1 = flooding-spoofed-replies.H2",
		"undo-deny-of-service -| undo-deny-of-service: deny-of-service; undo-deny-of-service.H1 = undo-deny-of-service'.H1",
		"block-spoofed-connection -| illegal-recursive-query: spoofed-connection; block-spoofed-connection.A = illegal-recursive-query.A, " +
			"block-spoofed-connection.H1 = illegal-recursive-query.H1, block-spoofed-connection.H2 = illegal-recursive-query.H2",
		"block-spoofed-connection -| block-spoofed-connection: spoofed-connection; block-spoofed-connection.A = block-spoofed-connection'.A, " +
			"block-spoofed-connection.H1 = block-spoofed-connection'.H1, block-spoofed-connection.H2 = block-spoofed-connection'.H2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestUnifiers has what unifies and what does not: negation, constants, one variable twice, an action
// with itself.
func TestUnifiers(t *testing.T) {
	tests := []struct {
		post, pre string
		want      string // the relation; empty: none
	}{
		{"p(A)", "p(B)", "correlated"},
		{"not(p(A))", "not(p(B))", "correlated"},
		{"not(p(A))", "p(B)", "anti-correlated"},
		{"p(A)", "not(p(B))", "anti-correlated"},
		{"p(A)", "q(B)", ""},
		{`p("x")`, `p("x")`, "correlated"},
		{`p("x")`, `p("y")`, ""},
		{`p(A, A)`, `p("x", "y")`, ""},
		{`p(A, A)`, `p("x", B)`, "correlated"},
		{`p(A, A, "y")`, `p("x", B, B)`, ""},
		{`p(A, "y", A)`, `p(B, B, "x")`, ""},
	}
	for _, test := range tests {
		text := fmt.Sprintf("scenario s \"T\"\naction a(A) { post: %s, end(A) }\naction b(B) { pre: %s post: end(B) }\nobjective o(A) { state: end(A) }", test.post, test.pre)
		scenarios, err := Parse("x", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range scenarios[0].Graph.Edges {
			if e.From == 0 && e.To == 1 {
				got = map[bool]string{true: "anti-correlated", false: "correlated"}[e.Anti]
			}
		}
		if got != test.want {
			t.Errorf("%s with %s: %q, want %q", test.post, test.pre, got, test.want)
		}
	}
	scenarios, err := Parse("x", []byte("scenario s \"T\"\naction spread(A, B) { pre: infected(A) post: infected(B) }\nobjective o(B) { state: infected(B) }"))
	if err != nil {
		t.Fatal(err)
	}
	if e := scenarios[0].Graph.Edges[0]; e.From != e.To || scenarios[0].Unifier(e)[0] != (Equation{"spread.B", "spread'.A"}) {
		t.Errorf("an action that makes itself possible: %v, %v", e, scenarios[0].Unifier(e))
	}
}

// chain is a scenario of n actions, each of which makes the next width ones possible.
func chain(t testing.TB, n, width int) *Scenario {
	t.Helper()
	var text strings.Builder
	text.WriteString("scenario chain \"T\"\n")
	for i := range n {
		fmt.Fprintf(&text, "action a%d(A, B) {", i)
		if i > 0 {
			text.WriteString(" pre: ")
			for w := range min(width, i) {
				if w > 0 {
					text.WriteString(", ")
				}
				fmt.Fprintf(&text, "p%d(A, B)", i-w-1)
			}
		}
		fmt.Fprintf(&text, " post: p%d(A, B) binds: scan.port {A: source.ip, B: target.ip} }\n", i)
	}
	fmt.Fprintf(&text, "objective o(A, B) { state: p%d(A, B) }\n", n-1)
	scenarios, err := Parse("chain", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return scenarios[0]
}

// dense is a scenario of n actions each of which makes every one possible.
func dense(t testing.TB, n int) *Scenario {
	t.Helper()
	var text strings.Builder
	text.WriteString("scenario dense \"T\"\n")
	for i := range n {
		fmt.Fprintf(&text, "action a%d(A, B) { pre: p(A) post: p(B) }\n", i)
	}
	text.WriteString("objective o(B) { state: p(B) }\n")
	scenarios, err := Parse("dense", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return scenarios[0]
}

// TestComplexity: with bounded conditions and few of one predicate, eight times the actions take about
// eight times as long; what is in proportion to their square would take sixty-four times.
func TestComplexity(t *testing.T) {
	measure := func(s *Scenario) time.Duration {
		best := time.Hour
		for range 9 {
			begin := time.Now()
			s.Correlate()
			best = min(best, time.Since(begin))
		}
		return best
	}
	few, many := chain(t, 250, 3), chain(t, 2000, 3)
	var small, large time.Duration
	for range 5 { // a busy machine may spoil one measurement
		if small, large = measure(few), measure(many); large < 24*small {
			return
		}
	}
	t.Errorf("2,000 actions take %v, 250 take %v: more than in proportion", large, small)
}

func TestThousandActions(t *testing.T) {
	s := dense(t, 1000) // how long that takes, its benchmark tells
	if n := len(s.Graph.Edges); n != 1000*1000+1000 {
		t.Errorf("%d edges, want each action with each and with the objective", n)
	}
}

func BenchmarkCorrelate(b *testing.B) {
	for name, s := range map[string]*Scenario{"chain1000": chain(b, 1000, 3), "dense1000": dense(b, 1000)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Correlate()
			}
			b.ReportMetric(float64(len(s.Graph.Edges)), "edges")
		})
	}
}
