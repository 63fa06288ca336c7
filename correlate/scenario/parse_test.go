package scenario

import (
	"os"
	"strings"
	"testing"
)

func TestMistakesAreSaidWithTheirPlace(t *testing.T) {
	const ok = "action a(A, H) { post: p(H) binds: flood.syn {A: source.ip, H: target.ip} }\nobjective o(H) { state: p(H) }\n"
	tests := []struct{ text, want string }{
		{"", "x:1:1: unexpected token"},
		{"scenario s \"T\"\naction a(A) { pre p(A) }", "x:2:19: unexpected token \"p\" (expected \":\" Literal"},
		{"scenario s \"T\"\naction a(A) { pre: p(A), }", "x:2:26: "},
		{"scenario s \"T\"\n§", "x:2:1: "},
		{"scenario s \"T\" within 10\n" + ok, "x:1:23: within 10: want a time such as 90s"},
		{"scenario s \"T\" within 99d\n" + ok, "x:1:23: within 99d: want a time of up to 30 days"},
		{"scenario s \"T\"\n" + ok + "scenario s \"T\"\n" + ok, "x:4:1: scenario s: there are two"},
		{"scenario s \"T\"\n" + ok + "action a(A) { post: p(A) }", "x:4:1: action a: line 2 has another of this name"},
		{"scenario s \"T\"\naction a(a) { post: p(a) }", `x:2:10: parameter "a": want a variable`},
		{"scenario s \"T\"\naction a(A, A) { post: p(A) }", "x:2:13: parameter A is there twice"},
		{"scenario s \"T\"\naction a(A) { pre: p(A) }", "x:2:1: action a has no post"},
		{"scenario s \"T\"\naction a(A) { state: p(A) }", "x:2:15: state: an action has none, but pre, post, binds, follows, refines"},
		{"scenario s \"T\"\naction a(A) { post: p(A) post: q(A) }", "x:2:26: post: is there twice"},
		{"scenario s \"T\"\naction a(A) { post: p(\"\") }", "x:2:23: an empty constant"},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flod.syn }", "x:2:33: flod.syn is no kind of event"},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flood.* {B: source.ip} }", "x:2:42: B is no parameter of a(A)"},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flood.* {A: source} }", `x:2:45: observations have no field "source"`},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flood.* {A: count}, scan.* {A: source.ip} }", "x:2:1: a: A is source.ip here and a count there"},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flood.* where protocol = A }", "x:2:58: A: want a constant"},
		{"scenario s \"T\"\naction a(A) { post: p(A) binds: flood.* at least 0 }", "x:2:50: at least 0: want a whole number"},
		{"scenario s \"T\"\naction a(A) { post: p(A) }\nobjective o(A) { state: p(A, A) }", "x:3:25: p(A, A): has 2 terms, and in line 2 1"},
		{"scenario s \"T\"\naction a(A) { post: p(A) }", "x:1:1: scenario s has no objective"},
		{"scenario s \"T\"\naction a(A) { post: p(A) }\nobjective o(A) { state: q(A) }", "x:3:1: objective o: no action's post-condition unifies"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(p(A)) }", "x:4:1: countermeasure c has no do"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(q(A)) do: run-hook {name: x} }", "x:4:1: countermeasure c counters nothing"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(p(A)) do: shout {at: A} }", "x:4:43: do: shout is no action of the response units: want one of block-flow"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(p(A)) do: block-source {address: B} }", "x:4:66: do: c has no variable B"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(p(A)) do: block-flow {source: A, to: A} }", "x:4:66: do: block-flow: argument to is not known"},
		{"scenario s \"T\"\n" + ok + "countermeasure c(A) { post: not(p(A)) do: block-flow {source: A} }", "x:4:43: do: block-flow lacks target: want {source, target, port?, protocol?}"},
	}
	for _, test := range tests {
		if _, err := Parse("x", []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\n got: %v\nwant: %s", test.text, err, test.want)
		}
	}
	if _, err := Parse("x", []byte("scenario s \"T\"\n"+ok)); err != nil {
		t.Error(err)
	}
	if _, err := Parse("x", make([]byte, MaxFile+1)); err == nil {
		t.Error("a file over the bound was read")
	}
}

// TestPrintedForm has Figures 2 and 3 word for word: what is wrong with them is found, and nothing else.
func TestPrintedForm(t *testing.T) {
	text, err := os.ReadFile("testdata/printed.lambda")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("printed.lambda", text)
	want := `printed.lambda:23:10: objective illegal-recursive-query asks for legitimate-recursive-query(H1, N, IP) and for its negation: it can never be reached
printed.lambda:31:1: countermeasure block-spoofed-connection counters nothing: no action or objective needs what it takes away`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	scenarios, err := Parse("x", []byte(`scenario s "T"
action a(H) { post: p(H), q(H) }
objective o(H) { state: p(H), not(r(H)) }
countermeasure c(H) { post: not(p(H)), not(r(H)) do: run-hook {name: isolate} }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"x:4:40: countermeasure c helps o, which needs not(r(H))",
		"x:2:1: action a: nothing binds to it, so it can only be a hypothesis",
		"x:2:27: action a: nothing needs q(H)",
	}
	if got := scenarios[0].Warnings; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzParse finds that no text stops the parser, and that what it takes can be correlated.
func FuzzParse(f *testing.F) {
	for _, text := range Files() {
		f.Add(text)
	}
	f.Add([]byte(`scenario s "T" within 1d action a(A) { post: not(p(A, "x", 1)) binds: ssh.* where user != root at least 3 }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		scenarios, err := Parse("x", text)
		if err != nil {
			return
		}
		for _, s := range scenarios {
			for _, e := range s.Graph.Edges {
				s.Unifier(e)
			}
		}
	})
}
