package overlay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/multiformats/go-multiaddr"
)

func TestFrames(t *testing.T) {
	var data []byte
	bodies := []string{"", "a", strings.Repeat("long", 1000), strings.Repeat("x", MaxPayload)}
	for i, b := range bodies {
		data = appendFrame(data, uint64(i)<<20, []byte(b[:len(b)/2]), []byte(b[len(b)/2:]))
	}
	r := bufio.NewReader(bytes.NewReader(data))
	for i, want := range bodies {
		seq, body, err := readFrame(r)
		if err != nil || seq != uint64(i)<<20 || string(body) != want {
			t.Errorf("frame %d: seq %d, %d bytes, %v", i, seq, len(body), err)
		}
	}
	if _, _, err := readFrame(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for cut := 1; cut < 10; cut++ {
		whole := appendFrame(nil, 1, []byte("123456789"))
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(whole[:cut]))); err == nil || err == io.EOF {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestReplies(t *testing.T) {
	id := test.RandPeerIDFatal(t)
	addr := multiaddr.StringCast("/ip4/192.0.2.1/tcp/4001")
	for _, want := range []reply{
		{status: accepted},
		{status: busy},
		{status: refused, reason: "why"},
		{status: closer, closer: []*peer.AddrInfo{{ID: id, Addrs: []multiaddr.Multiaddr{addr}}}},
	} {
		got, err := decodeReply(want.encode())
		if err != nil || got.status != want.status || got.reason != want.reason || len(got.closer) != len(want.closer) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if len(got.closer) > 0 && (got.closer[0].ID != id || !got.closer[0].Addrs[0].Equal(addr)) {
			t.Errorf("got %v", got.closer[0])
		}
	}
	long := reply{status: refused, reason: strings.Repeat("x", 100_000)}
	if got, err := decodeReply(long.encode()); err != nil || len(got.reason) != maxReason {
		t.Errorf("%d bytes of reason, %v", len(got.reason), err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, 1, []byte("body")))
	f.Add([]byte{0xff, 0xff, 0x04})
	f.Add([]byte{1, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, body, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		if len(body) > len(data) || len(body) > maxFrame {
			t.Fatalf("%d bytes of body out of %d", len(body), len(data))
		}
		again, same, err := readFrame(bufio.NewReader(bytes.NewReader(appendFrame(nil, seq, body))))
		if err != nil || again != seq || !bytes.Equal(same, body) {
			t.Fatalf("not the same again: %v", err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(reply{status: accepted}.encode())
	f.Add(reply{status: refused, reason: "why"}.encode())
	f.Add(reply{status: busy}.encode())
	f.Add(reply{status: closer, closer: []*peer.AddrInfo{{ID: "id", Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.0.2.1/tcp/1")}}}}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReply(data)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Fatal(err)
			}
			return
		}
		if len(r.reason) > maxReason {
			t.Fatal("reason too long")
		}
		for _, info := range r.closer {
			if info == nil {
				t.Fatal("nil peer")
			}
		}
	})
}

func FuzzDecodeReport(f *testing.F) {
	f.Add(report{r: 3, payload: []byte("p")}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodeReport(data)
		if err == nil && !bytes.Equal(p.encode(), data) {
			t.Fatal("not the same again")
		}
	})
}
