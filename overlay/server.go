package overlay

import (
	"bufio"
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// peerStreams is how many streams of one protocol a peer may hold open
	// here: an honest one needs one, and for moments a second.
	peerStreams = 4
	// keepTimeout is longer than the other side's idleTimeout, which should act first.
	keepTimeout = 5 * time.Minute
	// frameTimeout is for the rest of a frame, and for taking our replies.
	frameTimeout = 10 * time.Second
	// replyDelay is how long a reply may wait for others to be sent along.
	replyDelay = 100 * time.Millisecond
)

// server answers the streams of one protocol.
type server struct {
	o      *Overlay
	count  *traffic
	answer func(ctx context.Context, from peer.ID, body []byte) (reply, error)

	mu   sync.Mutex
	open map[peer.ID]int
}

// serve registers the protocol. An answer that is an error ends the stream:
// the other side does not keep to the protocol.
func (o *Overlay) serve(p protocol.ID, count *traffic, answer func(context.Context, peer.ID, []byte) (reply, error)) {
	s := &server{o: o, count: count, answer: answer, open: map[peer.ID]int{}}
	o.host.SetStreamHandler(p, s.accept)
}

func (s *server) accept(stream network.Stream) {
	from := stream.Conn().RemotePeer()
	if !s.enter(from) {
		s.count.broken.Add(1)
		stream.Reset()
		return
	}
	if !s.o.spawn(func() { defer s.leave(from); s.handle(from, stream) }) {
		s.leave(from)
		stream.Reset()
	}
}

func (s *server) enter(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[p] >= peerStreams {
		return false
	}
	s.open[p]++
	return true
}

func (s *server) leave(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[p]--; s.open[p] == 0 {
		delete(s.open, p)
	}
}

// handle reads requests and writes replies in turn: replies go out when no
// further request is at hand, or when they have waited long enough.
func (s *server) handle(from peer.ID, stream network.Stream) {
	stop := context.AfterFunc(s.o.ctx, func() { stream.Reset() })
	defer stop()
	watchdog := time.AfterFunc(keepTimeout, func() { stream.Reset() })
	defer watchdog.Stop()
	r := bufio.NewReader(stream)
	var out []byte
	flushed := time.Now()
	for {
		if r.Buffered() == 0 {
			watchdog.Reset(keepTimeout)
			if _, err := r.Peek(1); err != nil {
				stream.Close() // an orderly end, or one that Reset has made already
				return
			}
			watchdog.Reset(frameTimeout)
			flushed = time.Now()
		}
		seq, body, err := readFrame(r)
		if err != nil {
			s.broken(stream)
			return
		}
		s.count.received.Add(1)
		watchdog.Stop() // how long the answer takes is our own affair
		rep, err := s.answer(s.o.ctx, from, body)
		if err != nil {
			s.broken(stream)
			return
		}
		watchdog.Reset(frameTimeout)
		out = appendFrame(out, seq, rep.encode())
		if r.Buffered() == 0 || len(out) > maxBatch/4 || time.Since(flushed) > replyDelay {
			if _, err := stream.Write(out); err != nil {
				s.broken(stream)
				return
			}
			out, flushed = out[:0], time.Now()
		}
	}
}

// broken ends a stream that did not keep to the protocol or was cut.
func (s *server) broken(stream network.Stream) {
	s.count.broken.Add(1)
	stream.Reset()
}
