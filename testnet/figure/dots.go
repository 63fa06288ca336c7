package figure

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"net/netip"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Dot is a place with a value, which must be above zero: the dot's size and
// colour grow with the value's logarithm.
type Dot struct{ X, Y, Value float64 }

const (
	square = 14 * vg.Centimeter  // the side of a map
	margin = 2.5 * vg.Centimeter // beside it, for the legend
	crowd  = 2000                // dots are smaller where there are more than so many
)

// Dots draws a dot for each value, small ones above large ones.
func Dots(axes Axes, dots ...Dot) (Figure, error) {
	if axes.LogX || axes.LogY {
		return Figure{}, errors.New("draw dots: their axes are linear")
	}
	return withDots(axes.plot(), dots)
}

// withDots is the plot with the dots on it and their legend beside it, one decade
// an entry.
func withDots(p *plot.Plot, dots []Dot) (Figure, error) {
	f := Figure{plot: p, width: square + margin, height: square}
	dots = slices.Clone(dots)
	slices.SortStableFunc(dots, func(a, b Dot) int { return cmp.Compare(b.Value, a.Value) })
	if len(dots) == 0 {
		return f, nil
	}
	if most, least := dots[0].Value, dots[len(dots)-1].Value; !(least > 0) || math.IsInf(most, 1) {
		return Figure{}, fmt.Errorf("draw dots: no sizes for values from %g to %g", least, most)
	}
	size := vg.Length(1)
	if len(dots) > crowd {
		size = 0.6
	}
	decades := math.Ceil(math.Log10(max(dots[0].Value, 10)))
	places := make(plotter.XYs, len(dots))
	for i, d := range dots {
		places[i] = plotter.XY{X: d.X, Y: d.Y}
	}
	scatter, err := plotter.NewScatter(places)
	if err != nil {
		return Figure{}, fmt.Errorf("draw dots: %w", err)
	}
	shades := moreland.Kindlmann()
	shades.SetMin(0)
	shades.SetMax(1)
	style := func(value float64) draw.GlyphStyle {
		level := min(max(math.Log10(value)/decades, 0), 1)
		return draw.GlyphStyle{
			Color: shade(shades, 0.8-0.6*level), Radius: size * vg.Length(1.2+5*level), Shape: draw.CircleGlyph{},
		}
	}
	scatter.GlyphStyleFunc = func(i int) draw.GlyphStyle { return style(dots[i].Value) }
	p.Add(scatter)
	key := plot.NewLegend()
	key.Top, key.Padding = true, vg.Millimeter
	for value := 1.0; value <= dots[0].Value*1.001; value *= 10 {
		key.Add(Number(value), &plotter.Scatter{GlyphStyle: style(value)})
	}
	f.key = &key
	return f, nil
}

// shade is a colour of the map; light ones would be lost on paper and are not asked for.
func shade(m palette.ColorMap, level float64) color.Color {
	c, err := m.At(level)
	if err != nil {
		return color.Black
	}
	return c
}

// Source is an IPv4 address with a value above zero.
type Source struct {
	Addr  netip.Addr
	Value float64
}

// Addresses draws the IPv4 space as a square along a Hilbert curve, so that
// addresses close to each other are close in the drawing: 0.0.0.0/8 is the upper
// left small square, and 0.0.0.0/2 the upper left quarter. Each small square is a
// /8 and bears its number (paper 002, figure 9). IPv6 addresses are left out.
func Addresses(title string, sources ...Source) (Figure, error) {
	p := plot.New()
	p.Title.Text, p.Title.Padding = title, 2*vg.Millimeter
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 16, -16, 0
	p.HideAxes()
	p.Add(squares{})
	labels := plotter.XYLabels{}
	for octet := range 256 {
		x, y := place(uint32(octet)<<24, 16)
		labels.XYs = append(labels.XYs, plotter.XY{X: math.Floor(x) + 0.08, Y: -math.Floor(y) - 0.32})
		labels.Labels = append(labels.Labels, fmt.Sprint(octet))
	}
	numbers, err := plotter.NewLabels(labels)
	if err != nil {
		return Figure{}, fmt.Errorf("draw addresses: %w", err)
	}
	for i := range numbers.TextStyle {
		numbers.TextStyle[i].Font.Size, numbers.TextStyle[i].Color = 6, color.Gray{170}
	}
	p.Add(numbers)
	var dots []Dot
	for _, s := range sources {
		if addr := s.Addr.Unmap(); addr.Is4() {
			b := addr.As4()
			x, y := place(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]), 16)
			dots = append(dots, Dot{x, -y, s.Value})
		}
	}
	return withDots(p, dots)
}

// squares are the borders of the 256 blocks of addresses that begin with one octet.
type squares struct{}

// Plot implements plot.Plotter.
func (squares) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: color.Gray{225}, Width: thin}
	for i := 0.0; i <= 16; i++ {
		c.StrokeLine2(style, x(i), y(-16), x(i), y(0))
		c.StrokeLine2(style, x(0), y(-i), x(16), y(-i))
	}
}

// place is where the middle of a 32-bit number's cell stands in a square of that side.
func place(d uint32, side float64) (x, y float64) {
	column, row := Hilbert(d)
	return (float64(column) + 0.5) / (1 << 16) * side, (float64(row) + 0.5) / (1 << 16) * side
}

// Hilbert is the place of step d of the Hilbert curve through a square of 2^16
// by 2^16 cells that begins in the upper left one; rows count downwards.
// Its first half of the bits says which cell of a curve of 2^8 by 2^8 it is in.
func Hilbert(d uint32) (column, row uint16) {
	var x, y uint32
	for side := uint32(1); side < 1<<16; side *= 2 {
		right := d >> 1 & 1
		down := (d ^ right) & 1
		if down == 0 { // the quarter's own curve is mirrored, or turned
			if right == 1 {
				x, y = side-1-x, side-1-y
			}
			x, y = y, x
		}
		x, y = x+side*right, y+side*down
		d >>= 2
	}
	return uint16(x), uint16(y)
}
