package draw

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/komondor/komondor/correlate/scenario"
)

// The measures of a drawing in pixels. A letter is taken to be as wide as most are.
const (
	letter = 7
	line   = 16
	high   = 36  // a box
	across = 40  // between boxes of one layer
	down   = 110 // between layers, with room for labels
	margin = 24
)

// box is where a model is drawn.
type box struct{ x, y, width int }

func (b box) middle() int { return b.x + b.width/2 }
func (b box) right() int  { return b.x + b.width }

// layers says in which row each action and objective is: below all that makes it possible. Of a cycle it
// takes what is written first for what comes first.
func layers(s *scenario.Scenario, all []arrow) []int {
	layer := make([]int, len(s.Models))
	for range s.Models { // the longest way has no more steps than there are models
		moved := false
		for _, a := range all {
			forward := a.from < a.to || s.Models[a.to].Role == scenario.Objective
			if a.relation == enables && forward && layer[a.to] <= layer[a.from] {
				layer[a.to] = layer[a.from] + 1
				moved = true
			}
		}
		if !moved {
			break
		}
	}
	return layer
}

// place puts actions and objectives into rows, and countermeasures into a column on their right, each at
// the height of what it prevents.
func place(s *scenario.Scenario, all []arrow) (boxes []box, width, height int) {
	layer := layers(s, all)
	boxes = make([]box, len(s.Models))
	var rows [][]int
	for i, m := range s.Models {
		boxes[i].width = letter*len(m.String()) + 2*line
		if m.Role == scenario.Countermeasure {
			continue
		}
		for len(rows) <= layer[i] {
			rows = append(rows, nil)
		}
		rows[layer[i]] = append(rows[layer[i]], i)
	}
	widest := 0
	wide := func(row []int) (w int) {
		for _, i := range row {
			w += boxes[i].width + across
		}
		return w - across
	}
	for _, row := range rows {
		widest = max(widest, wide(row))
	}
	for n, row := range rows {
		x := margin + (widest-wide(row))/2
		for _, i := range row {
			boxes[i].x, boxes[i].y = x, margin+2*line+n*down
			x += boxes[i].width + across
		}
	}
	width, height = widest+2*margin, margin+2*line+(len(rows)-1)*down+high+margin
	return boxes, placeMeasures(s, all, boxes, width+2*down), height
}

// placeMeasures puts countermeasures into their column, and returns where that ends.
func placeMeasures(s *scenario.Scenario, all []arrow, boxes []box, column int) (width int) {
	var measures []int
	wanted := func(measure int) int {
		y := 1 << 30
		for _, a := range all {
			if a.from == measure && a.relation == prevents {
				y = min(y, boxes[a.to].y)
			}
		}
		return y
	}
	for i, m := range s.Models {
		if m.Role == scenario.Countermeasure {
			measures = append(measures, i)
		}
	}
	slices.SortStableFunc(measures, func(a, b int) int { return wanted(a) - wanted(b) })
	width = column - 2*down
	free := 0
	for _, i := range measures {
		boxes[i].x, boxes[i].y = column, max(wanted(i), free)
		free = boxes[i].y + high + line
		width = max(width, boxes[i].right()+margin)
	}
	return width
}

const styles = `<style>
text { font: 12px sans-serif; fill: #111 } .title { font-size: 14px; font-weight: bold } .label { font-size: 11px; fill: #444 }
rect { fill: #fff; stroke: #111; stroke-width: 1.2 } .objective { stroke-width: 3 } .countermeasure { stroke: #009e73; stroke-width: 1.6 }
path { fill: none; stroke: #111; stroke-width: 1.2 } .prevents { stroke: #d55e00; stroke-dasharray: 7 4 } .arms { stroke: #999; stroke-dasharray: 2 3 }
</style>
<defs>
<marker id="enables" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L10,5 L0,10 z" style="fill:#111"/></marker>
<marker id="arms" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="6" markerHeight="6" orient="auto"><path d="M0,0 L10,5 L0,10" style="stroke:#999"/></marker>
<marker id="prevents" viewBox="0 0 4 12" refX="2" refY="6" markerWidth="4" markerHeight="12" orient="auto" markerUnits="userSpaceOnUse"><path d="M2,0 L2,12" style="stroke:#d55e00;stroke-width:2.5"/></marker>
</defs>
`

