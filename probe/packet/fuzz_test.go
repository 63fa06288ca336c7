package packet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// captures are those of testdata and, where it is, the small ones of the shared data.
func captures(f *testing.F) (all [][]byte) {
	for _, pattern := range []string{"testdata/*.pcap*", shared + "/pcap-decoder/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil && len(b) <= 8<<10 {
				all = append(all, b)
			}
		}
	}
	return all
}

// FuzzDecode feeds a decoder hostile frames of every link type, more than one, so that
// fragments meet: no packet may panic, and what is handed on must be what the package
// promises.
func FuzzDecode(f *testing.F) {
	for _, capture := range captures(f) {
		file, err := Open(bytes.NewReader(capture))
		if err != nil {
			continue
		}
		for n := 0; n < 3; n++ { // of each capture the beginning
			if err := file.format.next(file.r, &file.frame); err != nil {
				break
			}
			f.Add(uint16(file.frame.link), file.frame.data, []byte{})
		}
	}
	fragments := pieces(f, 4, 48)
	f.Add(uint16(linkRaw), fragments[0], fragments[2])
	f.Add(uint16(linkCooked), fragments[0], fragments[2])
	f.Fuzz(func(t *testing.T, kind uint16, first, second []byte) {
		var d decoder
		for i, data := range [][]byte{first, second, first} {
			frame := frame{link: link(kind), data: data, length: len(data)}
			if frame.link == linkCooked {
				frame.kind = typeIPv4
			}
			p := d.decode(&frame)
			check(t, &d, p)
			if p != nil && (p.Number != int64(i+1) || p.Length != len(data)) {
				t.Fatalf("frame %d of %d bytes: %+v", i+1, len(data), p)
			}
		}
		Quoted(first)
	})
}

// check holds what every packet must keep.
func check(t *testing.T, d *decoder, p *Packet) {
	t.Helper()
	s := d.stats
	if s.Panics != 0 {
		t.Fatalf("a panic: %s", s.Panic)
	}
	if sum := s.Handed + s.UnknownLink + s.NotIP + s.BadLink + s.BadIP + s.BadTransport + s.Twice; sum != s.Read {
		t.Fatalf("%d packets are accounted for, of %d: %+v", sum, s.Read, s)
	}
	if d.fragments.bytes > maxFragmentBytes || d.fragments.bytes < 0 {
		t.Fatalf("fragments hold %d bytes", d.fragments.bytes)
	}
	switch {
	case p == nil:
	case !p.Source.IsValid() || !p.Target.IsValid() || p.Source.Is4In6() || p.Target.Is4In6() || p.Source.Zone() != "" || p.Source.Is4() != p.Target.Is4():
		t.Fatalf("addresses %v and %v", p.Source, p.Target)
	case p.PayloadLength < 0 || len(p.Payload) > p.PayloadLength && !p.Fragment:
		t.Fatalf("%d bytes of a payload of %d: %+v", len(p.Payload), p.PayloadLength, p)
	case p.Protocol != TCP && p.Flags != 0, p.Protocol != TCP && p.Protocol != UDP && p.SourcePort != 0:
		t.Fatalf("protocol %d: %+v", p.Protocol, p)
	}
}

// FuzzFile feeds the readers hostile captures: nothing may panic, end without need, or
// cost memory that lengths claim.
func FuzzFile(f *testing.F) {
	for _, capture := range captures(f) {
		f.Add(capture)
	}
	f.Fuzz(func(t *testing.T, capture []byte) {
		file, err := Open(bytes.NewReader(capture))
		if err != nil {
			return
		}
		if file.r.Size() != bufferSize {
			t.Fatalf("a buffer of %d bytes", file.r.Size())
		}
		packets := int64(0)
		err = file.Each(context.Background(), func(p *Packet) error {
			packets++
			check(t, &file.decoder, p)
			return nil
		})
		if err != nil && errors.Is(err, io.EOF) {
			t.Fatalf("an end is an error: %v", err)
		}
		if packets != file.Stats().Handed {
			t.Fatalf("%d packets, and %d are counted", packets, file.Stats().Handed)
		}
	})
}
