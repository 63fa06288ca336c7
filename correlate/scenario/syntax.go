package scenario

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// MaxFile is the largest file of scenarios in bytes.
const MaxFile = 1 << 20

// The grammar, as docs/scenarios.md has it in EBNF: what is written, before anything of it has been
// looked at for its meaning.
type (
	fileSyntax struct {
		Scenarios []scenarioSyntax `parser:"@@+"`
	}
	scenarioSyntax struct {
		Pos    lexer.Position
		Name   string        `parser:"'scenario' @Word"`
		Title  string        `parser:"@String"`
		Within *wordSyntax   `parser:"( 'within' @@ )?"`
		Models []modelSyntax `parser:"@@*"`
	}
	modelSyntax struct {
		Pos        lexer.Position
		Role       string         `parser:"@( 'action' | 'objective' | 'countermeasure' )"`
		Name       string         `parser:"@Word"`
		Parameters []wordSyntax   `parser:"'(' ( @@ ( ',' @@ )* )? ')'"`
		Clauses    []clauseSyntax `parser:"'{' @@* '}'"`
	}
	clauseSyntax struct {
		Pos        lexer.Position
		Conditions *conditionsSyntax `parser:"  @@"`
		Binds      []bindingSyntax   `parser:"| 'binds' ':' @@ ( ',' @@ )*"`
		Follows    []bindingSyntax   `parser:"| 'follows' ':' @@ ( ',' @@ )*"`
		Refines    []bindingSyntax   `parser:"| 'refines' ':' @@ ( ',' @@ )*"`
		Does       []bindingSyntax   `parser:"| 'do' ':' @@ ( ',' @@ )*"`
	}
	conditionsSyntax struct {
		Name     string          `parser:"@( 'pre' | 'post' | 'state' ) ':'"`
		Literals []literalSyntax `parser:"@@ ( ',' @@ )*"`
	}
	literalSyntax struct {
		Pos       lexer.Position
		Not       *predicateSyntax `parser:"  'not' '(' @@ ')'"`
		Predicate *predicateSyntax `parser:"| @@"`
	}
	predicateSyntax struct {
		Name  string       `parser:"@Word"`
		Terms []wordSyntax `parser:"( '(' ( @@ ( ',' @@ )* )? ')' )?"`
	}
	// bindingSyntax is what has names in braces: a kind of event with the parameters that it
	// gives, or what is to be done with its arguments.
	bindingSyntax struct {
		Pos     lexer.Position
		Name    string          `parser:"@Word"`
		Entries []entrySyntax   `parser:"( '{' ( @@ ( ',' @@ )* )? '}' )?"`
		Where   []compareSyntax `parser:"( 'where' @@ ( 'and' @@ )* )?"`
		AtLeast *wordSyntax     `parser:"( 'at' 'least' @@ )?"`
	}
	entrySyntax struct {
		Pos   lexer.Position
		Name  wordSyntax `parser:"@@ ':'"`
		Value wordSyntax `parser:"@@"`
	}
	compareSyntax struct {
		Pos   lexer.Position
		Field string     `parser:"@Word"`
		Not   bool       `parser:"( '=' | @'!=' )"`
		Value wordSyntax `parser:"@@"`
	}
	// wordSyntax is a variable, or a constant in one of its spellings.
	wordSyntax struct {
		Pos      lexer.Position
		Variable string `parser:"  @Variable"`
		Quoted   string `parser:"| @String"`
		Duration string `parser:"| @Duration"`
		Number   string `parser:"| @Number"`
		Word     string `parser:"| @Word"`
	}
)

// grammar is built once: it is a constant that Go cannot write as one.
var grammar = participle.MustBuild[fileSyntax](
	participle.Lexer(lexer.MustSimple([]lexer.SimpleRule{
		{Name: "Space", Pattern: `\s+`},
		{Name: "Comment", Pattern: `#[^\n]*`},
		{Name: "String", Pattern: `"(\\.|[^"\\\n])*"`},
		{Name: "Variable", Pattern: `[A-Z][A-Za-z0-9_]*`},
		{Name: "Word", Pattern: `[a-z][a-z0-9_]*([.-]([a-z0-9_]+|\*))*`},
		{Name: "Duration", Pattern: `[0-9]+[smhd]`},
		{Name: "Number", Pattern: `[0-9]+`},
		{Name: "Mark", Pattern: `!=|[(){},:=]`},
	})),
	participle.Elide("Space", "Comment"),
	participle.Unquote("String"),
	participle.UseLookahead(0), // no alternatives begin alike, so a mistake is said where it is
)

// place is a position that makes errors: "FILE:LINE:COLUMN: what, and what to write instead".
type place lexer.Position

func (p place) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: "+format, append([]any{p.Filename, p.Line, p.Column}, args...)...)
}

// read is the syntax of a file.
func read(file string, text []byte) (*fileSyntax, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that a file of scenarios may have", file, len(text), MaxFile)
	}
	syntax, err := grammar.ParseBytes(file, text)
	var wrong participle.Error
	if errors.As(err, &wrong) {
		message := strings.ReplaceAll(wrong.Message(), "Syntax", "") // types are called as in the documented grammar, but for this
		return nil, place(wrong.Position()).errorf("%s: the grammar is in docs/scenarios.md", message)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return syntax, nil
}

// constant is the word's text, and false for a variable.
func (w wordSyntax) constant() (string, bool) {
	return w.Quoted + w.Duration + w.Number + w.Word, w.Variable == ""
}

// text is the word as it was written, but for quotes.
func (w wordSyntax) text() string {
	c, _ := w.constant()
	return w.Variable + c
}

// duration reads 90s, 10m, 2h or 7d.
func (w wordSyntax) duration() (time.Duration, error) {
	if w.Duration == "" {
		return 0, place(w.Pos).errorf("within %s: want a time such as 90s, 10m, 2h or 7d", w.text())
	}
	number, unit := w.Duration[:len(w.Duration)-1], w.Duration[len(w.Duration)-1:]
	days := time.Duration(1)
	if unit == "d" {
		days, unit = 24, "h"
	}
	d, err := time.ParseDuration(number + unit)
	if err != nil || d <= 0 || d > maxWithin/days {
		return 0, place(w.Pos).errorf("within %s: want a time of up to %d days", w.Duration, maxWithin/(24*time.Hour))
	}
	return d * days, nil
}
