package block

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func (l *lab) blockFlows(f *Firewall, ttl time.Duration, flows ...Flow) {
	l.Helper()
	var entries []FlowEntry
	for _, flow := range flows {
		entries = append(entries, FlowEntry{flow, ttl})
	}
	if err := f.AddFlows(l.Context(), entries); err != nil {
		l.Fatal(err)
	}
}

func TestFlowsAreDropped(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	l.blockFlows(f, time.Minute,
		flowOf("udp", attacker4, host4, 53), // what comes in this name
		flowOf("tcp", host4, stranger4, 80), // what this host sends
		flowOf("icmp", stranger4, host4, 0), // any kind of it
		flowOf("udp", attacker6, host6, 53),
		flowOf("tcp", "", stranger6, 0)) // to a target, in whatever name
	l.want("blocked", attacker4, "tcp-in tcp-out udp-out ping")
	// What is dropped on its way out is every packet to that port, and no answer to port 80 of ours.
	l.want("blocked", stranger4, "tcp-in udp-in udp-out")
	l.want("blocked", attacker6, "tcp-in tcp-out udp-out")
	l.want("blocked", stranger6, "udp-in udp-out")
	if !l.udp(attacker4, host4, 54) {
		t.Error("another port is blocked as well")
	}

	counters, err := f.FlowCounters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := counters[flowOf("udp", attacker4, host4, 53)]
	if len(counters) != 5 || c.Packets != 1 || c.Bytes != 128 || c.Remaining > time.Minute || c.Remaining < 50*time.Second {
		t.Errorf("counters %+v, of the first %+v", counters, c)
	}
	if table := l.nft("list table inet komondor"); !strings.Contains(table, attacker4+" . "+host4+" . udp . 53") {
		t.Errorf("what a person sees:\n%s", table)
	}

	// Another process adopts them, and ends one.
	g := l.firewall(Options{})
	if err := g.RemoveFlows(t.Context(), []Flow{flowOf("udp", attacker4, host4, 53), flowOf("udp", "", "192.0.2.1", 0)}); err != nil {
		t.Fatal(err)
	}
	l.want("one ended", attacker4, all4)
	if counters, err = g.FlowCounters(t.Context()); err != nil || len(counters) != 4 {
		t.Errorf("%+v, %v", counters, err)
	}
	if err := g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.want("flushed", stranger4, all4)
	l.blockFlows(g, time.Minute, flowOf("udp", attacker4, host4, 53)) // makes the table anew
	l.want("again", attacker4, "tcp-in tcp-out udp-out ping")
}

func TestFlowsExpireByThemselves(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	flow := flowOf("udp", attacker4, host4, 53)
	l.blockFlows(f, time.Minute, flow)
	l.blockFlows(f, 1500*time.Millisecond, flow) // the later one counts
	if l.udp(attacker4, host4, 53) {
		t.Error("not blocked")
	}
	l.eventually(4*time.Second, "the end of the block", func() bool { return l.udp(attacker4, host4, 53) })
	if err := f.AddFlows(t.Context(), []FlowEntry{{Flow{}, time.Minute}}); err == nil {
		t.Error("no flow was blocked")
	}
	l.nft("delete table inet komondor")
	if counters, err := f.FlowCounters(t.Context()); err != nil && !errors.Is(err, fs.ErrNotExist) || len(counters) != 0 {
		t.Errorf("%v, %v", counters, err)
	}
}
