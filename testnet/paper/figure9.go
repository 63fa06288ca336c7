package paper

import (
	"context"
	"fmt"
	"math"

	"github.com/komondor/komondor/testnet/figure"
)

// fewest is how many attackers a log must have for a picture of their places.
const fewest = 10

// seen is what figure 9 is about: the attackers of one set of logs.
type seen struct {
	set
	attackers []Attacker
}

// figureNine compares the load where attackers lie by their addresses with the
// load where they lie by the hashes of their keys.
func (p *page) figureNine(ctx context.Context, data []set) error {
	p.say("## Figure 9: load in address space and in key space")
	var all []seen
	for _, s := range data {
		if s.dealt {
			continue
		}
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
		of := seen{s, attackers}
		all = append(all, of)
		if err := p.maps(of); err != nil {
			return err
		}
		if err := p.curves(of); err != nil {
			return err
		}
	}
	p.attackers(all)
	p.falls(all)
	p.loads(all)
	return p.err
}

// maps draws the paper's two pictures.
func (p *page) maps(s seen) error {
	var sources []figure.Source
	for _, a := range s.attackers {
		sources = append(sources, figure.Source{Addr: a.Addr, Value: events(a)})
	}
	if err := p.draw("addresses-" + s.Name)(figure.Addresses("Events in address space: "+s.About, sources...)); err != nil {
		return err
	}
	var dots []figure.Dot
	for cell, load := range cells(s.attackers, hashed, events, 16) {
		if load > 0 {
			dots = append(dots, figure.Dot{X: float64(cell >> 8), Y: float64(cell & 255), Value: load})
		}
	}
	axes := figure.Axes{Title: "Events in key space: " + s.About, X: "first octet of the key", Y: "second octet"}
	return p.draw("keys-" + s.Name)(figure.Dots(axes, dots...))
}

// curves draws the load of nodes by rank.
func (p *page) curves(s seen) error {
	ids, r := randomIDs(streamed, p.chance("curves")), replicas(streamed)
	axes := figure.Axes{Title: fmt.Sprintf("Load of %d nodes: %s", streamed, s.About), X: "nodes by their load", Y: "events or reports", LogX: true, LogY: true}
	f, err := figure.Lines(axes,
		figure.Ranked("events, addresses nearest", nodes(s.attackers, address, events, ids, 1)),
		figure.Ranked("events, keys nearest", nodes(s.attackers, hashed, events, ids, 1)),
		figure.Ranked("reports, keys nearest", nodes(s.attackers, hashed, reports, ids, 1)),
		figure.Ranked(fmt.Sprintf("reports to %d, keys nearest", r), nodes(s.attackers, hashed, reports, ids, r)))
	return p.draw("load-"+s.Name)(f.KeyBelow(), err)
}

// attackers tells the sizes of what follows.
func (p *page) attackers(all []seen) {
	var rows [][]string
	for _, s := range all {
		e, r := each(s.attackers, events), each(s.attackers, reports)
		rows = append(rows, []string{
			s.Name, integer(len(s.attackers)), integer(int(sum(e))), integer(int(NewSpread(e).Most)),
			integer(int(sum(r))), integer(int(NewSpread(r).Most)),
		})
	}
	p.table(1, []string{"log", "attackers", "events", "most of one", "Komondor's reports", "most on one"}, rows)
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// row is a name and a cell for each set of logs.
func row(name string, all []seen, cell func(seen) string) []string {
	cells := []string{name}
	for _, s := range all {
		cells = append(cells, cell(s))
	}
	return cells
}

func names(first string, all []seen) []string {
	return row(first, all, func(s seen) string { return s.Name })
}

// falls are readings of "the magnitude of the difference between the highest and
// lowest number of messages that are related to a single attack".
func (p *page) falls(all []seen) {
	var rows [][]string
	compare := func(what string, before, after func(seen) Spread) {
		rows = append(rows, row(what, all, func(s seen) string {
			b, a := before(s).Magnitude(), after(s).Magnitude()
			return fmt.Sprintf("%.2f → %.2f: %s", b, a, times(math.Pow(10, b-a)))
		}))
	}
	attack := func(s seen) Spread { return NewSpread(each(s.attackers, events)) }
	octets := func(place func(Attacker) uint32, n int) func(seen) Spread {
		return func(s seen) Spread { return NewSpread(cells(s.attackers, place, events, 8*n)) }
	}
	at := func(place func(Attacker) uint32, n int) func(seen) Spread {
		return func(s seen) Spread {
			return typical(n, p.chance("falls"), func(ids []uint32) []float64 { return nodes(s.attackers, place, events, ids, 1) })
		}
	}
	for _, n := range []int{7, 15, 100} {
		compare(fmt.Sprintf("events of each attacker → at each of %d nodes", n), attack, at(hashed, n))
	}
	for _, n := range []int{7, 15, 100} {
		compare(fmt.Sprintf("events at each of %d nodes", n), at(address, n), at(hashed, n))
	}
	compare("events in each first octet", octets(address, 1), octets(hashed, 1))
	compare("events in each of the pictures' cells, two octets", octets(address, 2), octets(hashed, 2))
	compare("of each attacker: events → Komondor's reports", attack, func(s seen) Spread { return NewSpread(each(s.attackers, reports)) })
	p.say("The magnitude, log10 of the most by the least of those that have any, where attackers lie by address → by key: how many times "+
		"lower. The paper: by 1.85, 70 times. Medians over %d sets of random node ids.", overlays)
	p.table(1, names("what is compared", all), rows)
}

// times writes a factor.
func times(x float64) string {
	if x >= 100 {
		return integer(int(math.Round(x))) + "×"
	}
	return fmt.Sprintf("%.2g×", x)
}

// loads says how evenly nodes share the work.
func (p *page) loads(all []seen) {
	var rows [][]string
	for _, n := range []int{7, 15, 100, 1000} {
		add := func(what string, of func(seen) Spread) {
			rows = append(rows, append([]string{integer(n)}, row(what, all, func(s seen) string {
				spread := of(s)
				return fmt.Sprintf("%.1f, %.2f, %d", spread.MaxMean(), spread.CV, spread.Idle)
			})...))
		}
		equal := func(place func(Attacker) uint32) func(seen) Spread {
			return func(s seen) Spread { return NewSpread(ranges(s.attackers, place, events, n)) }
		}
		near := func(place func(Attacker) uint32, load func(Attacker) float64, r int) func(seen) Spread {
			return func(s seen) Spread {
				return typical(n, p.chance("loads"), func(ids []uint32) []float64 { return nodes(s.attackers, place, load, ids, r) })
			}
		}
		add("events, equal ranges of addresses", equal(address))
		add("events, nearest addresses", near(address, events, 1))
		add("events, equal ranges of keys", equal(hashed))
		add("events, nearest keys", near(hashed, events, 1))
		add("reports, nearest keys", near(hashed, reports, 1))
		add(fmt.Sprintf("reports to %d nearest", replicas(n)), near(hashed, reports, replicas(n)))
	}
	p.say("Load of N nodes: the busiest by the mean, the standard deviation by the mean, and how many have none.")
	p.table(2, append([]string{"N"}, names("load, and what a node owns", all)...), rows)
}
