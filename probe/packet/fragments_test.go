package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket/layers"
)

// pieces cuts a UDP datagram of 100 bytes, in IPv4 or IPv6, into fragments of size bytes.
func pieces(t testing.TB, version, size int) (fragments [][]byte) {
	t.Helper()
	const length = 92
	v4 := ip4(layers.IPProtocolUDP)
	whole := build(t, v4, udpOver(v4, 53), text(string(bytes.Repeat([]byte("0123456789abcdef"), 6)[:length])))[20:]
	for offset := 0; offset < len(whole); offset += size {
		part, more := whole[offset:min(offset+size, len(whole))], offset+size < len(whole)
		if version == 4 {
			ip := ip4(layers.IPProtocolUDP)
			ip.FragOffset = uint16(offset / 8)
			if more {
				ip.Flags = layers.IPv4MoreFragments
			}
			fragments = append(fragments, build(t, ip, text(string(part))))
			continue
		}
		head := make([]byte, 8)
		head[0] = byte(UDP)
		binary.BigEndian.PutUint16(head[2:], uint16(offset))
		if more {
			head[3] |= 1
		}
		binary.BigEndian.PutUint32(head[4:], 7)
		fragments = append(fragments, build(t, ip6(layers.IPProtocolIPv6Fragment), text(string(head)), text(string(part))))
	}
	return fragments
}

func decodeAll(d *decoder, frames [][]byte, time int64) (shown []string) {
	for _, b := range frames {
		shown = append(shown, d.decode(&frame{link: linkRaw, data: b, length: len(b), time: time}).show())
	}
	return shown
}

func TestFragments(t *testing.T) {
	const (
		whole4 = `203.0.113.9:40000 > 198.51.100.1:53 17 ttl 64 "0123456789abcdef" of 92`
		whole6 = `2001:db8::9:40000 > 2001:db8:1::1:53 17 ttl 64 "0123456789abcdef" of 92`
		first4 = `203.0.113.9:40000 > 198.51.100.1:53 17 ttl 64 "0123456789abcdef" of 40 fragment`
		later4 = `203.0.113.9:0 > 198.51.100.1:0 17 ttl 64 "" of 48 fragment`
		last4  = `203.0.113.9:0 > 198.51.100.1:0 17 ttl 64 "" of 4 fragment`
	)
	a := pieces(t, 4, 48) // of 48, 48 and 4
	overlap := pieces(t, 4, 40)
	forged := bytes.Clone(a[1])
	forged[len(forged)-1]++
	odd := bytes.Clone(a[0])[:67]
	odd[3] = 67
	for name, tc := range map[string]struct {
		frames [][]byte
		want   []string
		stats  Stats
	}{
		"in order":         {a, []string{first4, later4, whole4}, Stats{Fragments: 3, Reassembled: 1}},
		"reversed":         {[][]byte{a[2], a[1], a[0]}, []string{last4, later4, whole4}, Stats{Fragments: 3, Reassembled: 1}},
		"IPv6":             {pieces(t, 6, 48)[2:], []string{`2001:db8::9:0 > 2001:db8:1::1:0 17 ttl 64 "" of 4 fragment`}, Stats{Fragments: 1}},
		"repeated":         {[][]byte{a[0], a[1], a[1], a[0], a[2]}, []string{first4, later4, later4, first4, whole4}, Stats{Fragments: 5, Reassembled: 1}},
		"overlapping":      {[][]byte{a[0], overlap[1], a[1], a[2]}, nil, Stats{Fragments: 4, BadFragments: 1}},
		"two last":         {[][]byte{a[2], overlap[2], a[1], a[0]}, nil, Stats{Fragments: 4, BadFragments: 1}},
		"other bytes":      {[][]byte{a[0], a[1], forged, a[2]}, nil, Stats{Fragments: 4, BadFragments: 1}},
		"length not of 8s": {[][]byte{odd, a[1], a[2]}, nil, Stats{Fragments: 3, BadFragments: 1}},
		"begun anew":       {append(append([][]byte{}, a...), a...), []string{first4, later4, whole4, first4, later4, whole4}, Stats{Fragments: 6, Reassembled: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var d decoder
			shown := decodeAll(&d, tc.frames, 0)
			for i, want := range tc.want {
				if shown[i] != want {
					t.Errorf("fragment %d\n got %s\nwant %s", i, shown[i], want)
				}
			}
			tc.stats.Read, tc.stats.Handed = int64(len(tc.frames)), int64(len(tc.frames))
			if d.stats != tc.stats {
				t.Errorf("got %+v\nwant %+v", d.stats, tc.stats)
			}
		})
	}
	t.Run("any order", func(t *testing.T) {
		for seed := range uint64(50) {
			for version, want := range map[int]string{4: whole4, 6: whole6} {
				var d decoder
				shuffled := pieces(t, version, 8)
				rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				shown := decodeAll(&d, shuffled, 0)
				if got := shown[len(shown)-1]; got != want || d.fragments.bytes != 0 || len(d.fragments.waiting) != 0 {
					t.Fatalf("version %d, seed %d: %s, want %s; %d bytes are kept", version, seed, got, want, d.fragments.bytes)
				}
			}
		}
	})
	t.Run("header in two", func(t *testing.T) {
		v4 := ip4(layers.IPProtocolTCP)
		segment := build(t, inner4()...)[20:]
		v4.Flags = layers.IPv4MoreFragments
		first := build(t, v4, text(string(segment[:8])))
		v4.Flags, v4.FragOffset = 0, 1
		second := build(t, v4, text(string(segment[8:])))
		var d decoder
		shown := decodeAll(&d, [][]byte{first, second}, 0)
		if want := `203.0.113.9:40000 > 198.51.100.1:22 6 ttl 64 flags 000000 seq 0 ack 0 win 0 "" of 8 fragment`; shown[0] != want {
			t.Errorf("got %s\nwant %s", shown[0], want)
		}
		if shown[1] != syn4 {
			t.Errorf("got %s\nwant %s", shown[1], syn4)
		}
	})
	t.Run("too late", func(t *testing.T) {
		var d decoder
		decodeAll(&d, a[:2], 0)
		decodeAll(&d, a[2:], maxFragmentWait+1)
		if d.stats.LostFragments != 1 || d.stats.Reassembled != 0 || len(d.fragments.waiting) != 1 {
			t.Errorf("%+v, %d wait; want the first two lost and the last one waiting", d.stats, len(d.fragments.waiting))
		}
	})
}

