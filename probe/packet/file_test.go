package packet

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// order is a byte order that can also append.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var le, be = order(binary.LittleEndian), order(binary.BigEndian)

// writePcap makes a capture of the frames, one a second from 1000 s and 7 ticks on.
func writePcap(o order, nano bool, kind link, frames ...[]byte) []byte {
	magic := uint32(0xa1b2c3d4)
	if nano {
		magic = 0xa1b23c4d
	}
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(o.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(o.AppendUint32(b, 65535), uint32(kind))
	for i, frame := range frames {
		b = o.AppendUint32(o.AppendUint32(b, uint32(1000+i)), 7)
		b = o.AppendUint32(o.AppendUint32(b, uint32(len(frame))), uint32(len(frame)+10))
		b = append(b, frame...)
	}
	return b
}

// block writes one of pcapng's.
func block(o order, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	length := uint32(len(body) + 12)
	b := o.AppendUint32(o.AppendUint32(nil, kind), length)
	return o.AppendUint32(append(b, body...), length)
}

func section(o order) []byte {
	b := o.AppendUint32(nil, 0x1a2b3c4d)
	b = o.AppendUint16(o.AppendUint16(b, 1), 0)
	return block(o, sectionHeader, o.AppendUint64(b, ^uint64(0)))
}

// device writes an interface, with options as they are given.
func device(o order, kind link, snaplen uint32, options ...[]byte) []byte {
	b := o.AppendUint16(o.AppendUint16(nil, uint16(kind)), 0)
	b = o.AppendUint32(b, snaplen)
	return block(o, interfaceBlock, append(b, bytes.Join(options, nil)...))
}

func option(o order, kind uint16, value []byte) []byte {
	b := o.AppendUint16(o.AppendUint16(nil, kind), uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func enhanced(o order, device uint32, stamp uint64, frame []byte) []byte {
	b := o.AppendUint32(o.AppendUint32(o.AppendUint32(nil, device), uint32(stamp>>32)), uint32(stamp))
	b = o.AppendUint32(o.AppendUint32(b, uint32(len(frame))), uint32(len(frame)+10))
	return block(o, packetBlock, append(b, frame...))
}

// lying writes another number into a little-endian capture.
func lying(b []byte, at int, to uint32) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[at:], to)
	return b
}

// read hands on everything, as "number time length".
func read(capture []byte) (seen []string, stats Stats, err error) {
	f, err := Open(iotest.HalfReader(bytes.NewReader(capture)))
	if err != nil {
		return nil, stats, err
	}
	err = f.Each(context.Background(), func(p *Packet) error {
		seen = append(seen, fmt.Sprintf("%d %d.%09d %d on %d from %v", p.Number, p.Time/1e9, p.Time%1e9, p.Length, p.FromDevice, p.Source))
		return nil
	})
	return seen, f.Stats(), err
}

func TestFileFormats(t *testing.T) {
	l, g := le, be
	v4, v6 := build(t, inner4()...), build(t, inner6()...)
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}
	simple := func(o order, length uint32, frame []byte) []byte {
		return block(o, simpleBlock, append(o.AppendUint32(nil, length), frame...))
	}
	old := func(o order, frame []byte) []byte {
		b := o.AppendUint16(o.AppendUint16(nil, 0), 0)
		b = o.AppendUint32(o.AppendUint32(b, 0), 5_000_000)
		b = o.AppendUint32(o.AppendUint32(b, uint32(len(frame))), uint32(len(frame)))
		return block(o, oldPacketBlock, append(b, frame...))
	}
	join := func(blocks ...[]byte) []byte { return bytes.Join(blocks, nil) }
	micro := []string{"1 1000.000007000 59 on 0 from 203.0.113.9", "2 1001.000007000 79 on 0 from 2001:db8::9"}
	nano := []string{"1 1000.000000007 59 on 0 from 203.0.113.9", "2 1001.000000007 79 on 0 from 2001:db8::9"}
	for name, tc := range map[string]struct {
		capture []byte
		want    []string
	}{
		"pcap":                      {writePcap(l, false, linkRaw, v4, v6), micro},
		"pcap, big endian":          {writePcap(g, false, linkRaw, v4, v6), micro},
		"pcap, nanoseconds":         {writePcap(l, true, linkRaw, v4, v6), nano},
		"pcap, big, nanoseconds":    {writePcap(g, true, linkRaw, v4, v6), nano},
		"pcap, checksums in type":   {lying(writePcap(l, false, linkRaw, v4, v6), 20, 0x2400_0000|uint32(linkRaw)), micro},
		"pcap, no packets":          {writePcap(l, false, linkRaw), nil},
		"gzip":                      {zipped(writePcap(l, false, linkRaw, v4, v6)), micro},
		"pcapng":                    {join(section(l), device(l, linkRaw, 0), enhanced(l, 0, 1000_000_007, v4), enhanced(l, 0, 1001_000_007, v6)), micro},
		"pcapng, big endian":        {join(section(g), device(g, linkRaw, 0), enhanced(g, 0, 1000_000_007, v4), enhanced(g, 0, 1001_000_007, v6)), micro},
		"pcapng, nanoseconds":       {join(section(l), device(l, linkRaw, 0, option(l, 2, []byte("eth0")), option(l, 9, []byte{9}), option(l, 0, nil)), enhanced(l, 0, 1000_000_000_007, v4)), nano[:1]},
		"pcapng, powers of 2":       {join(section(l), device(l, linkRaw, 0, option(l, 9, []byte{0x80 | 1})), enhanced(l, 0, 2001, v4)), []string{"1 1000.500000000 59 on 0 from 203.0.113.9"}},
		"pcapng, finest":            {join(section(l), device(l, linkRaw, 0, option(l, 9, []byte{19})), enhanced(l, 0, 15_000_000_000_000_000_000, v4)), []string{"1 1.500000000 59 on 0 from 203.0.113.9"}},
		"pcapng, offset":            {join(section(l), device(l, linkRaw, 0, option(l, 14, l.AppendUint64(nil, 1000))), enhanced(l, 0, 7, v4)), micro[:1]},
		"pcapng, other blocks":      {join(section(l), block(l, 4, make([]byte, 300_000)), device(l, linkRaw, 0), block(l, 0x80000001, nil), enhanced(l, 0, 1000_000_007, v4), block(l, 5, make([]byte, 20))), micro[:1]},
		"pcapng, two interfaces":    {join(section(l), device(l, linkRaw, 0), device(l, linkEthernet, 0, option(l, 9, []byte{0})), enhanced(l, 0, 1000_000_007, v4), enhanced(l, 1, 9, build(t, inner4(etherTo(0x0800))...))), append(micro[:1:1], "2 9.000000000 73 on 1 from 203.0.113.9")},
		"pcapng, two sections":      {join(section(l), device(l, linkRaw, 0), enhanced(l, 0, 1000_000_007, v4), section(g), device(g, linkIPv6, 0), enhanced(g, 0, 1001_000_007, v6)), micro},
		"pcapng, simple and older":  {join(section(l), device(l, linkRaw, 40), old(l, v4), simple(l, uint32(len(v4)), v4[:40])), []string{"1 5.000000000 49 on 0 from 203.0.113.9", "2 5.000000000 49 on 0 from 203.0.113.9"}},
		"pcapng, in one kind after": {join(section(l), device(l, 105, 0), enhanced(l, 0, 1, v4), device(l, linkRaw, 0), enhanced(l, 1, 7, v4)), []string{"2 0.000007000 59 on 1 from 203.0.113.9"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen, _, err := read(tc.capture)
			if err != nil || strings.Join(seen, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("error %v, got\n%s\nwant\n%s", err, strings.Join(seen, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestFileCut cuts captures off after every byte: what is whole must be handed on, and
// what is not be told.
func TestFileCut(t *testing.T) {
	v4 := build(t, inner4()...)
	l := le
	pcap := writePcap(l, false, linkRaw, v4, v4, v4)
	head, record := 24, 16+len(v4)
	for i := range pcap {
		seen, _, err := read(pcap[:i])
		switch whole := (i - head) / record; {
		case i < head:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut after %d bytes: %v", i, err)
			}
		case len(seen) != whole:
			t.Errorf("cut after %d bytes: %d packets were read, want %d", i, len(seen), whole)
		case (i-head)%record == 0:
			if err != nil {
				t.Errorf("cut between packets, after %d bytes: %v", i, err)
			}
		case !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), fmt.Sprintf("within packet %d; %d packets were read", whole+1, whole)):
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
	ng := bytes.Join([][]byte{section(l), device(l, linkRaw, 0), enhanced(l, 0, 1, v4), enhanced(l, 0, 2, v4)}, nil)
	ends := map[int]int{28: 0, 48: 0, 48 + 32 + 52: 1} // bytes to packets
	for i := 4; i < len(ng); i++ {
		seen, _, err := read(ng[:i])
		if packets, whole := ends[i]; whole {
			if err != nil || len(seen) != packets {
				t.Errorf("pcapng cut between blocks, after %d bytes: %d packets, error %v", i, len(seen), err)
			}
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("pcapng cut after %d bytes: %d packets, error %v", i, len(seen), err)
		}
	}
}

func TestFileDamaged(t *testing.T) {
	l := le
	v4 := build(t, inner4()...)
	good := func(blocks ...[]byte) []byte { return bytes.Join(append([][]byte{section(l)}, blocks...), nil) }
	long := func(captured uint32) []byte {
		b := writePcap(l, false, linkRaw, v4, v4)
		l.PutUint32(b[24+16+len(v4)+8:], captured)
		return b
	}
	many := [][]byte{}
	for range maxInterfaces + 1 {
		many = append(many, device(l, linkRaw, 0))
	}
	for name, tc := range map[string]struct {
		capture []byte
		want    string
	}{
		"nothing":              {nil, "too short"},
		"text":                 {[]byte("Nov 25 10:00:00 gate sshd[1]: this is a log, and no capture"), `begins with "Nov ", which is neither pcap nor pcapng: make one with tcpdump -w`},
		"short text":           {[]byte("hello"), `begins with "hell"`},
		"pcap of version 3":    {lying(writePcap(l, false, linkRaw), 4, 3), "version 3.0: want 2"},
		"gzip of nothing":      {[]byte("\x1f\x8bnothing"), "damaged"},
		"length of a packet":   {long(maxFrame + 1), "at packet 2, after 1 that were read: it claims to be 262145 bytes long"},
		"all of it":            {long(0xffffffff), "claims to be 4294967295 bytes long"},
		"byte order":           {lying(good(), 8, 1), "byte order"},
		"length of a block":    {lying(good(device(l, linkRaw, 0)), 28+4, 21), "a block of pcapng is 21 bytes long"},
		"small block":          {lying(good(device(l, linkRaw, 0)), 28+4, 8), "8 bytes long"},
		"two lengths":          {lying(good(device(l, linkRaw, 0)), 28+16, 24), "20 bytes long by its beginning and 24 by its end"},
		"large block":          {good(block(l, packetBlock, make([]byte, bufferSize))), "the capture is damaged here"},
		"empty interface":      {good(block(l, interfaceBlock, nil)), "describes interface 0 in 0 bytes"},
		"interfaces":           {good(many...), "at most 4096 interfaces"},
		"resolution":           {good(device(l, linkRaw, 0, option(l, 9, []byte{20}))), "count 10 to the power of -20"},
		"resolution of 2":      {good(device(l, linkRaw, 0, option(l, 9, []byte{0x80 | 64}))), "count 2 to the power of -64"},
		"no interface":         {good(enhanced(l, 0, 1, v4)), "is of interface 0, and 0 are described"},
		"another interface":    {good(device(l, linkRaw, 0), enhanced(l, 0xffffffff, 1, v4)), "and 1 are described"},
		"empty packet's block": {good(device(l, linkRaw, 0), block(l, packetBlock, nil)), "a packet's block of pcapng has 0 bytes"},
		"packet beyond block":  {good(device(l, linkRaw, 0), lying(enhanced(l, 0, 1, v4), 20, 100)), "a packet of 100 bytes stands in a block of"},
		"a packet and no head": {enhanced(l, 0, 1, v4), "neither pcap nor pcapng"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := read(tc.capture)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "capture: ") {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			// Two buffers for gzip, and the reading itself; nothing for what lengths claim.
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 2*bufferSize+512<<10 {
				t.Errorf("it cost %d bytes", cost)
			}
		})
	}
}

func TestFileEach(t *testing.T) {
	v4 := build(t, inner4()...)
	frames := make([][]byte, 1000)
	for i := range frames {
		frames[i] = v4
	}
	l := le
	ng := [][]byte{section(l), device(l, linkRaw, 0)}
	for i := range frames {
		ng = append(ng, enhanced(l, 0, uint64(i), v4))
	}
	captures := map[string][]byte{"pcap": writePcap(l, false, linkRaw, frames...), "pcapng": bytes.Join(ng, nil)}
	for name, capture := range captures {
		f, err := Open(bytes.NewReader(capture))
		if err != nil {
			t.Fatal(err)
		}
		stop, seen := errors.New("enough"), 0
		handle := func(*Packet) error {
			if seen++; seen%500 == 0 {
				return stop
			}
			return nil
		}
		if err := f.Each(context.Background(), handle); err != stop {
			t.Errorf("%s: error %v, want handle's", name, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.Each(ctx, handle); !errors.Is(err, context.Canceled) || seen != 500 {
			t.Errorf("%s: error %v after %d packets, want the context's after 500", name, err, seen)
		}
		if err := f.Each(context.Background(), handle); err != stop || f.Stats().Read != 1000 {
			t.Errorf("%s: error %v, want to go on where it was left; %+v", name, err, f.Stats())
		}
		if err := f.Each(context.Background(), handle); err != nil || seen != 1000 {
			t.Errorf("%s: error %v after %d packets, want the end", name, err, seen)
		}
		// A capture costs its buffer and a few allocations more, however many packets.
		if allocs := testing.AllocsPerRun(5, func() {
			f, _ := Open(bytes.NewReader(capture))
			f.Each(context.Background(), func(*Packet) error { return nil })
		}); allocs > 10 {
			t.Errorf("%s: %v allocations for 1000 packets", name, allocs)
		}
	}
}
