// Package paper finds the results of paper 002 again with today's program: Table I,
// the messages that an event costs, figure 9, how evenly the load is spread, and Table II
// with figures 6 to 8, what attacks are like and who is protected. Beside them it
// says what is found in labelled data, and that members together find what one place would.
// Everything is deterministic by its seed.
package paper

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/testnet/figure"
)

// federation is part of what keys are hashed with. Any name would do.
const federation = "paper"

// Options say what Run works on.
type Options struct {
	Data string // the folder of real logs; what is not there is left out, and told
	Out  string // the folder for the figures, made if need be
	Seed uint64
	// Nodes are the sizes at which the overlays are compared, ascending.
	Nodes []int
	// Ways is over how many lookups a mean is taken.
	Ways int
	// Shapes are those of the generated logs.
	Shapes []Shape
}

// Defaults are what `make paper` uses.
func Defaults() Options {
	return Options{
		Data: "../shared/data", Out: "build/paper", Seed: 1,
		Nodes: []int{7, 15, 100, 1000, 10_000, 100_000}, Ways: 2000, Shapes: []Shape{sshPaper, wholePaper},
	}
}

// Run writes the tables to w, as Markdown, and draws the figures.
func Run(ctx context.Context, o Options, w io.Writer) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	rules, err := productRules()
	if err != nil {
		return err
	}
	p := &page{Options: o, w: w, rules: rules}
	p.say("Paper 002 again, seed %d.", o.Seed)
	data, err := p.read(ctx)
	if err != nil {
		return err
	}
	if err := p.tableOne(ctx, data); err != nil {
		return err
	}
	if err := p.figureNine(ctx, data); err != nil {
		return err
	}
	if err := p.attacks(ctx, data); err != nil {
		return err
	}
	if err := p.labelled(ctx); err != nil {
		return err
	}
	return p.phases()
}

// productRules are the built-in ones, but for those by the sources' subnets: the paper has one key
// for an attacker, and a second one beside it would count its events twice.
func productRules() (correlate.Rules, error) {
	bySubnet := func(r correlate.Rule) bool { return r.GroupBy.Has(event.BySourceSubnet) }
	return correlate.NewRules(slices.DeleteFunc(correlate.Builtin(), bySubnet), event.Kind.Severity)
}

// page is what Run writes.
type page struct {
	Options
	w     io.Writer
	rules correlate.Rules
	err   error // the first of writing to w
}

func (p *page) say(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format+"\n\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

// table writes a head and rows of cells: text on the left, and figures on the right.
func (p *page) table(texts int, head []string, rows [][]string) {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
		if i < texts {
			rule[i] = "---"
		}
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
	p.say("%s", strings.TrimSuffix(b.String(), "\n"))
}

// chance is where one part of the page gets its randomness: parts do not depend on
// what was drawn by those before them.
func (p *page) chance(part string) *rand.Rand {
	return rand.New(rand.NewPCG(p.Seed, uint64(event.Hash32(federation, nil, part))))
}

// set is a set of logs that were read.
type set struct {
	Data
	logs []Log
	made bool // by chance
}

// read reads all there is, and generates what stands for the paper's own log.
func (p *page) read(ctx context.Context) ([]set, error) {
	var all []set
	var missing, unread []string
	for _, d := range Real() {
		logs, not, err := d.Read(ctx, p.Data)
		if err != nil {
			return nil, err
		}
		unread = append(unread, not...)
		logs = slices.DeleteFunc(logs, func(l Log) bool { return len(l.Events) == 0 })
		if len(logs) == 0 {
			missing = append(missing, d.Name)
			continue
		}
		all = append(all, set{Data: d, logs: logs})
	}
	for _, shape := range p.Shapes {
		name := fmt.Sprintf("made-%d", shape.Attacks)
		logs, err := Generate(ctx, shape, p.chance(name))
		if err != nil {
			return nil, err
		}
		about := fmt.Sprintf("made up: %s attacks of 1 to %s events on sshd", integer(shape.Attacks), integer(shape.Most))
		all = append(all, set{Data{Name: name, About: about}, logs, true})
	}
	var rows [][]string
	for _, s := range all {
		events := 0
		for _, log := range s.logs {
			events += len(log.Events)
		}
		rows = append(rows, []string{s.Name, s.About, integer(len(s.logs)), integer(events)})
	}
	p.table(2, []string{"log", "what it is", "probes", "lines that are evidence"}, rows)
	if len(missing) > 0 {
		p.say("Without an event that our parsers read, or not below %s: %s.", p.Data, strings.Join(missing, ", "))
	}
	if len(unread) > 0 {
		p.say("Of no format that probes read: %s.", strings.Join(unread, ", "))
	}
	return all, p.err
}

// draw saves a figure under a name without ending.
func (p *page) draw(name string) func(figure.Figure, error) error {
	return func(f figure.Figure, err error) error {
		if err != nil {
			return err
		}
		return f.Save(filepath.Join(p.Out, name+".svg"))
	}
}

// steps are the numbers of events in Table I.
var steps = []int{1, 10, 100, 1000, 10_000}

// tableOne compares the messages of the overlays.
func (p *page) tableOne(ctx context.Context, data []set) error {
	p.say("## Table I: messages per event")
	chance := p.chance("overlays")
	var all []*Overlays
	var means []Path
	var rows [][]string
	curves := []figure.Series{{Name: "log2 N, as the paper has it"}, {Name: "Chord, simulated"}, {Name: "Kademlia, buckets of 1"}, {Name: "Kademlia, buckets of 20"}, {Name: "Komondor's lookup"}}
	for _, n := range p.Nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		o := NewOverlays(n, chance)
		mean := o.Mean(p.Ways, chance)
		all, means = append(all, o), append(means, mean)
		logarithm := math.Log2(float64(n))
		for i, y := range []float64{logarithm, mean.Chord, mean.Binary, mean.Kademlia, mean.Lookup} {
			curves[i].X, curves[i].Y = append(curves[i].X, float64(n)), append(curves[i].Y, y)
		}
		rows = append(rows, []string{integer(n), f2(logarithm), f2(mean.Chord), f2(mean.Binary), f2(mean.Kademlia), f2(mean.Lookup)})
	}
	p.say("Requests of one lookup, or messages of one way through Chord, mean over %s random nodes and keys. The paper reckons with "+
		"log2 N; half of that is what is needed on the average, and for Chord up to one more, to the successor itself.", integer(p.Ways))
	p.table(0, []string{"nodes", "log2 N", "Chord", "Kademlia, buckets of 1", "buckets of 20", "Komondor, two answers"}, rows)
	if err := p.draw("hops")(figure.Lines(figure.Axes{Title: "Messages of one lookup", X: "nodes", Y: "messages", LogX: true, FromZero: true}, curves...)); err != nil {
		return err
	}

	for i, o := range all {
		if o.Nodes == 100 || i == len(all)-1 {
			if err := p.guesses(o, means[i]); err != nil {
				return err
			}
		}
	}
	return p.streams(data)
}

