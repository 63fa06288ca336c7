package detect

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/komondor/komondor/event"
)

// floodKey names what is flooded: a host, and of it a port, a name or a client.
type floodKey struct {
	target host
	extra  uint64
	what   flooding
}

func (k floodKey) hash(seed uint64) uint64 {
	return mix(mix(k.target.hash(seed), k.extra), uint64(k.what))
}

type flooding uint8

const (
	synFlood flooding = iota
	udpFlood
	icmpFlood
	queryFlood  // what one client asks a server
	nameFlood   // different names of one zone
	repeatFlood // one name
	replyFlood  // replies about one name to a client
)

var floodings = [...]struct {
	kind     event.Kind
	protocol string
	of       string
}{
	synFlood:    {event.FloodSYN, "tcp", "connections begun and not completed"},
	udpFlood:    {event.FloodUDP, "udp", "datagrams without an answer"},
	icmpFlood:   {event.FloodICMP, "icmp", "ICMP messages"},
	queryFlood:  {event.DNSFloodQuery, "udp", "queries"},
	nameFlood:   {event.DNSFloodQuery, "udp", "queries for different names of one zone"},
	repeatFlood: {event.DNSFloodQuery, "udp", "queries for one name"},
	replyFlood:  {event.DNSFloodReply, "udp", "replies about one name that were not asked for; the source is probably forged"},
}

// flood is how much comes, and from how many it has come since it was last told of.
type flood struct {
	bucket
	count   int32 // since it became too much
	active  bool
	renewed int64 // in the table
	rank    int32 // where its sources are counted
	milestone
}

// rank counts the sources of a flood that is, or is about to become, one. The 16 most
// frequent are found by Space-Saving (Metwally et al., 2005), their number is estimated by
// linear counting (Whang et al., 1990). It costs over a KiB, so only some floods have one.
type rank struct {
	of      floodKey
	total   int32
	top     [16]ranked
	sources [64]uint64 // bits, by hash
}

type ranked struct {
	source host
	count  int32
	error  int32 // of the count, how much may be of sources that stood here before
}

func (r ranked) sure() int32 { return r.count - r.error }

// ranking is all ranks; who needs one takes that of the flood which has had its longest.
type ranking struct {
	slots []rank
	next  int
}

// flooded counts n observations of a flood, which may be negative where something turns
// out well, and reports the flood when it is one.
func (d *Detector) flooded(what flooding, target host, extra uint64, limit Limit, source host, n float64) {
	k := floodKey{target, extra, what}
	i := d.floods.find(k)
	if i == 0 {
		if n < 0 {
			return
		}
		i = d.floods.add(k, passing)
		d.floods.value(i).rank = -1
	}
	f := d.floods.value(i)
	if d.now-f.renewed > 1e9 {
		f.renewed = d.now
		d.floods.renew(i, passing)
	}
	level := f.pour(n, d.now, limit)
	switch {
	case level >= limit.Burst:
		f.active = true
	case level < limit.Burst/8: // it is over, or never was one
		f.active, f.count, f.rank, f.milestone = false, 0, -1, milestone{}
		return
	}
	if n <= 0 {
		return
	}
	r := d.rank(k, f)
	r.add(source)
	if f.active {
		f.count++
		if burst := int32(limit.Burst); f.reached(f.count+burst, burst) > 0 {
			d.tellFlood(k, r)
		}
	}
}

// underFlood tells whether something is being flooded now, or was a moment ago.
func (d *Detector) underFlood(what flooding, target host, extra uint64) bool {
	i := d.floods.find(floodKey{target, extra, what})
	return i != 0 && d.floods.value(i).active
}

// completed takes a connection back from those that were begun.
func (d *Detector) completed(server host, port uint16) {
	d.flooded(synFlood, server, uint64(port), d.config.SYN, host{}, -1)
}

func (d *Detector) rank(k floodKey, f *flood) *rank {
	if f.rank >= 0 && d.ranks.slots[f.rank].of == k {
		return &d.ranks.slots[f.rank]
	}
	f.rank = int32(d.ranks.next)
	d.ranks.next = (d.ranks.next + 1) % len(d.ranks.slots)
	r := &d.ranks.slots[f.rank]
	*r = rank{of: k}
	return r
}

func (r *rank) add(source host) {
	r.total++
	h := source.hash(0) >> 7 // the estimate must not depend on the table's seed
	r.sources[h>>6&63] |= 1 << (h & 63)
	least := 0
	for i := range r.top {
		if r.top[i].count > 0 && r.top[i].source == source {
			r.top[i].count++
			return
		}
		if r.top[i].count < r.top[least].count {
			least = i
		}
	}
	r.top[least].source, r.top[least].error = source, r.top[least].count
	r.top[least].count++
}

// distinct estimates how many sources there are, to some percent up to ten thousands.
func (r *rank) distinct() int {
	const all = 64 * len(r.sources)
	empty := all
	for _, word := range r.sources {
		empty -= bits.OnesCount64(word)
	}
	return int(math.Round(float64(all) * math.Log(float64(all)/math.Max(float64(empty), 0.5))))
}

// tellFlood reports a flood: of the one source that most of it comes from, else of the 16
// most frequent. Nobody has proved to be at his address, so none of it is more than spoofable.
func (d *Detector) tellFlood(k floodKey, r *rank) {
	about := floodings[k.what]
	e := event.Event{Time: d.at(d.now), Kind: about.kind, Protocol: about.protocol, Target: event.Endpoint{Addr: k.target.addr()}}
	switch k.what {
	case synFlood:
		e.Target.Port = uint16(k.extra)
	case queryFlood, nameFlood, repeatFlood:
		e.Target.Port = dnsPort
	}
	if k.what == repeatFlood || k.what == replyFlood { // of one name, which is that of the packet at hand
		e.Name = questionName(d.packet.Payload)
	}
	top := r.top // a copy: what is counted next begins anew
	total, distinct := r.total, r.distinct()
	*r = rank{of: k}
	slices.SortStableFunc(top[:], func(a, b ranked) int { return int(b.sure() - a.sure()) })
	if k.what == repeatFlood && (2*top[0].sure() < total || d.relays(top[0].source, k.extra)) {
		return // a name that many ask for, or a resolver that passes on what it is asked
	}
	named := 0
	for _, t := range top {
		if t.count == 0 {
			break
		}
		e.Source.Addr = t.source.addr()
		e.Count = int(t.sure())
		own := d.home(e.Source.Addr)
		if 2*t.sure() > total && names(e.Source.Addr) {
			if own && k.what == replyFlood {
				e.Source = event.Endpoint{} // our own server is whom the forger names
			}
			e.Detail = fmt.Sprintf("%d %s, most of them from %s", total, about.of, t.source.addr())
			d.tell(e, d.packet.Number)
			return
		}
		if own || !names(e.Source.Addr) {
			continue
		}
		e.Detail = fmt.Sprintf("%d %s from about %d sources", total, about.of, distinct)
		d.tell(e, d.packet.Number)
		named++
	}
	if named == 0 {
		d.stats.Nobodies++
	}
}
