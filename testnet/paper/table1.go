package paper

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay/kademlia"
)

// replicas is how many collectors the product gives a key.
func replicas(nodes int) int {
	if nodes < 20 {
		return min(3, nodes)
	}
	return 5
}

// Overlays are the same number of nodes connected in the ways that Table I
// compares.
type Overlays struct {
	Nodes    int
	Replicas int
	chord    *Chord
	binary   *Kademlia // buckets of one: the tree of paper 002
	kademlia *Kademlia
}

// NewOverlays connects n nodes, at least 1.
func NewOverlays(n int, chance *rand.Rand) *Overlays {
	return &Overlays{n, replicas(n), NewChord(n, chance), NewKademlia(n, 1, chance), NewKademlia(n, kademlia.K, chance)}
}

// Path is the cost of one key for one node, in messages; replies do not count.
type Path struct {
	Chord    float64 // to bring an event to the key's node
	Binary   float64 // to look the key's node up, with buckets of one
	Kademlia float64 // the same with today's buckets
	Store    float64 // to send it one event: one, or none if it is the node itself
	Lookup   float64 // to look up the product's collectors
	Report   float64 // to send a report to all of them but the node itself
	Nearest  float64 // to send it to the nearest of them
}

// Path measures the way from a node to a key. Where an overlay has nodes differs,
// so the node is one of each.
func (o *Overlays) Path(from int, key uint64) Path {
	_, hops := o.chord.Route(from, key)
	_, few := o.binary.Lookup(from, key)
	found, requests := o.kademlia.Lookup(from, key)
	collectors, asked := o.kademlia.Collectors(from, key, o.Replicas)
	p := Path{Chord: float64(hops), Binary: float64(few), Kademlia: float64(requests), Lookup: float64(asked)}
	if found != int32(from) {
		p.Store = 1
	}
	for i, c := range collectors {
		if c == int32(from) {
			continue
		}
		p.Report++
		if i == 0 {
			p.Nearest = 1
		}
	}
	return p
}

// Mean is the mean over ways from random nodes to random keys.
func (o *Overlays) Mean(ways int, chance *rand.Rand) Path {
	var mean Path
	for range ways {
		p := o.Path(chance.IntN(o.Nodes), chance.Uint64())
		mean.Chord += p.Chord / float64(ways)
		mean.Binary += p.Binary / float64(ways)
		mean.Kademlia += p.Kademlia / float64(ways)
		mean.Store += p.Store / float64(ways)
		mean.Lookup += p.Lookup / float64(ways)
		mean.Report += p.Report / float64(ways)
		mean.Nearest += p.Nearest / float64(ways)
	}
	return mean
}

// Costs are messages in all.
type Costs struct {
	Events                     float64
	ChordComputed, Chord       float64 // n log2 N; simulated
	KademliaComputed, Kademlia float64 // n + log2 N; simulated
	One, All                   float64 // of the product: to one collector, to all
}

// add puts the traffic of one probe under one key to the costs.
func (c *Costs) add(t Traffic, p Path, nodes int) {
	n, hops := float64(t.Events), math.Log2(float64(nodes))
	c.Events += n
	c.ChordComputed += n * hops
	c.Chord += n * p.Chord
	c.KademliaComputed += n + hops
	c.Kademlia += n*p.Store + p.Kademlia
	c.One += float64(t.Lookups)*p.Lookup + float64(t.Reports)*p.Nearest
	c.All += float64(t.Lookups)*p.Lookup + float64(t.Reports)*p.Report
}

// Cost is what the logs cost in an overlay, with each probe at a random node. An
// event under several keys has to be stored under each, so it counts for each.
func (o *Overlays) Cost(rules correlate.Rules, logs []Log, chance *rand.Rand) Costs {
	var costs Costs
	for _, log := range logs {
		at := chance.IntN(o.Nodes)
		traffic := Watch(rules, log)
		keys := slices.SortedFunc(maps.Keys(traffic), func(a, b event.Key) int {
			return cmp.Or(cmp.Compare(a.Selector, b.Selector), cmp.Compare(a.Value, b.Value))
		})
		for _, key := range keys { // in order: sums of floats depend on it
			if t := traffic[key]; t.Events > 0 {
				hash := key.Hash(federation, nil)
				costs.add(t, o.Path(at, binary.BigEndian.Uint64(hash[:])), o.Nodes)
			}
		}
	}
	return costs
}

// guesser is an attacker that tries so many passwords, at an even pace.
func guesser(tries int, pause time.Duration) Log {
	log := Log{Name: "guesser"}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range tries {
		log.Events = append(log.Events, event.Event{
			Time: begin.Add(time.Duration(i) * pause), Kind: event.SSHLoginFailed, Severity: event.SSHLoginFailed.Severity(),
			Source: event.Endpoint{Addr: netip.MustParseAddr("203.0.113.9"), Port: 1024}, Target: event.Endpoint{Port: 22}, Protocol: "tcp",
			Count: 1, Proof: event.Handshake, Attempt: fmt.Sprint(i), Sensor: "sshd",
		})
	}
	return log
}

// Guess is what n passwords tried at one probe cost, on the average over nodes
// and keys.
func (o *Overlays) Guess(rules correlate.Rules, mean Path, n int, pause time.Duration) Costs {
	var costs Costs
	for _, t := range Watch(rules, guesser(n, pause)) {
		costs.add(t, mean, o.Nodes)
	}
	return costs
}
