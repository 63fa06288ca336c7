// Package draw shows the graph of a scenario, as Figure 4(a) of paper 000 does: which action makes which
// possible, what they lead to, and what countermeasures take away.
package draw

import (
	"fmt"
	"slices"
	"strings"

	"github.com/komondor/komondor/correlate/scenario"
)

// Formats are what Graph can write.
func Formats() []string { return []string{"text", "dot", "svg"} }

// Graph is the scenario's graph in one of Formats. The same scenario gives the same bytes.
func Graph(s *scenario.Scenario, format string) ([]byte, error) {
	switch format {
	case "text":
		return text(s), nil
	case "dot":
		return dot(s), nil
	case "svg":
		return svg(s), nil
	}
	return nil, fmt.Errorf("format %q: want one of %s", format, strings.Join(Formats(), ", "))
}

// relation is what an arrow says.
type relation int

const (
	enables  relation = iota // an action makes an action or an objective possible
	arms                     // an action gives what a countermeasure needs
	prevents                 // something takes away what an action or an objective needs
)

// arrow is all edges of one relation between two models.
type arrow struct {
	from, to int
	relation relation
	labels   []string // the conditions
	unifiers []string // a variable of from's, and one of to's
}

// arrows are those of the graph but for what countermeasures do to one another.
func arrows(s *scenario.Scenario) (all []arrow) {
	for _, e := range s.Graph.Edges {
		from, to := s.Models[e.From], s.Models[e.To]
		if from.Role == scenario.Countermeasure && to.Role == scenario.Countermeasure || to.Role == scenario.Countermeasure && e.Anti {
			continue
		}
		is := enables
		switch {
		case e.Anti:
			is = prevents
		case to.Role == scenario.Countermeasure:
			is = arms
		}
		i := slices.IndexFunc(all, func(a arrow) bool { return a.from == e.From && a.to == e.To && a.relation == is })
		if i < 0 {
			all = append(all, arrow{from: e.From, to: e.To, relation: is})
			i = len(all) - 1
		}
		all[i].labels = append(all[i].labels, to.Pre[e.Pre].String())
		for _, q := range s.Unifier(e) {
			equation := strings.TrimPrefix(q.Left, from.Name+".") + " = " + strings.TrimPrefix(q.Right, to.Name+".")
			if !slices.Contains(all[i].unifiers, equation) {
				all[i].unifiers = append(all[i].unifiers, equation)
			}
		}
	}
	return all
}

// text lists the arrows of each model.
func text(s *scenario.Scenario) []byte {
	b := fmt.Appendf(nil, "%s: %s\n", s.Name, s.Title)
	all := arrows(s)
	for i, m := range s.Models {
		b = fmt.Appendf(b, "\n%s %s\n", m.Role, m)
		for _, a := range all {
			says := map[relation]string{enables: "--> %s, by %s\n", prevents: "--| %s, which needs %s\n", arms: "..> %s, by %s\n"}[a.relation]
			if a.from == i {
				b = fmt.Appendf(b, "  "+says, s.Models[a.to].Name, strings.Join(a.labels, ", "))
				b = fmt.Appendf(b, "      with %s\n", strings.Join(a.unifiers, ", "))
			}
		}
	}
	return append(b, "\n--> makes possible   --| prevents   ..> gives what the countermeasure needs\nwith: a variable of the one = a variable of the other\n"...)
}

// dot is for Graphviz.
func dot(s *scenario.Scenario) []byte {
	b := fmt.Appendf(nil, "digraph %q {\n  label=%q; node [fontname=sans]; edge [fontname=sans, fontsize=10];\n", s.Name, s.Title)
	shapes := map[scenario.Role]string{
		scenario.Action: "box", scenario.Objective: "doubleoctagon", scenario.Countermeasure: "box, style=rounded, color=darkgreen",
	}
	for _, m := range s.Models {
		b = fmt.Appendf(b, "  %q [label=%q, shape=%s];\n", m.Name, m.String(), shapes[m.Role])
	}
	styles := map[relation]string{
		enables: "", prevents: ", style=dashed, color=red, arrowhead=tee", arms: ", style=dotted, color=gray, constraint=false",
	}
	for _, a := range arrows(s) {
		b = fmt.Appendf(b, "  %q -> %q [label=%q%s];\n", s.Models[a.from].Name, s.Models[a.to].Name, strings.Join(a.labels, "\n"), styles[a.relation])
	}
	return append(b, "}\n"...)
}
