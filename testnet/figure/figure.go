// Package figure draws the charts of the test network's results as SVG, in one
// sober style, with gonum/plot. The same data give the same bytes.
package figure

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Axes is what stands around a chart. On a logarithmic axis all values must be
// above zero.
type Axes struct {
	Title, X, Y string
	LogX, LogY  bool
	FromZero    bool // the linear axis of Y begins at zero
}

// Series is one line of a chart, or one group of bars. X and Y have the same
// length; for bars X is not needed.
type Series struct {
	Name string // in the legend; a series without one is not in it
	X, Y []float64
}

// Figure is a drawing of a fixed size.
type Figure struct {
	plot          *plot.Plot
	key           *plot.Legend // in the margin on the right, if not in the plot
	width, height vg.Length
}

const (
	wide  = 16 * vg.Centimeter
	high  = 10 * vg.Centimeter
	thin  = vg.Length(0.5)
	thick = vg.Length(1.5)
)

// hues can be told apart by those who do not see all colours (Okabe and Ito 2008).
var hues = []color.RGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
	{230, 159, 0, 255}, {86, 180, 233, 255}, {0, 0, 0, 255},
}

// marked is the length from which on a line has no marks at its points.
const marked = 40

// Lines draws each series as a line, with marks where the points are few. A
// series may be empty.
func Lines(axes Axes, series ...Series) (Figure, error) {
	p := axes.plot()
	for i, s := range series {
		points, err := axes.points(s)
		if err != nil {
			return Figure{}, err
		}
		if len(points) == 0 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return Figure{}, fmt.Errorf("draw %q: %w", s.Name, err)
		}
		hue := hues[i%len(hues)]
		line.Color, line.Width = hue, thick
		marks.Color, marks.Radius, marks.Shape = hue, 2.5, draw.CircleGlyph{}
		p.Add(line)
		thumbnails := []plot.Thumbnailer{line}
		if len(points) < marked {
			p.Add(marks)
			thumbnails = append(thumbnails, marks)
		}
		if s.Name != "" {
			p.Legend.Add(s.Name, thumbnails...)
		}
	}
	if axes.FromZero && !axes.LogY {
		p.Y.Min = min(p.Y.Min, 0)
	}
	if axes.LogX {
		widen(&p.X)
	}
	if axes.LogY {
		widen(&p.Y)
	}
	return Figure{plot: p, width: wide, height: high}, nil
}

// Points draws the points of each series in its own colour, and joins none.
func Points(axes Axes, series ...Series) (Figure, error) {
	p := axes.plot()
	for i, s := range series {
		points, err := axes.points(s)
		if err != nil {
			return Figure{}, err
		}
		if len(points) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return Figure{}, fmt.Errorf("draw %q: %w", s.Name, err)
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: hues[i%len(hues)], Radius: thick, Shape: draw.CircleGlyph{}}
		p.Add(dots)
		if s.Name != "" {
			p.Legend.Add(s.Name, dots)
		}
	}
	if axes.LogX {
		widen(&p.X)
	}
	if axes.LogY {
		widen(&p.Y)
	}
	return Figure{plot: p, width: wide, height: high}, nil
}

// widen gives a logarithmic axis with one value, or none, some length. What gonum
// would do begins at or below zero.
func widen(axis *plot.Axis) {
	switch {
	case axis.Min > axis.Max:
		axis.Min, axis.Max = 1, 10
	case axis.Min == axis.Max:
		axis.Min, axis.Max = axis.Min/10, axis.Max*10
	}
}

// Bars draws the series side by side over each label. The axis of the bars
// begins at zero and cannot be logarithmic: a bar's length is its value.
func Bars(axes Axes, labels []string, series ...Series) (Figure, error) {
	if axes.LogX || axes.LogY {
		return Figure{}, errors.New("draw bars: their axes are linear")
	}
	if len(labels) == 0 {
		return Figure{}, errors.New("draw bars: there are none")
	}
	p := axes.plot()
	width := wide * 3 / 5 / vg.Length(max(len(labels)*len(series), 1))
	for i, s := range series {
		if len(s.Y) != len(labels) {
			return Figure{}, fmt.Errorf("draw %q: %d bars for %d labels", s.Name, len(s.Y), len(labels))
		}
		bars, err := plotter.NewBarChart(plotter.Values(s.Y), width)
		if err != nil {
			return Figure{}, fmt.Errorf("draw %q: %w", s.Name, err)
		}
		bars.Color, bars.LineStyle.Width = hues[i%len(hues)], 0
		bars.Offset = width * (vg.Length(i) - vg.Length(len(series)-1)/2)
		p.Add(bars)
		if s.Name != "" {
			p.Legend.Add(s.Name, bars)
		}
	}
	p.NominalX(labels...)
	return Figure{plot: p, width: wide, height: high}, nil
}

