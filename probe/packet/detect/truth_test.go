package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// shared holds captures whose truth independent tools have found.
const shared = "../../../../shared/data"

// captureTruth is what tshark counts in a capture.
type captureTruth struct {
	SYN struct {
		Triples int `json:"distinct_src_dst_dport"`
		Sources []struct {
			Source string `json:"src"`
			Hosts  int    `json:"distinct_dst"`
			Ports  int    `json:"distinct_dport"`
			Pairs  int    `json:"distinct_dst_dport"`
		} `json:"per_source_top"`
		Targets []struct {
			Target  string `json:"dst"`
			Packets int    `json:"packets"`
		} `json:"per_dst_dport_top"`
	} `json:"tcp_syn_only"`
	UDP struct {
		Slammer int `json:"dport_1434_udplen_384"`
		Sources []struct {
			Source string `json:"src"`
		} `json:"per_source_top"`
	} `json:"udp"`
	Echo struct {
		Packets int `json:"packets"`
		Sources []struct {
			Source string `json:"src"`
			Hosts  int    `json:"distinct_dst"`
		} `json:"per_source_top"`
	} `json:"icmp_echo_requests"`
	DNS struct {
		Queries   int `json:"queries"`
		Responses int `json:"responses"`
		Askers    []struct {
			Source  string `json:"src"`
			Queries int    `json:"queries"`
			Names   int    `json:"distinct_qname"`
		} `json:"queries_per_source_top"`
		Answerers []struct {
			Source    string `json:"src"`
			Responses int    `json:"responses"`
		} `json:"responses_per_source_top"`
	} `json:"dns"`
	Banners []struct {
		Sender  string `json:"sender"`
		Packets int    `json:"packets"`
	} `json:"ssh_banners_per_sender_top"`
}

// expected is what the counts say should be found, as "KIND SOURCE", or "KIND to TARGET" of floods.
func (c *captureTruth) expected() map[string]bool {
	found := map[string]bool{}
	add := func(kind event.Kind, who string) { found[string(kind)+" "+who] = true }
	for _, s := range c.SYN.Sources {
		switch {
		case s.Hosts >= 15 && s.Ports == 1:
			add(event.ScanHorizontal, s.Source)
		case s.Hosts == 1 && s.Ports >= 10:
			add(event.ScanVertical, s.Source)
		case s.Hosts >= 5 && s.Ports >= 5 && s.Pairs >= 25:
			add(event.ScanMixed, s.Source)
		}
		for _, b := range c.Banners {
			if b.Sender == s.Source && b.Packets >= 9 {
				add(event.BruteForce, s.Source)
			}
		}
	}
	for _, t := range c.SYN.Targets {
		if t.Packets >= 150 {
			add(event.FloodSYN, "to "+t.Target)
		}
	}
	if c.UDP.Slammer > 0 {
		for _, s := range c.UDP.Sources {
			add(event.Worm, s.Source)
		}
	}
	for _, s := range c.Echo.Sources {
		if s.Hosts >= 10 {
			add(event.ScanSweep, s.Source)
		}
		if c.Echo.Packets > 1000 && s.Hosts == 1 {
			add(event.FloodICMP, "to 2001:db8:1::1")
		}
	}
	for _, s := range c.DNS.Askers {
		if s.Queries >= 100 && s.Names == 1 || c.DNS.Queries > 1000 && c.DNS.Responses == 0 && s.Names == s.Queries {
			add(event.DNSFloodQuery, s.Source)
		}
	}
	for _, s := range c.DNS.Answerers {
		if s.Responses > c.DNS.Queries {
			add(event.DNSFloodReply, s.Source)
		}
	}
	return found
}

// look runs all detectors over a capture file.
func look(t *testing.T, file string, config Config) (events []event.Event, stats Stats) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	capture, err := packet.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	d := New(config)
	emit := func(e event.Event) { events = append(events, e) }
	if err := capture.Each(context.Background(), func(p *packet.Packet) error { d.Packet(p, emit); return nil }); err != nil {
		t.Logf("%s: %v", file, err)
	}
	d.Flush(emit)
	return events, d.Stats()
}

// items names events as captureTruth.expected does. A refused connection is no attack by itself.
func items(events []event.Event) map[string]bool {
	found := map[string]bool{}
	for _, e := range events {
		switch e.Kind {
		case event.ConnectionRefused:
		case event.FloodSYN, event.FloodUDP, event.FloodICMP:
			found[string(e.Kind)+" to "+e.Target.Addr.String()] = true
		default:
			who := "nobody"
			if e.Source.Addr.IsValid() {
				who = e.Source.Addr.String()
			}
			found[string(e.Kind)+" "+who] = true
		}
	}
	return found
}