// TestFragmentsBound floods the room for fragments: with small and large ones, with
// datagrams that are given up and with pieces without end.
func TestFragmentsBound(t *testing.T) {
	for name, next := range map[string]func(i int, of *datagram, p *piece) (more bool){
		"first ones": func(i int, of *datagram, p *piece) bool {
			of.id, p.bytes = uint32(i), p.bytes[:8]
			return true
		},
		"large": func(i int, of *datagram, p *piece) bool {
			of.id = uint32(i)
			return true
		},
		"given up": func(i int, of *datagram, p *piece) bool {
			of.id, p.bytes = uint32(i), p.bytes[:7]
			return true
		},
		"many of one": func(i int, of *datagram, p *piece) bool {
			of.id, p.offset, p.bytes = uint32(i/8000), i%8000*8, p.bytes[:8]
			return true
		},
	} {
		var f fragments
		var stats Stats
		data := make([]byte, 30_000)
		for i := range 20_000 {
			of, p := datagram{}, piece{bytes: data}
			more := next(i, &of, &p)
			f.add(of, p, more, UDP, int64(i), &stats)
			if f.bytes > maxFragmentBytes {
				t.Fatalf("%s: %d bytes are kept after %d fragments, more than %d", name, f.bytes, i+1, maxFragmentBytes)
			}
		}
		sum := 0
		for e := f.oldest.Front(); e != nil; e = e.Next() {
			sum += e.Value.(*assembly).cost()
		}
		if sum != f.bytes || f.oldest.Len() != len(f.waiting) {
			t.Errorf("%s: %d bytes are counted, %d are kept; %d datagrams in one list, %d in the other", name, f.bytes, sum, f.oldest.Len(), len(f.waiting))
		}
	}
}
