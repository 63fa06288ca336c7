// Package detect finds attacks in packets: scans, floods, forged sources, poisoned
// name servers, guessed passwords, stepping stones and worms.
//
// All of it is pure: the packets' own times are the clock, nothing runs by itself, and
// the same packets give the same events. Memory is taken at the start and never grows:
// what is oldest is forgotten, and counted. Whoever can forge packets can write any
// source into them, so an event says event.Handshake only where the source has
// acknowledged a number that it could not know without having received it.
package detect

import (
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// Wait is how long an answer may take. An event of which the silence is part is told this
// much later than it happened, so events are out of order by as much.
const Wait = 5 * time.Second

// Stats counts what the detector holds and has given up.
type Stats struct {
	Packets int64 // that were looked at
	Flows   int   // connections and exchanges that are remembered now
	Sources int   // sources with tries in vain that are remembered now
	Evicted int64 // exchanges, tries and tallies of them that were forgotten early, for want of room
	// Withheld counts refused connections that were not reported because there had been
	// too many of the source, or of all sources.
	Withheld int64
	// Nobodies counts floods that no event tells of, because their packets have no
	// source address.
	Nobodies int64
}

// Detector looks at packets. It is not safe for concurrent use.
type Detector struct {
	config Config

	now    int64 // never goes back; nanoseconds
	offset int64 // from a packet's time to now, where a clock was set back
	first  int64 // now, at the first packet
	expiry int64 // when to look next for what is over
	packet *packet.Packet
	emit   func(event.Event)

	flows    *table[flowKey, flow]
	tries    *table[tryKey, try]
	tallies  *table[tallyKey, tally]
	floods   *table[floodKey, flood]
	asked    *table[number, struct{}] // queries that wait for their replies
	logins   *table[loginKey, login]
	stones   *table[host, stone]
	notices  *table[noticeKey, notice]
	stations *table[number, station]
	ranks    ranking
	refused  bucket // of all sources
	stats    Stats
}

// New returns a detector that has seen nothing.
func New(config Config) *Detector {
	config.complete()
	seed := rand.Uint64() // decides where entries lie, and nothing else
	d := &Detector{config: config}
	memory := config.MemoryMiB << 20
	d.flows = sized[flowKey, flow](memory/16*7, seed)
	d.tries = sized[tryKey, try](memory/16*3, seed)
	d.tallies = sized[tallyKey, tally](memory/16*3, seed)
	d.floods = sized[floodKey, flood](memory/16, seed)
	d.asked = sized[number, struct{}](memory/16, seed)
	d.logins = sized[loginKey, login](memory/64, seed)
	d.stones = sized[host, stone](memory/128, seed)
	d.notices = sized[noticeKey, notice](memory/64, seed)
	d.stations = sized[number, station](memory/256, seed)
	d.ranks.slots = make([]rank, max(memory/64/int(unsafe.Sizeof(rank{})), 1))
	d.tries.onForget = d.untally
	return d
}

// sized makes a table that takes so many bytes at most, with up to four heads an entry.
func sized[K hashed, V any](bytes int, seed uint64) *table[K, V] {
	return newTable[K, V](bytes/(int(unsafe.Sizeof(slot[K, V]{}))+16), seed)
}

// Stats may be asked between two packets.
func (d *Detector) Stats() Stats {
	s := d.stats
	s.Flows = d.flows.size
	s.Sources = d.tallies.lists[lasting].size
	s.Evicted = d.flows.evicted + d.tries.evicted + d.tallies.evicted
	return s
}

// Packet looks at the next packet and emits what it shows. Packets should come in the
// order of their times; one that is late by no more than Wait is taken as coming now,
// and a clock that goes back by more is taken to have been set.
func (d *Detector) Packet(p *packet.Packet, emit func(event.Event)) {
	d.advance(p.Time)
	d.packet, d.emit = p, emit
	d.stats.Packets++
	if d.now >= d.expiry {
		d.expire()
		d.expiry = d.now + int64(10*time.Millisecond)
	}
	switch {
	case p.Fragment: // the whole datagram follows
	case p.Protocol == packet.TCP:
		d.tcp(p)
	case p.Protocol == packet.UDP:
		d.udp(p)
	case p.Protocol == packet.ICMP || p.Protocol == packet.ICMPv6:
		d.icmp(p)
	}
	d.packet, d.emit = nil, nil
}

// Tick says what time it is (nanoseconds since 1970) where no packet does, so that what has
// not been answered is not waited for until the next packet.
func (d *Detector) Tick(now int64, emit func(event.Event)) {
	d.advance(now)
	d.emit = emit
	d.expire()
	d.emit = nil
}

// Flush takes what is still unanswered as never answered, because no more will come.
// Connections begun less than a second ago count for scans, and are not reported
// by themselves: nobody would have repeated his call by then (RFC 6298).
func (d *Detector) Flush(emit func(event.Event)) {
	d.emit = emit
	for i := d.flows.oldest(passing); i != 0; i = d.flows.oldest(passing) {
		d.silent(i, d.now-d.flows.value(i).begun >= int64(time.Second))
	}
	d.emit = nil
}

func (d *Detector) advance(t int64) {
	switch t += d.offset; {
	case d.now == 0 && d.first == 0:
		d.now, d.first = t, t
	case t > d.now:
		d.now = t
	case d.now-t > int64(Wait):
		d.offset += d.now - t
	}
}

// expire forgets what is over.
func (d *Detector) expire() {
	for i := d.flows.oldest(passing); i != 0 && d.now-d.flows.value(i).begun > int64(Wait); i = d.flows.oldest(passing) {
		d.silent(i, true)
	}
	for i := d.flows.oldest(lasting); i != 0 && d.now-d.flows.value(i).renewed > int64(idle); i = d.flows.oldest(lasting) {
		d.lostByTimeout(i)
		d.flows.remove(i)
	}
	for i := d.tries.oldest(passing); i != 0 && d.now-d.tries.value(i).time > int64(d.config.Window); i = d.tries.oldest(passing) {
		d.untally(i)
		d.tries.remove(i)
	}
}

// home tells whether an address is of the watched networks; false if none is known.
func (d *Detector) home(a netip.Addr) bool {
	for _, p := range d.config.Home {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// watched tells whether what is done to an address is ours to tell of.
func (d *Detector) watched(a netip.Addr) bool { return len(d.config.Home) == 0 || d.home(a) }

// at is the time of the sensor's own record for a time of ours.
func (d *Detector) at(now int64) time.Time { return time.Unix(0, now-d.offset).UTC() }

// tell completes an event and hands it on. A source that names no host is left out.
func (d *Detector) tell(e event.Event, line int64) {
	e.Severity = e.Kind.Severity()
	e.Count = max(e.Count, 1)
	e.Sensor = "packets"
	e.Line = line
	if !names(e.Source.Addr) {
		e.Source = event.Endpoint{}
	}
	d.emit(e)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
