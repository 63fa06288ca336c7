package paper

import (
	"context"
	"fmt"
	"math"

	"github.com/komondor/komondor/testnet/figure"
)

// fewest is how many attackers a log must have for a picture of their places.
const fewest = 10

// figureNine compares the load where attackers lie by their addresses with the
// load where they lie by the hashes of their keys.
func (p *page) figureNine(ctx context.Context, data []set) error {
	p.say("## Figure 9: load in address space and in key space")
	var falls, loads [][]string
	for _, s := range data {
		if err := ctx.Err(); err != nil {
			return err
		}
		attackers, v6 := Attackers(p.rules, s.logs)
		if v6 > 0 {
			p.say("%s: %s events of IPv6 sources are left out.", s.Name, integer(v6))
		}
		if len(attackers) < fewest {
			p.say("%s: %d attackers, too few for a distribution.", s.Name, len(attackers))
			continue
		}
		if err := p.maps(s, attackers); err != nil {
			return err
		}
		falls = append(falls, p.falls(s, attackers)...)
		rows, err := p.loads(s, attackers)
		if err != nil {
			return err
		}
		loads = append(loads, rows...)
	}
	p.say("Magnitude is log10 of the most by the least of those that have any. The paper: lower by 1.85, 70 times.")
	p.table(2, []string{"log", "what is compared", "address space", "key space", "lower by", "times"}, falls)
	p.say("Load of N nodes: the busiest by the mean, the standard deviation by the mean, and how many nodes have none. Medians over %d "+
		"sets of random node ids, but for equal ranges.", overlays)
	p.table(2, []string{"log", "what the nodes own", "N", "busiest", "deviation", "idle"}, loads)
	return p.err
}

// maps draws the paper's two pictures.
func (p *page) maps(s set, attackers []Attacker) error {
	var sources []figure.Source
	for _, a := range attackers {
		sources = append(sources, figure.Source{Addr: a.Addr, Value: events(a)})
	}
	if err := p.draw("addresses-" + s.Name)(figure.Addresses("Events in address space: "+s.About, sources...)); err != nil {
		return err
	}
	var dots []figure.Dot
	for cell, load := range cells(attackers, hashed, events, 16) {
		if load > 0 {
			dots = append(dots, figure.Dot{X: float64(cell >> 8), Y: float64(cell & 255), Value: load})
		}
	}
	axes := figure.Axes{Title: "Events in key space: " + s.About, X: "first octet of the key", Y: "second octet"}
	return p.draw("keys-" + s.Name)(figure.Dots(axes, dots...))
}

// falls are the readings of "the magnitude of the difference between the highest
// and the lowest number of messages".
func (p *page) falls(s set, attackers []Attacker) [][]string {
	var rows [][]string
	row := func(what string, before, after Spread) {
		by := before.Magnitude() - after.Magnitude()
		rows = append(rows, []string{s.Name, what, f2(before.Magnitude()), f2(after.Magnitude()), f2(by), f3(math.Pow(10, by))})
	}
	attacks := NewSpread(each(attackers, events))
	row("first octet, of the address and of the key", NewSpread(cells(attackers, address, events, 8)), NewSpread(cells(attackers, hashed, events, 8)))
	row("first two octets, the pictures' cells", NewSpread(cells(attackers, address, events, 16)), NewSpread(cells(attackers, hashed, events, 16)))
	for _, n := range []int{7, 15, 100} {
		chance := p.chance("falls")
		at := func(place func(Attacker) uint32) Spread {
			return typical(n, chance, func(ids []uint32) []float64 { return nodes(attackers, place, events, ids, 1) })
		}
		byKey := at(hashed)
		row(fmt.Sprintf("events at each of %d nodes", n), at(address), byKey)
		row(fmt.Sprintf("events of each attacker, and at each of %d nodes", n), attacks, byKey)
	}
	row("events and Komondor's reports of each attacker", attacks, NewSpread(each(attackers, reports)))
	return rows
}

// loads says how the nodes share the work.
func (p *page) loads(s set, attackers []Attacker) ([][]string, error) {
	var rows [][]string
	var curves []figure.Series
	for _, n := range []int{7, 15, 100, 1000} {
		chance, r := p.chance("loads"), replicas(n)
		row := func(what string, spread Spread) {
			rows = append(rows, []string{s.Name, what, integer(n), f2(spread.MaxMean()), f2(spread.CV), integer(spread.Idle)})
		}
		near := func(place func(Attacker) uint32, load func(Attacker) float64, r int) Spread {
			return typical(n, chance, func(ids []uint32) []float64 { return nodes(attackers, place, load, ids, r) })
		}
		row("equal ranges of addresses", NewSpread(ranges(attackers, address, events, n)))
		row("the addresses nearest to them", near(address, events, 1))
		row("equal ranges of keys", NewSpread(ranges(attackers, hashed, events, n)))
		row("the keys nearest to them", near(hashed, events, 1))
		row(fmt.Sprintf("the same, with Komondor's reports to %d", r), near(hashed, reports, r))
		if n == streamed {
			ids := randomIDs(n, p.chance("curves"))
			for _, c := range []struct {
				name  string
				loads []float64
			}{
				{"events, addresses nearest", nodes(attackers, address, events, ids, 1)},
				{"events, keys nearest", nodes(attackers, hashed, events, ids, 1)},
				{fmt.Sprintf("reports to %d, keys nearest", r), nodes(attackers, hashed, reports, ids, r)},
			} {
				curves = append(curves, figure.Ranked(c.name, c.loads))
			}
		}
	}
	axes := figure.Axes{Title: fmt.Sprintf("Load of %d nodes: %s", streamed, s.About), X: "nodes by their load", Y: "events or reports", LogX: true, LogY: true}
	f, err := figure.Lines(axes, curves...)
	return rows, p.draw("load-"+s.Name)(f.KeyBelow(), err)
}
