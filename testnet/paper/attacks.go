package paper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/testnet/figure"
)

// way is a type of attack of Table II.
type way struct {
	name, short string
	kinds       []event.Kind
}

func ways() []way {
	return []way{
		{"phpMyAdmin scan", "web", []event.Kind{event.HTTPScan}},
		{"MSSQL overflow", "mssql", []event.Kind{event.Worm}},
		{"SSH connection lost", "lost", []event.Kind{event.SSHPreauthClosed, event.SSHPreauthTimeout}},
		{"SSH failed password", "password", []event.Kind{event.SSHLoginFailed}},
		{"SSH invalid user", "user", []event.Kind{event.SSHUserInvalid}},
		{"FTP failed login", "ftp", []event.Kind{event.FTPLoginFailed}},
	}
}

// Attack is what one source did in one way until it was quiet for an hour.
type Attack struct {
	Source    netip.Addr
	First     time.Time
	Last      time.Time
	Events    int
	Probes    int  // that saw it
	Protected bool // it went on at another probe after an alert had named the source
}

// Duration is from the first event to the last one, and a second for a single one: a logarithmic
// axis has no place for none.
func (a Attack) Duration() time.Duration { return max(a.Last.Sub(a.First), time.Second) }

// PerProbe is how many events a probe has of it that saw it.
func (a Attack) PerProbe() float64 { return float64(a.Events) / float64(a.Probes) }

// Attacks finds the attacks of one way in what the probes have counted, with the alarms that
// there were about their sources.
func Attacks(w way, logs []Log, alarms map[netip.Addr][]alarm) (attacks []Attack) {
	type sighting struct {
		at    time.Time
		probe string
	}
	seen := map[netip.Addr][]sighting{}
	for _, log := range logs {
		for e, n := range counted(log) {
			if slices.Contains(w.kinds, e.Kind) {
				for range n * e.Count {
					seen[e.Source.Addr] = append(seen[e.Source.Addr], sighting{e.Time, log.Name})
				}
			}
		}
	}
	for _, source := range slices.SortedFunc(maps.Keys(seen), netip.Addr.Compare) {
		all := seen[source]
		slices.SortFunc(all, func(a, b sighting) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.probe, b.probe)) })
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].at.Sub(all[n-1].at) <= time.Hour {
				n++
			}
			a := Attack{Source: source, First: all[0].at, Last: all[n-1].at, Events: n}
			warned, known := firstWithin(alarms[source], a.First, a.Last)
			probes := map[string]bool{}
			for _, s := range all[:n] {
				probes[s.probe] = true
				a.Protected = a.Protected || known && s.at.After(warned.at) && s.probe != warned.by
			}
			a.Probes = len(probes)
			attacks, all = append(attacks, a), all[n:]
		}
	}
	return attacks
}

func firstWithin(alarms []alarm, from, to time.Time) (alarm, bool) {
	i := slices.IndexFunc(alarms, func(a alarm) bool { return !a.at.Before(from) && !a.at.After(to) })
	if i < 0 {
		return alarm{}, false
	}
	return alarms[i], true
}

// counted is what counts of a log's lines: each login attempt once.
func counted(log Log) map[event.Event]int {
	var attempts correlate.Attempts
	sum := map[event.Event]int{}
	for _, e := range log.Events {
		for _, c := range attempts.Add(e) {
			e := c.Event
			e.Detail = ""
			if sum[e] += c.Delta; sum[e] == 0 {
				delete(sum, e)
			}
		}
	}
	return sum
}

// mostDrawn is up to how many events a set is worked on: the judging of a million made-up ones
// would take the hour.
const mostDrawn = 200_000

