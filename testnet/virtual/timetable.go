package virtual

import (
	"cmp"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// Timetable says what happens to which nodes when, and what must come of it. Its
// times are reckoned from where Play begins.
//
//	Timetable{
//		At(1*time.Second, Nodes(0, 1, 2), AttackedBy(worm, 3)),
//		By(2*time.Second, Everyone, Block(worm)),
//		Never(Anyone, Block(alice)),
//	}
//
// Rows may stand in any order. At one time, what must be is looked at before
// something new happens.
type Timetable []Row

// Row is one line of a timetable; At, By, NotBefore and Never make it.
type Row struct {
	when  time.Duration
	order int // of rows at one time
	run   func(net *Net, began time.Time)
}

const (
	notBefore = iota
	by
	at
)

// lastly is after every other row.
const lastly = 1<<63 - 1

// At lets something happen to each of some nodes, in turn, without delay.
func At(when time.Duration, who Who, do Action) Row {
	return Row{when, at, func(net *Net, _ time.Time) {
		for _, n := range who(net) {
			do(n)
		}
	}}
}

// By wants a fact to hold for all of some nodes at a time, at the latest.
func By(when time.Duration, who Who, fact Fact) Row {
	return Row{when, by, func(net *Net, began time.Time) {
		net.t.Helper()
		do, not, last := fact.split(who(net))
		if len(do) == 0 || len(not) > 0 {
			net.t.Errorf("by %s: %d of %d do not %s: nodes %v", when, len(not), len(do)+len(not), fact.name, not)
			return
		}
		net.t.Logf("\tby %s: %d %s, the last at %s", when, len(do), fact.name, last.Sub(began).Round(time.Millisecond))
	}}
}

// NotBefore wants a fact not to hold for any of some nodes until a time.
func NotBefore(when time.Duration, who Who, fact Fact) Row {
	return Row{when, notBefore, func(net *Net, _ time.Time) {
		net.t.Helper()
		if do, _, _ := fact.split(who(net)); len(do) > 0 {
			until := "before " + when.String()
			if when == lastly {
				until = "never"
			}
			net.t.Errorf("%s: nodes %v %s", until, do, fact.name)
		}
	}}
}

// Never wants a fact not to hold for any of some nodes before the timetable is
// over: a second after its last row.
func Never(who Who, fact Fact) Row { return NotBefore(lastly, who, fact) }

// Fact is something that can be seen of a node, with the time of its beginning.
type Fact struct {
	name  string
	since func(*Node) (time.Time, bool)
}

// Block is the fact that a node blocks a source, or has done so since it started.
func Block(source string) Fact {
	return Fact{"block " + source, func(n *Node) (time.Time, bool) { return n.blockedSince(source) }}
}

// Warn is the fact that a node shows an alert about a source, and does not block
// it because the evidence is another organisation's alone.
func Warn(source string) Fact {
	return Fact{"warn of " + source, func(n *Node) (since time.Time, ok bool) {
		alerts, err := n.Alerts()
		if err != nil {
			n.net.t.Errorf("alerts of %s: %v", n, err)
		}
		for _, a := range alerts {
			if a.Key.Value == source && strings.HasPrefix(a.Action, "warned") {
				return a.Raised, true
			}
		}
		return since, false
	}}
}

// split numbers the nodes for which the fact holds, and the others.
func (f Fact) split(nodes []*Node) (do, not []int, last time.Time) {
	for _, n := range nodes {
		since, ok := f.since(n)
		switch {
		case !ok:
			not = append(not, n.Number)
		case since.After(last):
			last = since
			fallthrough
		default:
			do = append(do, n.Number)
		}
	}
	slices.Sort(do)
	slices.Sort(not)
	return do, not, last
}

// Play goes through a timetable, in a synctest bubble.
func (net *Net) Play(name string, table Timetable) {
	net.t.Helper()
	net.t.Log(name)
	began := time.Now()
	rows := slices.Clone(table)
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.when, b.when), cmp.Compare(a.order, b.order))
	})
	for i, row := range rows {
		if row.when == lastly {
			if i == 0 || rows[i-1].when != lastly {
				time.Sleep(time.Second)
			}
		} else {
			time.Sleep(time.Until(began.Add(row.when)))
		}
		synctest.Wait() // for what else happens at this very moment
		row.run(net, began)
	}
}
