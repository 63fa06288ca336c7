package detect

import (
	"fmt"
	"slices"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// A scan is recognised by what it meets: most of what is tried leads nowhere, while who
// has an address from somebody who knows mostly meets a service. (Jung et al., "Fast Portscan
// Detection Using Sequential Hypothesis Testing", 2004, is built on the same.) So each port of a host that
// a source has tried is remembered for the window, once, as vain or as useful, and tallied
// for the source, for the source and the port, and for the source and the host.

// try is one port of one host that a source has tried.
type try struct {
	time   int64
	useful bool
	proven bool // the source has completed a handshake in it
}

type tryKey struct {
	source, target host
	port           uint16
	protocol       packet.Protocol
}

func (k tryKey) hash(seed uint64) uint64 {
	return mix(k.target.hash(k.source.hash(seed)), uint64(k.port)<<8|uint64(k.protocol))
}

// tallyKey is a tryKey some of whose fields are zero.
type tallyKey struct {
	source, target host
	port           uint16
	protocol       packet.Protocol
	of             tallied
}

func (k tallyKey) hash(seed uint64) uint64 {
	return mix(k.target.hash(k.source.hash(seed)), uint64(k.of)<<24|uint64(k.port)<<8|uint64(k.protocol))
}

type tallied uint8

const (
	allOfSource tallied = iota
	hostsOfPort
	portsOfHost
)

// tally counts the tries that are remembered.
type tally struct {
	vain, useful, proven int32
	// Of a source alone: vain tries of well-known services, and how many of its ports
	// and hosts have any.
	sought, ports, hosts int32
	scan                 milestone
	refused              bucket
}

// most tells whether tries lead nowhere for the greater part.
func (t *tally) most() bool { return t.vain >= 2*t.useful }

func (t *tally) proof() event.Proof {
	if t.proven*2 > t.vain {
		return event.Handshake
	}
	return event.Spoofable
}

// outcome is how a try ended.
type outcome uint8

const (
	refusedTry outcome = iota
	silentTry
	unreachableTry
	halfOpenTry // the client went away as soon as it knew that the port is open
	emptyTry    // a connection over which the client sent nothing
)

var outcomes = [...]string{
	"refused", fmt.Sprintf("no answer in %v", Wait), "unreachable", "left half open", "left without a word",
}

// sought are the services, beside all below 1024, that scanners look for in particular.
var sought = []uint16{
	1080, 1433, 1434, 1521, 1723, 1883, 2049, 2222, 2323, 2375, 3128, 3306, 3389, 4444, 4786, 5000, 5038, 5060, 5432, 5555, 5601,
	5900, 5901, 5985, 6379, 6667, 7001, 7547, 8000, 8008, 8080, 8081, 8088, 8443, 8545, 8888, 9000, 9090, 9200, 9527, 10000, 11211, 27017, 37215, 52869,
}

// soughtUDP are services over UDP whose silence counts: who talks to one that is not there
// is looking for it. Over other ports, games and peers call many that are gone.
func soughtUDP(port uint16) bool {
	switch port {
	case 7, 13, 17, 19, 69, 111, 137, 161, 177, 389, 500, 520, 623, 1194, 1434, 1604, 1701, 1900, 3283, 3702, 5060, 5683, 10001, 11211, 17185, 27015, 47808:
		return true
	}
	return false
}

// vain remembers a try that led nowhere, and reports it if it was the first of its kind.
func (d *Detector) vain(place int32, how outcome, report bool) {
	f, fk := d.flows.value(place), d.flows.key(place)
	if f.forged {
		return // it is reported as that, and nobody's try
	}
	client, server, clientPort, port := fk.ends(f.clientLow)
	k := tryKey{client, server, port, fk.protocol}
	e := event.Event{
		Time: d.at(f.begun), Source: addrPort(client, clientPort), Target: addrPort(server, port), Protocol: fk.protocol.String(),
	}
	if d.tries.find(k) != 0 || !names(e.Target.Addr) {
		return
	}
	all, ports, hosts := d.remember(k, try{time: d.now, proven: f.proof() == event.Handshake})
	if report && d.watched(e.Target.Addr) {
		d.refuse(e, all, how, f.number)
	}
	d.scanned(e, all, ports, hosts, how, f.number)
}

// refuse reports a single try, unless there have been too many.
func (d *Detector) refuse(e event.Event, all *tally, how outcome, line int64) {
	// A source's evidence is complete with some tens, and all of a flood's forged sources
	// together must not become a flood of events.
	of, together := Limit{0.1, 32}, Limit{100, 2000}
	if all.refused.pour(0, d.now, of) > of.Burst-1 || d.refused.pour(0, d.now, together) > together.Burst-1 {
		d.stats.Withheld++
		return
	}
	all.refused.pour(1, d.now, of)
	d.refused.pour(1, d.now, together)
	e.Kind, e.Detail = event.ConnectionRefused, outcomes[how]
	d.tell(e, line)
}

// scanned reports the scans that a vain try has completed.
func (d *Detector) scanned(e event.Event, all, ports, hosts *tally, how outcome, line int64) {
	report := func(kind event.Kind, t *tally, n int32, threshold int, detail func() string) bool {
		if !t.most() || int(n) < threshold {
			return false
		}
		if news := t.scan.reached(n, int32(threshold)); news > 0 {
			e.Kind, e.Count, e.Proof, e.Detail = kind, int(news), t.proof(), detail()
			d.tell(e, line)
		}
		return true
	}
	if e.Protocol == "icmp" {
		report(event.ScanSweep, ports, ports.vain, d.config.Swept, func() string {
			return fmt.Sprintf("%d hosts asked by ICMP", ports.vain)
		})
		return
	}
	across := report(event.ScanHorizontal, ports, ports.vain, d.config.Hosts, func() string {
		return fmt.Sprintf("port %d of %d hosts, last: %s", e.Target.Port, ports.vain, outcomes[how])
	})
	along := report(event.ScanVertical, hosts, hosts.vain, d.config.Ports, func() string {
		return fmt.Sprintf("%d ports of %s, last: %s", hosts.vain, e.Target.Addr, outcomes[how])
	})
	if !across && !along && all.ports >= 5 && all.hosts >= 5 {
		report(event.ScanMixed, all, all.sought, d.config.Pairs, func() string {
			return fmt.Sprintf("%d tries at %d ports and %d hosts, last: %s", all.sought, all.ports, all.hosts, outcomes[how])
		})
	}
}

// swept counts a host that is asked by ICMP whether it is there, which need not be in vain.
func (d *Detector) swept(p *packet.Packet, source, target host) {
	k := tryKey{source, target, 0, packet.ICMP}
	if d.tries.find(k) != 0 || !names(p.Target) {
		return
	}
	all, ports, hosts := d.remember(k, try{time: d.now})
	e := event.Event{Time: d.at(d.now), Protocol: "icmp"}
	e.Source, e.Target = ends(p)
	d.scanned(e, all, ports, hosts, silentTry, p.Number)
}

// useful remembers a try that met a service. Of sources that have tried nothing in vain
// nothing is remembered, which is most.
func (d *Detector) useful(source, target host, port uint16, protocol packet.Protocol) {
	if d.tallies.find(tallyKey{source: source}) == 0 {
		return
	}
	k := tryKey{source, target, port, protocol}
	if i := d.tries.find(k); i != 0 {
		if d.tries.value(i).useful {
			return
		}
		d.untally(i)
		d.tries.remove(i)
	}
	d.remember(k, try{time: d.now, useful: true})
}

// remember adds a try and tallies it.
func (d *Detector) remember(k tryKey, t try) (all, ports, hosts *tally) {
	*d.tries.value(d.tries.add(k, passing)) = t
	return d.tallyUp(k, t, 1)
}

// untally takes a try back that is forgotten.
func (d *Detector) untally(place int32) {
	d.tallyUp(d.tries.key(place), *d.tries.value(place), -1)
}

// tallyUp adds a try to its three tallies, or with by = -1 takes it from them.
func (d *Detector) tallyUp(k tryKey, t try, by int32) (all, ports, hosts *tally) {
	all = d.tally(tallyKey{source: k.source}, lasting, by)
	ports = d.tally(tallyKey{source: k.source, port: k.port, protocol: k.protocol, of: hostsOfPort}, passing, by)
	hosts = d.tally(tallyKey{source: k.source, target: k.target, protocol: k.protocol, of: portsOfHost}, passing, by)
	for _, to := range [...]*tally{all, ports, hosts} {
		if to == nil {
			continue
		}
		if t.useful {
			to.useful = max(to.useful+by, 0)
			continue
		}
		to.vain = max(to.vain+by, 0)
		if t.proven {
			to.proven = max(to.proven+by, 0)
		}
	}
	if all != nil && !t.useful && (k.port < 1024 || slices.Contains(sought, k.port)) && k.protocol != packet.ICMP {
		all.sought = max(all.sought+by, 0)
		first := max(by, 0) // the count at which a port or a host begins or ceases to have any
		if ports != nil && ports.vain == first {
			all.ports = max(all.ports+by, 0)
		}
		if hosts != nil && hosts.vain == first {
			all.hosts = max(all.hosts+by, 0)
		}
	}
	if by < 0 {
		d.dropEmpty(k, all, ports, hosts)
	}
	return all, ports, hosts
}

// tally finds a tally, and makes it if something is to be added.
func (d *Detector) tally(k tallyKey, in uint8, by int32) *tally {
	i := d.tallies.find(k)
	switch {
	case i != 0 && by > 0:
		d.tallies.renew(i, in)
	case i == 0 && by > 0:
		i = d.tallies.add(k, in)
	case i == 0:
		return nil
	}
	return d.tallies.value(i)
}

// dropEmpty forgets tallies in which nothing is left.
func (d *Detector) dropEmpty(k tryKey, all, ports, hosts *tally) {
	drop := func(t *tally, k tallyKey) {
		if t != nil && t.vain == 0 && t.useful == 0 {
			d.tallies.remove(d.tallies.find(k))
		}
	}
	drop(all, tallyKey{source: k.source})
	drop(ports, tallyKey{source: k.source, port: k.port, protocol: k.protocol, of: hostsOfPort})
	drop(hosts, tallyKey{source: k.source, target: k.target, protocol: k.protocol, of: portsOfHost})
}

// stealth reports flags that no program sends in earnest: every segment but the first has
// ACK or RST (RFC 9293, section 3.10.7), and the first has neither FIN nor RST.
func (d *Detector) stealth(p *packet.Packet) {
	if d.forgedSource(p) {
		return
	}
	news := d.notify(noticeKey{source: hostOf(p.Source), kind: stealthScan}, d.config.Stealth)
	if news == 0 {
		return
	}
	e := event.Event{Time: d.at(d.now), Kind: event.ScanStealth, Count: news, Protocol: "tcp", Detail: "TCP flags " + flagNames(p.Flags)}
	e.Source, e.Target = ends(p)
	d.tell(e, p.Number)
}

func flagNames(flags packet.Flags) string {
	s := ""
	for i, name := range [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
		if flags&(1<<i) != 0 {
			s += " " + name
		}
	}
	if s == "" {
		return "none (NULL)"
	}
	return s[1:]
}