// points checks the series and returns it as gonum wants it.
func (a Axes) points(s Series) (plotter.XYs, error) {
	if len(s.X) != len(s.Y) {
		return nil, fmt.Errorf("draw %q: %d values of x and %d of y", s.Name, len(s.X), len(s.Y))
	}
	points := make(plotter.XYs, len(s.X))
	for i, x := range s.X {
		y := s.Y[i]
		if a.LogX && x <= 0 || a.LogY && y <= 0 {
			return nil, fmt.Errorf("draw %q: no place for (%g, %g) on a logarithmic axis", s.Name, x, y)
		}
		points[i] = plotter.XY{X: x, Y: y}
	}
	return points, nil
}

// plot is the empty chart.
func (a Axes) plot() *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = a.Title, a.X, a.Y
	p.Title.Padding = 2 * vg.Millimeter
	p.X.Padding, p.Y.Padding = vg.Millimeter, vg.Millimeter
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = 2*vg.Millimeter, -vg.Millimeter, vg.Millimeter
	for _, axis := range []struct {
		*plot.Axis
		log bool
	}{{&p.X, a.LogX}, {&p.Y, a.LogY}} {
		axis.LineStyle.Width, axis.Tick.LineStyle.Width = thin, thin
		axis.Tick.Marker = ticks{plot.DefaultTicks{}}
		if axis.log {
			axis.Scale, axis.Tick.Marker = plot.LogScale{}, ticks{plot.LogTicks{}}
		}
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{230}, color.Gray{230}
	grid.Horizontal.Width, grid.Vertical.Width = thin, thin
	p.Add(grid)
	return p
}

// ticks labels numbers as people write them: 1,000 and not 1e+03.
type ticks struct{ plot.Ticker }

func (t ticks) Ticks(low, high float64) []plot.Tick {
	all := t.Ticker.Ticks(low, high)
	for i := range all {
		if all[i].Label != "" {
			all[i].Label = Number(all[i].Value)
		}
	}
	return all
}

// Number writes 12345678 as 12,345,678, and what is not whole to four digits.
func Number(x float64) string {
	if x != math.Trunc(x) || math.Abs(x) >= 1e12 {
		return fmt.Sprintf("%.4g", x)
	}
	digits := fmt.Sprintf("%.0f", math.Abs(x))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if x < 0 {
		return "-" + digits
	}
	return digits
}

// KeyBelow moves the legend to the lower left, for curves that begin high.
func (f Figure) KeyBelow() Figure {
	if f.plot != nil {
		f.plot.Legend.Top, f.plot.Legend.YOffs = false, vg.Millimeter
	}
	return f
}

// SVG is the drawing.
func (f Figure) SVG() ([]byte, error) {
	canvas := vgsvg.New(f.width, f.height)
	paper, right := draw.New(canvas), 4*vg.Millimeter
	paper.SetColor(color.White)
	paper.Fill(paper.Rectangle.Path())
	if f.key != nil {
		right = margin
	}
	f.plot.Draw(draw.Crop(paper, vg.Millimeter, -right, vg.Millimeter, -vg.Millimeter))
	if f.key != nil { // after the plot, which paints its corner white
		f.key.Draw(draw.Crop(paper, 0, -2*vg.Millimeter, 0, -vg.Centimeter))
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	return svg.Bytes(), nil
}

// Save writes the drawing to a file.
func (f Figure) Save(path string) error {
	svg, err := f.SVG()
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}

// rankedPoints is what Ranked draws at the most: more cannot be seen.
const rankedPoints = 500

// Ranked is the values above zero, from the greatest down, against their rank
// from 1: on logarithmic axes it shows how evenly something is spread.
func Ranked(name string, values []float64) Series {
	sorted := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return !(v > 0) })
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	s := Series{Name: name}
	step := math.Pow(float64(max(len(sorted), 2)), 1.0/rankedPoints)
	next := 1.0
	for i, value := range sorted {
		if rank := float64(i + 1); rank >= next || i == len(sorted)-1 {
			s.X, s.Y = append(s.X, rank), append(s.Y, value)
			next = max(rank+1, rank*step)
		}
	}
	return s
}
