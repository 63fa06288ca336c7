package virtual

import (
	"context"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// wrappedHost is a host with something around each stream that a product opens or
// takes. What hosts do by themselves, as identify, stays as it is.
type wrappedHost struct {
	host.Host
	wrap func(network.Stream) network.Stream
}

func (h wrappedHost) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	return h.wrap(s), nil
}

func (h wrappedHost) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { handle(h.wrap(s)) })
}

func (h wrappedHost) SetStreamHandlerMatch(p protocol.ID, match func(protocol.ID) bool, handle network.StreamHandler) {
	h.Host.SetStreamHandlerMatch(p, match, func(s network.Stream) { handle(h.wrap(s)) })
}
