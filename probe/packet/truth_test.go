package packet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The truth tests compare what is read from captures with what tshark and capinfos
// find in them. Where we differ on purpose, truthDifferences says why; a difference
// that is not listed fails, and so does a listed one that is gone.

const shared = "../../../shared/data"

// tally counts a capture's packets as tshark's filters do: "tcp" is true of a packet
// that has TCP anywhere, so an error counts for what it quotes as well; and a datagram
// in fragments counts when it has been put together.
type tally struct {
	packets, tcp, udp, icmp, icmpv6, syn, quotedUDP int64
}

func (c tally) String() string {
	return fmt.Sprintf("%d packets: tcp %d, udp %d, icmp %d, icmpv6 %d, SYN %d", c.packets, c.tcp, c.udp, c.icmp, c.icmpv6, c.syn)
}

func (c *tally) add(p *Packet) {
	if p.Fragment {
		return
	}
	protocols := map[Protocol]bool{p.Protocol: true}
	if quoted, ok := Quoted(p.Inner); ok {
		protocols[quoted.Protocol] = true
		if quoted.Protocol == UDP {
			c.quotedUDP++
		}
	}
	for protocol, n := range map[Protocol]*int64{TCP: &c.tcp, UDP: &c.udp, ICMP: &c.icmp, ICMPv6: &c.icmpv6} {
		if protocols[protocol] {
			*n++
		}
	}
	if p.Flags&(SYN|ACK) == SYN {
		c.syn++
	}
}

// count reads a capture to its end.
func count(path string) (c tally, stats Stats, err error) {
	file, err := os.Open(path)
	if err != nil {
		return c, stats, err
	}
	defer file.Close()
	f, err := Open(file)
	if err != nil {
		return c, stats, err
	}
	err = f.Each(context.Background(), func(p *Packet) error {
		c.add(p)
		return nil
	})
	c.packets = f.Stats().Read
	return c, f.Stats(), err
}

func TestTruthDecoder(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(shared, "pcap-decoder/INDEX.truth.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the shared test data is absent: no %s", shared)
	}
	var captures []struct {
		File, Encap            string
		Packets                int64 `json:"capinfos_packets"`
		TCP, UDP, ICMP, ICMPv6 int64
		SYN                    int64 `json:"tcp_syn_only"`
	}
	if err := json.Unmarshal(index, &captures); err != nil || len(captures) == 0 {
		t.Fatalf("the index of captures: %v", err)
	}
	differences := map[string]string{} // reasons by file
	for _, d := range truthDifferences {
		for _, file := range d.files {
			differences[file] = d.why
		}
	}
	listed := 0
	for _, c := range captures {
		got, stats, err := count(filepath.Join(shared, "pcap-decoder", c.File))
		want := tally{c.Packets, c.TCP, c.UDP, c.ICMP, c.ICMPv6, c.SYN, got.quotedUDP}
		why, known := differences[c.File]
		if known {
			listed++
		}
		switch same := err == nil && got == want; {
		case same && known:
			t.Errorf("%s is listed as a difference (%s) and is none", c.File, why)
		case !same && !known:
			t.Errorf("%s (%s): %v, error %v, want %v; %+v", c.File, c.Encap, got, err, want, stats)
		}
		if sum := stats.Handed + stats.UnknownLink + stats.NotIP + stats.BadLink + stats.BadIP + stats.BadTransport; sum != stats.Read || stats.Panics != 0 {
			t.Errorf("%s: %d packets are accounted for of %d, panics: %q", c.File, sum, stats.Read, stats.Panic)
		}
	}
	if listed != len(differences) {
		t.Errorf("%d differences are listed, and of %d there is a capture", len(differences), listed)
	}
}

func TestTruth(t *testing.T) {
	var truths []string
	for _, folder := range []string{"pcap", "synthetic"} {
		found, _ := filepath.Glob(filepath.Join(shared, folder, "*.truth.json"))
		truths = append(truths, found...)
	}
	if len(truths) == 0 {
		t.Skipf("the shared test data is absent: no %s", shared)
	}
	for _, path := range truths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var truth struct {
			Packets int64
			SYN     struct{ Packets int64 } `json:"tcp_syn_only"`
			UDP     struct{ Packets int64 }
		}
		if err := json.Unmarshal(text, &truth); err != nil || truth.Packets == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		got, stats, err := count(strings.TrimSuffix(path, ".truth.json"))
		if err != nil || got.packets != truth.Packets || got.syn != truth.SYN.Packets || got.udp-got.quotedUDP != truth.UDP.Packets {
			t.Errorf("%s: %v, error %v; want %d packets, SYN %d, udp %d; %+v", filepath.Base(path), got, err, truth.Packets, truth.SYN.Packets, truth.UDP.Packets, stats)
		}
	}
}
