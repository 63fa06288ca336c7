//go:build yara

package payload

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

const captures = "../../../shared/data"

// scanFile has a scanner look at a capture.
func scanFile(t testing.TB, k *talk, path string) ([]event.Event, error) {
	t.Helper()
	k.events = nil
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	capture, err := packet.Open(file)
	if err != nil {
		return nil, err
	}
	err = capture.Each(t.Context(), func(p *packet.Packet) error {
		k.scanner.Packet(p, k.emit)
		return nil
	})
	k.scanner.Flush(k.emit)
	return k.events, err
}

// What the shipped rules say about captures: nothing, but for these. The number is that of the events.
var expected = map[string]map[string]int{
	"pcap-decoder/nDPI-log4j-webapp-exploit.pcap": {"payload.high exploit_log4shell handshake": 1},
	"synthetic/slammer-like-merged.pcap":          slammers(2400),
	"synthetic/slammer-like-probe1.pcap":          slammers(166),
	"synthetic/slammer-like-probe2.pcap":          slammers(156),
	"synthetic/slammer-like-probe3.pcap":          slammers(173),
	"synthetic/slammer-like-probe4.pcap":          slammers(154),
	"synthetic/slammer-like-probe5.pcap":          slammers(167),
}

// slammers is what n of Slammer's datagrams give: each is the worm, and the overflow that it uses.
func slammers(n int) map[string]int {
	return map[string]int{"worm.payload worm_slammer spoofable": n, "payload.overflow exploit_sql_resolution spoofable": n}
}

func TestCaptures(t *testing.T) {
	if _, err := os.Stat(captures); err != nil {
		t.Skip("no captures to look at:", err)
	}
	k := newTalk(t, Config{Builtin: true})
	var looked int
	err := filepath.WalkDir(captures, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".pcap", ".pcapng", ".cap", ".trace"}, filepath.Ext(path)) {
			return err
		}
		events, err := scanFile(t, k, path)
		if err == nil {
			looked++ // what is no capture, or a damaged one, is for the package that reads them
		}
		got := map[string]int{}
		for _, e := range events {
			got[fmt.Sprint(e.Kind, " ", name(e), " ", e.Proof)]++
		}
		name := strings.TrimPrefix(path, captures+"/")
		if want := expected[name]; !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := k.scanner.Stats(); looked < 300 || s.Failed+s.TimedOut+s.Evicted > 0 || s.Connections != 0 {
		t.Errorf("%d captures were looked at: %+v", looked, s)
	}
}
