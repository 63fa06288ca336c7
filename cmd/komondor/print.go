package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// printer prints for people or for scripts.
type printer struct{ json bool }

func (p *printer) register(c *cobra.Command) {
	c.Flags().BoolVar(&p.json, "json", false, "print JSON with stable names")
}

// value prints v as one JSON value, or calls human.
func (p *printer) value(w io.Writer, v any, human func(io.Writer) error) error {
	if !p.json {
		return human(w)
	}
	return jsonLine(w, v)
}

// done says what a command has done: v in JSON, or a sentence.
func (p *printer) done(w io.Writer, v any, sentence string) error {
	return p.value(w, v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, sentence)
		return err
	})
}

// checked says what a check has found: v in JSON, whose errors are those that wrong joins, or human where nothing is wrong.
func (p *printer) checked(w io.Writer, v any, wrong error, human func(io.Writer) error) error {
	switch {
	case p.json:
		return errors.Join(jsonLine(w, v), wrong)
	case wrong != nil:
		return wrong
	}
	return human(w)
}

// each are the errors that err joins, as text; those of files have a line each.
func each(err error) []string {
	if err == nil {
		return []string{}
	}
	return strings.Split(err.Error(), "\n")
}

func jsonLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns under a heading.
func table(w io.Writer, heading string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, heading)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// printable keeps what attackers wrote from moving the cursor: control
// characters are shown as Go escapes.
func printable(s string) string {
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x202e || r == 0x2066 {
			quoted := fmt.Sprintf("%+q", s)
			return quoted[1 : len(quoted)-1]
		}
	}
	return s
}

// ago is a time as people read it.
func ago(t, now time.Time) string {
	d := now.Sub(t).Round(time.Second)
	switch {
	case d < 0:
		return "in " + short(-d)
	case d > 24*time.Hour:
		return t.Local().Format("2006-01-02 15:04")
	}
	return short(d) + " ago"
}

func short(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

// amount is a number of things: 1 rule, 2 rules.
func amount[N int | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// bold marks text where a person reads it in colour.
func bold(w io.Writer, s string) string {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}
