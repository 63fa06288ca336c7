package overlay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protodelim"
)

// sender carries requests in kad-dht's own protocol, this package's and kad-dht's own, each
// on a stream of its own: lookups are rare.
type sender struct{ host host.Host }

// SendRequest implements pb.MessageSender. Who has not answered after rpcTimeout does not.
func (s sender) SendRequest(ctx context.Context, p peer.ID, request *pb.Message) (*pb.Message, error) {
	ctx, cancel := dialContext(ctx, rpcTimeout)
	defer cancel()
	return insist(ctx, resendAfter, int(rpcTimeout/resendAfter), func(ctx context.Context) (*pb.Message, error) { return s.request(ctx, p, request) })
}

// OnDisconnect implements pb.MessageSenderWithDisconnect: no stream is kept.
func (s sender) OnDisconnect(context.Context, peer.ID) {}

func (s sender) request(ctx context.Context, p peer.ID, request *pb.Message) (*pb.Message, error) {
	stream, err := s.open(ctx, p, request)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { stream.Reset() })
	defer stop()
	response := new(pb.Message)
	limit := protodelim.UnmarshalOptions{MaxSize: maxFrame}
	if err := limit.UnmarshalFrom(bufio.NewReader(stream), response); err != nil {
		stream.Reset()
		return nil, fmt.Errorf("ask %s: %w", p, err)
	}
	stream.Close() // the answer is here: how the stream ends does not matter
	return response, nil
}

// SendMessage implements pb.MessageSender.
func (s sender) SendMessage(ctx context.Context, p peer.ID, message *pb.Message) error {
	stream, err := s.open(ctx, p, message)
	if err != nil {
		return err
	}
	return stream.Close()
}

func (s sender) open(ctx context.Context, p peer.ID, message *pb.Message) (network.Stream, error) {
	var buf bytes.Buffer // one write, not one for the length and one for the rest
	if _, err := protodelim.MarshalTo(&buf, message); err != nil {
		return nil, err
	}
	stream, err := s.host.NewStream(ctx, p, kadProtocol)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", p, err)
	}
	stop := context.AfterFunc(ctx, func() { stream.Reset() })
	defer stop()
	if _, err := stream.Write(buf.Bytes()); err != nil {
		stream.Reset()
		return nil, fmt.Errorf("ask %s: %w", p, err)
	}
	return stream, nil
}
