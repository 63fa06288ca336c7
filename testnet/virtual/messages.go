package virtual

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Messages is what many events of one attacker at one node cost an overlay.
// Acknowledgements are not counted, as the paper does not count them.
type Messages struct {
	Nodes, Events  int
	Collectors     int    // of the key
	Lookups        uint64 // of the key
	LookupMessages uint64 // requests that they took
	Reports        uint64 // versions of the report on the attacker
	ReportMessages uint64 // copies sent, to all collectors together
	Alerts         uint64 // versions of the alert that collectors raised
	AlertMessages  uint64 // of all nodes: their broadcasts
}

// LastReport is after how long the last of many events has been told at the
// latest: correlate's longest interval, and a moment to deliver it.
const LastReport = 62 * time.Second

// Measure has the node farthest from an attacker's key log events of that
// attacker, one login attempt each, evenly over a time, and counts the messages
// until some time later.
func (net *Net) Measure(attacker string, events int, over, later time.Duration) Messages {
	net.t.Helper()
	n := Farthest(attacker, 1)(net)[0]
	raised := func(n *Node) uint64 { return n.Status().Counters.AlertsRaised }
	alerts := func(n *Node) uint64 { return n.Status().Counters.AlertMessages }
	collected := func(n *Node) uint64 { return n.Status().Counters.Collected }
	collectors := make(map[*Node]uint64)
	for _, c := range Everyone(net) {
		collectors[c] = collected(c)
	}
	before, raisedBefore, alertsBefore := n.Status().Counters, net.sum(raised), net.sum(alerts)
	for i := range events {
		n.log.connection(fmt.Sprintf("Failed password for invalid user oracle from %s port %d ssh2", prefixOf(attacker).Addr(), 1024+i%60000))
		time.Sleep(over / time.Duration(events))
	}
	time.Sleep(later)
	after := n.Status().Counters
	if got := after.Events - before.Events; got != uint64(events) {
		net.t.Errorf("%s has taken %d of %d events", n, got, events)
	}
	m := Messages{
		Nodes: len(Everyone(net)), Events: events,
		Lookups: after.Lookups - before.Lookups, LookupMessages: after.LookupMessages - before.LookupMessages,
		Reports: after.Reports - before.Reports, ReportMessages: after.ReportMessages - before.ReportMessages,
		Alerts: net.sum(raised) - raisedBefore, AlertMessages: net.sum(alerts) - alertsBefore,
	}
	for c, had := range collectors {
		if collected(c) > had {
			m.Collectors++
		}
	}
	return m
}

// perEvent is a number of messages for each event.
func (m Messages) perEvent(messages float64) string {
	return fmt.Sprintf("%.4g", messages/float64(m.Events))
}

// Table shows the measurement beside Table I of paper 002, as Markdown.
func (m Messages) Table() string {
	n, hops := float64(m.Events), math.Log2(float64(m.Nodes))
	replica := float64(m.LookupMessages) + float64(m.ReportMessages)/float64(m.Collectors)
	all := float64(m.LookupMessages + m.ReportMessages)
	var b strings.Builder
	fmt.Fprintf(&b, "%d events of one attacker at one node, overlay of %d nodes:\n\n", m.Events, m.Nodes)
	fmt.Fprintf(&b, "| | Chord, recursive | Kademlia, iterative | Komondor, to one collector | Komondor, to all %d |\n| --- | ---: | ---: | ---: | ---: |\n", m.Collectors)
	row := func(name string, cells ...string) { fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(cells, " | ")) }
	number := func(x float64) string { return fmt.Sprintf("%.0f", x) }
	row("how", "computed, n·log2 N", "computed, n + log2 N", "measured", "measured")
	row("node lookups", "0", "1", fmt.Sprint(m.Lookups), fmt.Sprint(m.Lookups))
	row("lookup messages", "0", fmt.Sprintf("%.1f", hops), fmt.Sprint(m.LookupMessages), fmt.Sprint(m.LookupMessages))
	row("event or report messages", number(n*hops), number(n), number(float64(m.ReportMessages)/float64(m.Collectors)), fmt.Sprint(m.ReportMessages))
	row("messages in all", number(n*hops), number(n+hops), number(replica), number(all))
	row("messages per event", m.perEvent(n*hops), m.perEvent(n+hops), m.perEvent(replica), m.perEvent(all))
	fmt.Fprintf(&b, "\nReports made: %d. Alerts raised: %d; their broadcasts took %d messages of all nodes, %.3g a node and alert.\n",
		m.Reports, m.Alerts, m.AlertMessages, float64(m.AlertMessages)/float64(m.Alerts)/float64(m.Nodes))
	return b.String()
}