// TestTruth compares what is found in the shared captures with what tshark counts in them.
func TestTruth(t *testing.T) {
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("no shared captures: %v", err)
	}
	listed := map[string]bool{}
	for i, d := range differences {
		for _, item := range d.items {
			listed[fmt.Sprint(i, " ", item)] = false
		}
	}
	for _, pattern := range []string{"synthetic/*.pcap", "pcap/*.pcap", "pcap/*.trace", "lab/*/*.pcap"} {
		files, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			name, err := filepath.Rel(shared, file)
			if err != nil {
				t.Fatal(err)
			}
			var truth captureTruth
			text, err := os.ReadFile(file + ".truth.json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &truth); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			events, _ := look(t, file, Config{Home: homes[name]})
			want, got := truth.expected(), items(events)
			t.Logf("%-50s %s", name, summary(events))
			var off []string
			for item := range want {
				if !got[item] {
					off = append(off, "no "+item)
				}
			}
			for item := range got {
				if !want[item] {
					off = append(off, item)
				}
			}
			for _, item := range off {
				i := slices.IndexFunc(differences, func(d difference) bool { return d.matches(name, item) })
				if i < 0 {
					t.Errorf("%s: %s", name, item)
					continue
				}
				for _, pattern := range differences[i].items {
					if matches(pattern, item) {
						listed[fmt.Sprint(i, " ", pattern)] = true
					}
				}
			}
		}
	}
	for item, seen := range listed {
		if !seen {
			t.Errorf("a difference is listed that is none: %s", item)
		}
	}
}

// homes are the watched networks of captures in which it matters.
var homes = map[string][]netip.Prefix{
	"pcap/ndpi-gnutella.pcap": {netip.MustParsePrefix("10.0.2.0/24")},
	"pcap/tryzeek-http.pcap":  {netip.MustParsePrefix("192.168.2.0/24")},
	"pcap/pcpp-example2.pcap": {netip.MustParsePrefix("10.0.0.0/24")},
}

// summary counts events by kind, for people.
func summary(events []event.Event) string {
	counts := map[event.Kind]int{}
	sources := map[event.Kind]map[netip.Addr]bool{}
	for _, e := range events {
		counts[e.Kind]++
		if sources[e.Kind] == nil {
			sources[e.Kind] = map[netip.Addr]bool{}
		}
		sources[e.Kind][e.Source.Addr] = true
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d of %d", kind, counts[kind], len(sources[kind])))
	}
	if len(parts) == 0 {
		return "silent"
	}
	return strings.Join(parts, ", ")
}

// TestSlowScanTogether: each probe reports its refused connections, and together they are the scan
// that none of them sees.
func TestSlowScanTogether(t *testing.T) {
	targets := map[netip.Addr]bool{}
	for probe := 1; probe <= 5; probe++ {
		file := filepath.Join(shared, fmt.Sprintf("synthetic/hscan-slow-ssh-probe%d.pcap", probe))
		if _, err := os.Stat(file); err != nil {
			t.Skipf("no shared captures: %v", err)
		}
		events, _ := look(t, file, Config{})
		n := 0
		for _, e := range events {
			if e.Kind != event.ConnectionRefused || e.Source.Addr != ip("203.0.113.87") || e.Target.Port != 22 || e.Proof != event.Spoofable {
				t.Errorf("probe %d: %+v", probe, e)
			}
			targets[e.Target.Addr] = true
			n++
		}
		if n < 10 || n > 12 {
			t.Errorf("probe %d: %d refused connections, want 11 or 12 less the one with which the capture ends", probe, n)
		}
	}
	if len(targets) < 53 {
		t.Errorf("%d targets together, want 58 less one a probe", len(targets))
	}
}

// TestSilent: ordinary traffic is no evidence.
func TestSilent(t *testing.T) {
	for _, name := range []string{
		"pcap/tryzeek-http.pcap", "pcap/pcpp-example2.pcap", "pcap/ndpi-gnutella.pcap", "pcap/ndpi-ftp.pcap", "pcap/pcpp-DnsPackets.pcap",
		"pcap/simplescan-backscatter.trace", "pcap/ndpi-bad-dns-traffic.pcap", "pcap/ndpi-dns_exfiltration.pcap", "pcap/slips-test8-malicious.pcap",
	} {
		file := filepath.Join(shared, name)
		if _, err := os.Stat(file); err != nil {
			t.Skipf("no shared captures: %v", err)
		}
		if events, _ := look(t, file, Config{Home: homes[name]}); len(events) > 0 {
			t.Errorf("%s: %s, the first: %+v", name, summary(events), events[0])
		}
	}
}