// guesses is Table I for n events with the same key.
func (p *page) guesses(o *Overlays, mean Path) error {
	p.say("Messages per event, n events of one attacker at one probe, %s nodes. Komondor's attacker tries once a second, and in the last "+
		"column a hundred times.", integer(o.Nodes))
	curves := []figure.Series{{Name: "Chord, computed"}, {Name: "Chord, simulated"}, {Name: "Kademlia, computed"}, {Name: "Kademlia, simulated"}, {Name: "Komondor, one collector"}, {Name: fmt.Sprintf("Komondor, all %d", o.Replicas)}}
	var rows [][]string
	for _, n := range steps {
		c, quick := o.Guess(p.rules, mean, n, time.Second), o.Guess(p.rules, mean, n, time.Second/100)
		row := []string{integer(n)}
		for i, messages := range []float64{c.ChordComputed, c.Chord, c.KademliaComputed, c.Kademlia, c.One, c.All, quick.All} {
			row = append(row, f3(messages/c.Events))
			if i < len(curves) {
				curves[i].X, curves[i].Y = append(curves[i].X, float64(n)), append(curves[i].Y, messages/c.Events)
			}
		}
		rows = append(rows, row)
	}
	everyone := fmt.Sprintf("to all %d", o.Replicas)
	p.table(0, []string{"n", "Chord, n·log2 N", "simulated", "Kademlia, n + log2 N", "simulated", "Komondor, to one", everyone, "100 a second, " + everyone}, rows)
	title := fmt.Sprintf("Messages per event, one key, %s nodes", integer(o.Nodes))
	f, err := figure.Lines(figure.Axes{Title: title, X: "events of the key", Y: "messages per event", LogX: true, LogY: true}, curves...)
	return p.draw(fmt.Sprintf("messages-%d", o.Nodes))(f.KeyBelow(), err)
}

// streamed is the size of overlay that the logs are fed to.
const streamed = 100

// streams is Table I for the logs.
func (p *page) streams(data []set) error {
	chance := p.chance("streams")
	o := NewOverlays(streamed, chance)
	p.say("Messages per event for the logs, %d nodes, each probe at one of them. An event under several keys is one for each.", streamed)
	var rows [][]string
	for _, s := range data {
		c := o.Cost(p.rules, s.logs, chance)
		row := []string{s.Name, integer(int(c.Events))}
		for _, messages := range []float64{c.ChordComputed, c.Chord, c.KademliaComputed, c.Kademlia, c.One, c.All} {
			row = append(row, f3(messages/c.Events))
		}
		rows = append(rows, row)
	}
	p.table(1, []string{"log", "events", "Chord, computed", "simulated", "Kademlia, computed", "simulated", "Komondor, to one", fmt.Sprintf("to all %d", o.Replicas)}, rows)
	return p.err
}

func f2(x float64) string { return fmt.Sprintf("%.2f", x) }
func f3(x float64) string { return fmt.Sprintf("%.3g", x) }

// integer writes 17088 as 17,088.
func integer(n int) string { return figure.Number(float64(n)) }
