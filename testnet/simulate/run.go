package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/komondor/komondor/broadcast/tree"
)

// Options says what to simulate.
type Options struct {
	Nodes    []int     // sizes of networks, each at least 2
	Lookups  int       // in each
	Keys     int       // a node, for the load
	Events   int       // of one key, for messages per event
	Replicas int       // collectors a key
	Loss     []float64 // shares of frames and of acknowledgements lost
	Dead     float64   // share of the contacts that are gone, which nobody has noticed
	Seed     uint64
	Progress func(format string, args ...any) // may be nil
}

// Defaults are sizes that take seconds.
func Defaults() Options {
	return Options{
		Nodes: []int{100, 1000, 10_000}, Lookups: 20_000, Keys: 10, Events: maxEvents, Replicas: 5,
		Loss: []float64{0, 0.05, 0.1, 0.2, 0.3}, Seed: 1,
	}
}

// Check says what is wrong with the options.
func (o Options) Check() error {
	for _, n := range o.Nodes {
		if n < 2 || n > 10_000_000 {
			return fmt.Errorf("%d nodes: want 2 to 10000000", n)
		}
	}
	for _, p := range o.Loss {
		if !(p >= 0 && p < 1) {
			return fmt.Errorf("loss %v: want a share from 0 up to 1", p)
		}
	}
	switch {
	case len(o.Nodes) == 0:
		return errors.New("no network to simulate: name some numbers of nodes")
	case !(o.Dead >= 0 && o.Dead < 1):
		return fmt.Errorf("dead %v: want a share from 0 up to 1", o.Dead)
	case o.Lookups < 1 || o.Keys < 1 || o.Events < 1 || o.Replicas < 1 || o.Replicas > 16:
		return errors.New("want at least one lookup, key and event, and 1 to 16 collectors")
	}
	return nil
}

// Result is a network's figures.
type Result struct {
	Nodes    int     `json:"nodes"`
	Lookups  Lookups `json:"lookups"`
	Events   int     `json:"events"`
	PerEvent float64 `json:"messages_per_event"` // one lookup and the reports of that many events to all collectors
	Loads    []Load  `json:"loads"`
	Casts    []Cast  `json:"broadcasts"`
}

// Run simulates one network after the other.
func Run(ctx context.Context, o Options) ([]Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	reports, err := Reports(max(o.Events, maxEvents))
	if err != nil {
		return nil, err
	}
	say := o.Progress
	if say == nil {
		say = func(string, ...any) {}
	}
	var results []Result
	for _, n := range o.Nodes {
		r := Result{Nodes: n, Events: o.Events}
		var net *Net
		for _, part := range []struct {
			name string
			do   func()
		}{
			{"tables", func() { net = New(n, o.Dead, o.Seed) }},
			{"lookups", func() { r.Lookups = net.Look(o.Lookups, o.Replicas, o.Seed) }},
			{"load", func() { r.Loads = net.Loads(o.Keys*n, o.Replicas, o.Seed, reports) }},
			{"broadcasts", func() { r.Casts = net.Broadcasts(o.Loss, tree.Replicas, o.Seed) }},
		} {
			if err := ctx.Err(); err != nil {
				return results, err
			}
			begin := time.Now()
			part.do()
			say("%d nodes: %s, %.1f s\n", n, part.name, time.Since(begin).Seconds())
		}
		r.PerEvent = (r.Lookups.Messages + float64(reports[o.Events]-1)*r.Lookups.Others) / float64(o.Events)
		results = append(results, r)
	}
	return results, nil
}

// Print writes the results as tables.
func Print(w io.Writer, o Options, results []Result) error {
	fmt.Fprintf(w, "seed %d, %d collectors a key, %g of the contacts dead\n\n", o.Seed, o.Replicas, o.Dead)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "nodes\trequests\tp50\tp99\tmax\thops\tr nearest\tfirst event\tper event of "+fmt.Sprint(o.Events)+"\t")
	for _, r := range results {
		l := r.Lookups
		fmt.Fprintf(t, "%d\t%.3f\t%d\t%d\t%d\t%.3f\t%.2f %%\t%.2f\t%.4f\t\n", r.Nodes, l.Mean, l.P50, l.P99, l.Max, l.Hops, 100*l.Right, l.Messages, r.PerEvent)
	}
	fmt.Fprintln(t, "\t")
	t.Flush()
	fmt.Fprintln(t, "nodes\tload\tmessages\tmean\tp50\tp99\tmax\tmax/mean\tCV\tGini\t")
	for _, r := range results {
		for _, l := range r.Loads {
			fmt.Fprintf(t, "%d\t%s\t%d\t%.1f\t%d\t%d\t%d\t%.2f\t%.3f\t%.3f\t\n", r.Nodes, l.Of, l.Messages, l.Mean, l.P50, l.P99, l.Max, l.MaxMean, l.CV, l.Gini)
		}
	}
	fmt.Fprintln(t, "\t")
	t.Flush()
	fmt.Fprintln(t, "nodes\tloss\tcoverage\tmessages a node\tdepth\tmean hops\t")
	for _, r := range results {
		for _, c := range r.Casts {
			fmt.Fprintf(t, "%d\t%g %%\t%.3f %%\t%.3f\t%d\t%.2f\t\n", r.Nodes, 100*c.Loss, 100*c.Coverage, c.Messages, c.Depth, c.MeanHops)
		}
	}
	return t.Flush()
}
