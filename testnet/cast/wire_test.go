//go:build !race

package cast

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// wire counts what nodes write for their broadcasts, and loses a share of it. A
// write holds whole messages, of either kind of broadcast: requests, replies,
// control. What is lost leaves its writer in the belief that it was sent, and
// never arrives; everything else of the streams goes on. TCP itself loses
// nothing: so it stands for peers and paths that swallow messages, which is worse
// for whoever waits for an answer than a connection that breaks. Look-ups are
// spared, so that all kinds of broadcast stand on equal tables.
type wire struct {
	lost          atomic.Int64 // percent
	writes, bytes atomic.Uint64
}

// on returns the host with its streams on the wire.
func (w *wire) on(h host.Host) host.Host { return wiredHost{h, w} }

func (w *wire) stream(s network.Stream, p protocol.ID) network.Stream {
	for _, prefix := range []protocol.ID{"/komondor/1/broadcast", "/komondor/1/ask", "/meshsub/"} {
		if strings.HasPrefix(string(p), string(prefix)) {
			return wiredStream{s, w}
		}
	}
	return s
}

type wiredHost struct {
	host.Host
	wire *wire
}

func (h wiredHost) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	return h.wire.stream(s, protocols[0]), nil
}

func (h wiredHost) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { handle(h.wire.stream(s, p)) })
}

func (h wiredHost) SetStreamHandlerMatch(p protocol.ID, match func(protocol.ID) bool, handle network.StreamHandler) {
	h.Host.SetStreamHandlerMatch(p, match, func(s network.Stream) { handle(h.wire.stream(s, p)) })
}

type wiredStream struct {
	network.Stream
	wire *wire
}

func (s wiredStream) Write(p []byte) (int, error) {
	s.wire.writes.Add(1)
	s.wire.bytes.Add(uint64(len(p)))
	if rand.Int64N(100) < s.wire.lost.Load() {
		return len(p), nil
	}
	return s.Stream.Write(p)
}
