package overlay

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

func TestHostileStreamsAreCut(t *testing.T) {
	oversize := binary.AppendUvarint(nil, maxFrame+1)
	for _, c := range []struct {
		name string
		sent []byte
		want time.Duration // until the stream is gone, at most
	}{
		{"oversize frame", oversize, time.Second},
		{"absurd length", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, time.Second},
		{"empty frame", []byte{0}, time.Second},
		{"no sequence number", []byte{1, 0xff}, time.Second},
		{"report too short", appendFrame(nil, 1, []byte("short")), time.Second},
		{"too many replicas", appendFrame(nil, 1, append([]byte{MaxReplicas + 1}, make([]byte, 40)...)), time.Second},
		{"half a frame, then silence", []byte{100, 1, 2}, frameTimeout + time.Second},
		{"silence after a good one", appendFrame(nil, 1, report{payload: []byte("p")}.encode()), keepTimeout + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, tn *testNet) {
				bad, good := tn.nodes[0], tn.nodes[1]
				stream, err := bad.host.NewStream(t.Context(), good.ID(), reportProtocol)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if _, err := stream.Write(c.sent); err != nil {
					t.Fatal(err)
				}
				reply, _ := io.ReadAll(stream)
				if took := time.Since(start); took > c.want {
					t.Errorf("the stream stayed open for %s, want at most %s", took, c.want)
				}
				if acked := len(reply) > 0; acked != (good.has("p") == 1) {
					t.Errorf("reply %x, received %d", reply, good.has("p"))
				}
				stream.Reset()
				// and nobody else suffers
				if acks, err := bad.Deliver(t.Context(), testKey(1), 2, []byte("fine")); acks != 2 || err != nil {
					t.Errorf("%d acks, %v", acks, err)
				}
			})
		})
	}
}

func TestPeerHoldsFewStreams(t *testing.T) {
	inNet(t, 2, func(t *testing.T, tn *testNet) {
		bad, good := tn.nodes[0], tn.nodes[1]
		frame := appendFrame(nil, 7, []byte("f"))
		open := func() (network.Stream, error) {
			stream, err := bad.host.NewStream(t.Context(), good.ID(), frameProtocol)
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(frame)
			_, err = stream.Read(make([]byte, 16))
			return stream, err
		}
		var streams []network.Stream
		for i := range peerStreams {
			stream, err := open()
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
			streams = append(streams, stream)
		}
		if extra, err := open(); err == nil {
			t.Error("one stream too many was served")
			extra.Reset()
		}
		if good.Stats().Broadcast.Broken != 1 {
			t.Errorf("stats %+v", good.Stats().Broadcast)
		}
		for _, s := range streams {
			s.Reset()
		}
		time.Sleep(time.Second)
		s, err := open()
		if err != nil {
			t.Errorf("after the others ended: %v", err)
		}
		s.Reset()
	})
}

// A peer that answers what nobody asked, or in no known form, loses the stream.
func TestBadRepliesEndTheStream(t *testing.T) {
	for name, reply := range map[string][]byte{
		"unknown status": appendFrame(nil, 1, []byte{9}),
		"reply to none":  appendFrame(nil, 99, []byte{byte(accepted)}),
		"empty reply":    appendFrame(nil, 1),
		"oversize":       binary.AppendUvarint(nil, maxFrame+1),
		"bad closer":     appendFrame(nil, 1, []byte{byte(closer), 0xff}),
	} {
		t.Run(name, func(t *testing.T) {
			inNet(t, 2, func(t *testing.T, tn *testNet) {
				from, bad := tn.nodes[0], tn.nodes[1]
				bad.host.SetStreamHandler(frameProtocol, func(s network.Stream) {
					s.Write(reply)
					io.Copy(io.Discard, s)
					s.Reset()
				})
				start := time.Now()
				if err := from.Send(t.Context(), bad.ID(), []byte("f")); err == nil {
					t.Error("a bad reply passed for an acknowledgement")
				}
				if late(start, time.Second) {
					t.Errorf("took %s", time.Since(start))
				}
			})
		})
	}
}
