package virtual

import (
	"bytes"
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tap records all that products write into streams, each stream by itself. What
// libp2p's own identify protocol says of a host (its addresses, protocols and
// key) is not among it.
type tap struct {
	mu      sync.Mutex
	streams []*bytes.Buffer
}

// on returns the host with the tap on it.
func (t *tap) on(h host.Host) host.Host { return tappedHost{h, t} }

// holds says whether the bytes left a node.
func (t *tap) holds(needle []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.streams {
		if bytes.Contains(s.Bytes(), needle) {
			return true
		}
	}
	return false
}

func (t *tap) size() (total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.streams {
		total += s.Len()
	}
	return total
}

func (t *tap) stream(s network.Stream) network.Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := new(bytes.Buffer)
	t.streams = append(t.streams, said)
	return tappedStream{s, t, said}
}

type tappedHost struct {
	host.Host
	tap *tap
}

func (h tappedHost) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	return h.tap.stream(s), nil
}

func (h tappedHost) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { handle(h.tap.stream(s)) })
}

func (h tappedHost) SetStreamHandlerMatch(p protocol.ID, match func(protocol.ID) bool, handle network.StreamHandler) {
	h.Host.SetStreamHandlerMatch(p, match, func(s network.Stream) { handle(h.tap.stream(s)) })
}

type tappedStream struct {
	network.Stream
	tap  *tap
	said *bytes.Buffer
}

func (s tappedStream) Write(p []byte) (int, error) {
	s.tap.mu.Lock()
	s.said.Write(p)
	s.tap.mu.Unlock()
	return s.Stream.Write(p)
}
