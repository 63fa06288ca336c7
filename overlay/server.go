package overlay

import (
	"bufio"
	"context"
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
	guests guests
	answer func(ctx context.Context, from peer.ID, body []byte) (reply, error)
}

// serve registers the protocol. An answer that is an error ends the stream:
// the other side does not keep to the protocol.
func (o *Overlay) serve(p protocol.ID, count *traffic, r Rate, answer func(context.Context, peer.ID, []byte) (reply, error)) {
	s := &server{o: o, count: count, guests: newGuests(peerStreams, r), answer: answer}
	o.host.SetStreamHandler(p, s.accept)
}

func (s *server) accept(stream network.Stream) {
	from := stream.Conn().RemotePeer()
	guest := s.guests.enter(from)
	if guest == nil {
		s.count.broken.Add(1)
		stream.Reset()
		return
	}
	if !s.o.spawn(func() { defer s.guests.leave(from); s.handle(from, guest, stream) }) {
		s.guests.leave(from)
		stream.Reset()
	}
}

// handle reads requests and writes replies in turn: replies go out when no
// further request is at hand, when they have waited long enough, or when the
// peer must wait because it has sent too fast.
func (s *server) handle(from peer.ID, guest *guest, stream network.Stream) {
	stop := context.AfterFunc(s.o.ctx, func() { stream.Reset() })
	defer stop()
	watchdog := time.AfterFunc(keepTimeout, func() { stream.Reset() })
	defer watchdog.Stop()
	r := bufio.NewReader(stream)
	var out []byte
	flushed := time.Now()
	flush := func() error {
		watchdog.Reset(frameTimeout)
		_, err := stream.Write(out)
		out, flushed = out[:0], time.Now()
		return err
	}
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
		if err != nil || !s.o.admitted(from) {
			s.broken(stream)
			return
		}
		s.count.received.Add(1)
		if !guest.bucket.Allow() {
			s.count.waits.Add(1)
			if err := flush(); err != nil {
				s.broken(stream)
				return
			}
			watchdog.Stop()
			if guest.bucket.Wait(s.o.ctx) != nil {
				stream.Reset() // closed
				return
			}
		}
		watchdog.Stop() // how long the answer takes is our own affair
		rep, err := s.answer(s.o.ctx, from, body)
		if err != nil {
			s.broken(stream)
			return
		}
		watchdog.Reset(frameTimeout)
		out = appendFrame(out, seq, rep.encode())
		if r.Buffered() == 0 || len(out) > maxBatch/4 || time.Since(flushed) > replyDelay {
			if err := flush(); err != nil {
				s.broken(stream)
				return
			}
		}
	}
}

// broken ends a stream that did not keep to the protocol or was cut.
func (s *server) broken(stream network.Stream) {
	s.count.broken.Add(1)
	stream.Reset()
}