// svg draws in layers: what comes first above, countermeasures on the right.
func svg(s *scenario.Scenario) []byte {
	all := arrows(s)
	boxes, width, height := place(s, all)
	for i := range boxes { // a column of countermeasures may be longer than the rest
		height = max(height, boxes[i].y+high+margin)
	}
	b := fmt.Appendf(nil, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\">\n%s", width, height+2*line, styles)
	b = fmt.Appendf(b, "<rect width=\"100%%\" height=\"100%%\" style=\"stroke:none\"/>\n")
	b = fmt.Appendf(b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", margin, margin, html.EscapeString(s.Name+": "+s.Title))
	labels := map[[2]int]int{} // how many stand at a place already
	for _, a := range all {
		b = a.svg(b, boxes[a.from], boxes[a.to], labels)
	}
	for i, m := range s.Models {
		b = fmt.Appendf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n", m.Role, boxes[i].x, boxes[i].y, boxes[i].width, high, map[bool]int{true: 8}[m.Role == scenario.Countermeasure])
		b = fmt.Appendf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", boxes[i].middle(), boxes[i].y+high/2+4, html.EscapeString(m.String()))
	}
	b = fmt.Appendf(b, "<text class=\"label\" x=\"%d\" y=\"%d\">black: makes possible; red: prevents; grey: gives what the countermeasure needs; a thick frame: the objective</text>\n", margin, height+line)
	return append(b, "</svg>\n"...)
}

// svg draws the arrow with its conditions.
func (a arrow) svg(b []byte, from, to box, labels map[[2]int]int) []byte {
	class := [...]string{enables: "enables", arms: "arms", prevents: "prevents"}[a.relation]
	x1, y1, x2, y2 := from.middle(), from.y+high, to.middle(), to.y
	switch {
	case a.from == a.to: // a loop on the left
		b = fmt.Appendf(b, "<path class=\"%s\" marker-end=\"url(#%[1]s)\" d=\"M%d,%d C%d,%d %d,%d %d,%d\"/>\n", class,
			from.x, from.y+high-8, from.x-40, from.y+high, from.x-40, from.y, from.x, from.y+8)
		x1, y1, x2, y2 = from.x, from.y, from.x, from.y
	default:
		switch {
		case a.relation == prevents:
			x1, y1, x2, y2 = from.x, from.y+high/2, to.right()+2, to.y+high/2
			if from.x < to.x { // not by a countermeasure
				x1, x2 = from.right(), to.x-2
			}
		case a.relation == arms:
			x1, y1, x2, y2 = from.right(), from.y+high/2, to.x, to.y+high-8
		case y2 < y1: // back to what is above
			x1, x2 = from.x, to.x
			y1, y2 = from.y+high/2, to.y+high/2
		}
		b = fmt.Appendf(b, "<path class=\"%s\" marker-end=\"url(#%[1]s)\" d=\"M%d,%d L%d,%d\"/>\n", class, x1, y1, x2, y2)
	}
	if a.relation == arms {
		return b // the conditions of a countermeasure are those of what it prevents
	}
	at := [2]int{(3*x1 + x2) / 4 / line * line, (5*y1 + 3*y2) / 8 / line * line} // where arrows to one box are still apart
	if a.relation == prevents {
		at[0] = (x1 + x2) / 2
	}
	for _, label := range a.labels {
		y := at[1] + labels[at]*line
		labels[at]++
		b = fmt.Appendf(b, "<text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"middle\" style=\"paint-order:stroke;stroke:#fff;stroke-width:4px\">%s</text>\n",
			at[0], y, html.EscapeString(strings.TrimSpace(label)))
	}
	return b
}
