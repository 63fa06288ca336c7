package overlay

import (
	"bufio"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// session is one stream of a line, from its opening to its first failure. A
// watchdog takes the place of stream deadlines, which not every transport has:
// it strikes when acknowledgements are due and none has come for rpcTimeout.
type session struct {
	line     *line
	stream   network.Stream
	watchdog *time.Timer

	mu       sync.Mutex
	seq      uint64
	pending  map[uint64]*call
	replies  uint64
	deadline time.Time // of the next reply, while there is something pending
	armed    bool      // the watchdog is running
	err      error     // why the session ended
}

// write sends a batch in one write.
func (s *session) write(batch []*call) {
	var buf []byte
	sent := 0
	s.mu.Lock()
	waiting := len(s.pending) > 0 // then the deadline stands: only replies move it
	for _, c := range batch {
		if c.ctx.Err() != nil {
			s.line.finish(c, result{err: c.ctx.Err()}) // its caller has left
			continue
		}
		s.seq++
		s.pending[s.seq] = c
		buf = appendFrame(buf, s.seq, c.body)
		sent++
	}
	if !waiting && sent > 0 {
		s.deadline = time.Now().Add(rpcTimeout)
		if !s.armed {
			s.armed = true
			s.watchdog.Reset(rpcTimeout)
		}
	}
	err := s.err
	s.mu.Unlock()
	if sent == 0 {
		return
	}
	s.line.count.sent.Add(uint64(sent))
	s.line.count.batches.Add(1)
	if err == nil {
		_, err = s.stream.Write(buf)
	}
	if err != nil {
		s.fail(err)
	}
}

// read matches replies to calls until the stream ends.
func (s *session) read() {
	r := bufio.NewReader(s.stream)
	for {
		seq, body, err := readFrame(r)
		if err != nil {
			s.fail(err)
			return
		}
		rep, err := decodeReply(body)
		if err != nil {
			s.fail(err)
			return
		}
		s.mu.Lock()
		c := s.pending[seq]
		delete(s.pending, seq)
		s.replies++
		s.deadline = time.Now().Add(rpcTimeout)
		s.mu.Unlock()
		if c == nil {
			s.fail(fmt.Errorf("%w: reply to nothing", errFrame))
			return
		}
		s.line.count.reply(rep.status)
		s.line.finish(c, result{reply: rep})
	}
}

// check is the watchdog. It looks again at the deadline, which has mostly moved
// since it was set: that is cheaper than to reset the timer on every reply.
func (s *session) check() {
	s.mu.Lock()
	left := time.Until(s.deadline)
	if len(s.pending) == 0 {
		s.armed = false
		s.mu.Unlock()
		return
	}
	if left > 0 {
		s.watchdog.Reset(left)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.fail(errTimeout)
}

func (s *session) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// fail ends the session, and every call that waits for a reply.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		err = s.err // the first reason counts
	} else {
		if s.replies > 0 && !errors.Is(err, errTimeout) && !errors.Is(err, errClosed) {
			err = fmt.Errorf("%w: %w", errStale, err)
		}
		s.err = err
	}
	lost := s.pending
	s.pending = map[uint64]*call{}
	s.mu.Unlock()
	s.watchdog.Stop()
	s.stream.Reset()
	if len(lost) > 0 && !errors.Is(err, errStale) && !errors.Is(err, errClosed) {
		s.line.lost(s.line.to) // first: who waits for it looks for another one
	}
	for _, c := range lost {
		s.line.finish(c, result{err: fmt.Errorf("send to %s: %w", s.line.to, err)})
	}
}

// close ends a session on which nothing is pending.
func (s *session) close() {
	s.stream.Close()
	s.fail(errClosed)
}
