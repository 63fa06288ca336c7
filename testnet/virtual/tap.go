package virtual

import (
	"bytes"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// tap records all that products write into streams, each stream by itself. What
// libp2p's own identify protocol says of a host (its addresses, protocols and
// key) is not among it.
type tap struct {
	mu      sync.Mutex
	streams []*bytes.Buffer
}

// on returns the host with the tap on it.
func (t *tap) on(h host.Host) host.Host { return wrappedHost{h, t.stream} }

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