// attacks are figures 6 to 8 and Table II, of the sets with several probes.
func (p *page) attacks(ctx context.Context, data []set) error {
	p.say("## Figures 6 to 8 and Table II: duration and events of attacks, and who is protected")
	var several []set
	for _, d := range LabelledData() {
		if !slices.Contains([]string{"ec2-4", "lab", "Slammer"}, d.Name) {
			continue
		}
		sites, _, err := d.Read(ctx, p.Data)
		if errors.Is(err, fs.ErrNotExist) {
			continue // said where the labels are
		}
		if err != nil {
			return err
		}
		several = append(several, set{Data: Data{Name: d.Name, About: d.About}, logs: sites})
	}
	for _, s := range data {
		if s.made {
			several = append(several, s)
		}
	}
	var rows [][]string
	for _, s := range several {
		if err := ctx.Err(); err != nil {
			return err
		}
		events := 0
		for _, log := range s.logs {
			events += len(log.Events)
		}
		if events > mostDrawn {
			p.say("%s: %s events are too many to judge here.", s.Name, integer(events))
			continue
		}
		together, err := Together(p.rules, s.logs)
		if err != nil {
			return err
		}
		for _, w := range ways() {
			attacks := Attacks(w, s.logs, together.alarms)
			if len(attacks) == 0 {
				continue
			}
			rows = append(rows, tableTwo(s, w, attacks))
			if len(attacks) < fewest {
				continue
			}
			if err := p.figureSix(s, w, attacks); err != nil {
				return err
			}
			if err := p.figureSeven(s, w, attacks); err != nil {
				return err
			}
		}
	}
	p.say("An attack is what one source did in one way until it was quiet for an hour. It is protected against when it went on at another probe after " +
		"an alert had named the source. The last columns are the events that a probe has of an attack, in the median: where one probe saw it, and where several did.")
	p.table(2, []string{"log", "type of attack", "attacks", "protection", "ratio", "of a single event", "seen by one probe", "median events", "seen by several", "median events"}, rows)
	return p.err
}

// tableTwo is a line of Table II, with what figure 6 shows in figures.
func tableTwo(s set, w way, attacks []Attack) []string {
	protected, single := 0, 0
	var one, several []float64
	for _, a := range attacks {
		if a.Protected {
			protected++
		}
		if a.Events == 1 {
			single++
		}
		if a.Probes == 1 {
			one = append(one, a.PerProbe())
		} else {
			several = append(several, a.PerProbe())
		}
	}
	median := func(values []float64) string {
		if len(values) == 0 {
			return "–"
		}
		slices.Sort(values)
		return f3(values[len(values)/2])
	}
	return []string{s.Name, w.name, integer(len(attacks)), integer(protected), fmt.Sprintf("%d %%", 100*protected/len(attacks)),
		integer(single), integer(len(one)), median(one), integer(len(several)), median(several)}
}

// figureSix draws each attack by its duration and the events that a probe has of it, in the colour of how many probes saw it.
func (p *page) figureSix(s set, w way, attacks []Attack) error {
	series := []figure.Series{{Name: "one probe"}, {Name: "two or three"}, {Name: "more"}}
	for _, a := range attacks {
		i := min(a.Probes/2, 2)
		series[i].X, series[i].Y = append(series[i].X, a.Duration().Seconds()), append(series[i].Y, a.PerProbe())
	}
	axes := figure.Axes{Title: w.name + ": " + s.Name, X: "duration, s", Y: "events of a probe", LogX: true, LogY: true}
	return p.draw(fmt.Sprintf("duration-%s-%s", w.short, s.Name))(figure.Points(axes, series...))
}

// figureSeven draws the attacks by rank of their duration, with their events under it: figures 7 and 8.
func (p *page) figureSeven(s set, w way, attacks []Attack) error {
	attacks = slices.Clone(attacks)
	slices.SortStableFunc(attacks, func(a, b Attack) int {
		return cmp.Or(cmp.Compare(a.Duration(), b.Duration()), cmp.Compare(a.Events, b.Events))
	})
	duration, events := figure.Series{Name: "duration, s"}, figure.Series{Name: "events"}
	for i, a := range attacks {
		x := float64(i + 1)
		duration.X, duration.Y = append(duration.X, x), append(duration.Y, a.Duration().Seconds())
		events.X, events.Y = append(events.X, x), append(events.Y, float64(a.Events))
	}
	axes := figure.Axes{Title: w.name + ": " + s.Name, X: "attacks by their duration", Y: "seconds, or events", LogY: true}
	return p.draw(fmt.Sprintf("attacks-%s-%s", w.short, s.Name))(figure.Points(axes, duration, events))
}
