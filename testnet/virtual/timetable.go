package virtual

import (
	"cmp"
	"fmt"
	"slices"
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
		net.want(100, when, who, fact, began)
	}}
}

// Mostly is By for so many of a hundred.
func Mostly(percent int, when time.Duration, who Who, fact Fact) Row {
	return Row{when, by, func(net *Net, began time.Time) {
		net.t.Helper()
		net.want(percent, when, who, fact, began)
	}}
}

func (net *Net) want(percent int, when time.Duration, who Who, fact Fact, began time.Time) {
	net.t.Helper()
	do, not, last := fact.split(who(net))
	all := len(do) + len(not)
	if len(do) == 0 || 100*len(do) < percent*all {
		net.t.Errorf("by %s: %d of %d do not %s: nodes %v", when, len(not), all, fact.name, not)
		return
	}
	row := fmt.Sprintf("\tby %s: %d of %d %s", when, len(do), all, fact.name)
	if !last.IsZero() {
		row += ", the last at " + last.Sub(began).Round(time.Millisecond).String()
	}
	net.t.Log(row)
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
