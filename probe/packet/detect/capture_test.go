package detect

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/komondor/komondor/event"
)

// TestCaptures: what nmap, hping3 and ssh do is recognised as that and as nothing else.
func TestCaptures(t *testing.T) {
	tests := map[string]struct {
		kind   event.Kind // "": nothing
		target string
		proof  event.Proof
		count  int // at least, of all events together
	}{
		"syn.pcap":                {event.ScanVertical, "203.0.113.1", event.Spoofable, 40},
		"connect.pcap":            {event.ScanHorizontal, "", event.Spoofable, 30},
		"fin.pcap":                {event.ScanStealth, "203.0.113.1", event.Spoofable, 12},
		"null.pcap":               {event.ScanStealth, "203.0.113.1", event.Spoofable, 12},
		"xmas.pcap":               {event.ScanStealth, "203.0.113.1", event.Spoofable, 12},
		"udp.pcap":                {event.ScanVertical, "203.0.113.1", event.Spoofable, 20},
		"sweep.pcap":              {event.ScanSweep, "", event.Spoofable, 20},
		"synflood.pcap.gz":        {event.FloodSYN, "203.0.113.1", event.Spoofable, 130},
		"synflood-random.pcap.gz": {event.FloodSYN, "203.0.113.2", event.Spoofable, 10},
		"icmpflood.pcap.gz":       {event.FloodICMP, "203.0.113.1", event.Spoofable, 400},
		"udpflood.pcap.gz":        {event.FloodUDP, "203.0.113.99", event.Spoofable, 1000},
		"ssh.pcap.gz":             {event.BruteForce, "203.0.113.1", event.Handshake, 9},
		"browse.pcap.gz":          {"", "", 0, 0},
	}
	files, err := filepath.Glob("testdata/*.pcap*")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d captures for %d tests, %v", len(files), len(tests), err)
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			test := tests[name]
			events, _ := look(t, filepath.Join("testdata", name), Config{Home: ours})
			count := 0
			for _, e := range events {
				switch {
				case e.Kind == test.kind:
					count += e.Count
					if e.Proof != test.proof || test.target != "" && e.Target.Addr != ip(test.target) {
						t.Errorf("%+v", e)
					}
					if name != "synflood-random.pcap.gz" && e.Source.Addr != scanner {
						t.Errorf("it blames %v: %+v", e.Source.Addr, e)
					}
				case e.Kind == event.ConnectionRefused && (test.kind == event.ScanVertical || test.kind == event.ScanHorizontal):
				case e.Kind == event.SpoofSource && name == "synflood-random.pcap.gz" && !e.Source.Addr.IsValid(): // nobody's, among random ones
				default:
					t.Errorf("unexpected: %+v", e)
				}
			}
			if count < test.count {
				t.Errorf("%s counts %d, want %d at least", test.kind, count, test.count)
			}
		})
	}
}
