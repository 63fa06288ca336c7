package overlay

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// resendAfter is how long nothing has come back when something is sent again.
const resendAfter = 300 * time.Millisecond

// session is one stream of a line, from its opening to its first failure. Calls are
// answered in the order in which they were sent: so an answer shows that those before
// it, if they have none, are lost, and they are sent again. Where no answer comes at
// all, the oldest call is sent again to get one, as RACK and its tail loss probes do
// (RFC 8985). A watchdog, which takes the place of stream deadlines, as not every
// transport has them, strikes when calls wait and no answer has come for rpcTimeout.
type session struct {
	line     *line
	stream   network.Stream
	watchdog *time.Timer

	mu       sync.Mutex
	seq      uint64
	sent     []sending     // what may be answered yet, by number
	again    []*call       // to be sent again
	waiting  int           // calls that were sent and not answered
	heard    time.Time     // when the last answer came, or calls began to wait
	probes   int           // since then
	patience time.Duration // resendAfter, and longer where answers have come after all
	replies  uint64
	armed    bool  // the watchdog is running
	err      error // why the session ended
}

// sending is a call, sent under a number of its own each time.
type sending struct {
	seq  uint64
	call *call
}

// write sends a batch in one write, with what is to be sent again.
func (s *session) write(batch []*call) {
	var buf []byte
	again, fresh := 0, 0
	s.mu.Lock()
	for _, c := range s.again {
		if c.due = false; !c.over {
			buf = s.send(buf, c)
			again++
		}
	}
	s.again = nil
	for _, c := range batch {
		if c.ctx.Err() != nil {
			s.line.finish(c, result{err: c.ctx.Err()}) // its caller has left
			continue
		}
		if s.waiting == 0 {
			s.heard, s.probes = time.Now(), 0
		}
		s.waiting++
		buf = s.send(buf, c)
		fresh++
	}
	if s.waiting > 0 && !s.armed {
		s.armed = true
		s.watchdog.Reset(s.patience)
	}
	err := s.err
	s.mu.Unlock()
	if len(buf) == 0 {
		return
	}
	s.line.count.sent.Add(uint64(fresh))
	s.line.count.repeated.Add(uint64(again))
	s.line.count.batches.Add(1)
	if err == nil {
		_, err = s.stream.Write(buf)
	}
	if err != nil {
		s.fail(err)
	}
}

// send is called with the lock held, like all that follow up to check.
func (s *session) send(buf []byte, c *call) []byte {
	s.seq++
	c.last = s.seq
	s.sent = append(s.sent, sending{s.seq, c})
	return appendFrame(buf, s.seq, c.body)
}

// resend has a call sent again when it is the line's turn.
func (s *session) resend(c *call) {
	if !c.due {
		c.due = true
		s.again = append(s.again, c)
		signal(s.line.again)
	}
}

// end is called once a call: it is answered, or nobody waits for that any more.
func (s *session) end(c *call, res result) {
	c.over = true
	s.waiting--
	s.line.finish(c, res)
}

// answered takes in an answer to what was sent under a number.
func (s *session) answered(seq uint64, rep reply) error {
	at, ok := slices.BinarySearchFunc(s.sent, seq, func(m sending, seq uint64) int { return cmp.Compare(m.seq, seq) })
	if !ok {
		return fmt.Errorf("%w: reply to nothing", errFrame)
	}
	s.replies++
	s.heard, s.probes = time.Now(), 0
	c := s.sent[at].call
	for _, m := range s.sent[:at] {
		switch {
		case m.call.over || m.call == c || m.seq != m.call.last: // or it may still be answered
		case m.call.ctx.Err() != nil:
			s.end(m.call, result{err: m.call.ctx.Err()})
		default:
			s.resend(m.call)
		}
	}
	clear(s.sent[:at+1])
	s.sent = s.sent[at+1:] // append moves the rest to a new array in time
	if seq != c.last {     // it was not lost, but slow
		s.patience = min(2*s.patience, rpcTimeout)
	}
	if !c.over {
		s.line.count.reply(rep.status)
		s.end(c, result{reply: rep})
	}
	return nil
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
		if err == nil {
			s.mu.Lock()
			err = s.answered(seq, rep)
			s.mu.Unlock()
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// check is the watchdog. It looks how long nothing was heard when it wakes: that is
// cheaper than to reset the timer on every reply.
func (s *session) check() {
	s.mu.Lock()
	silent := time.Since(s.heard)
	switch {
	case s.waiting == 0:
		s.armed = false
		s.mu.Unlock()
		return
	case silent >= rpcTimeout:
		s.mu.Unlock()
		s.fail(errTimeout)
		return
	case silent >= s.probeAfter():
		s.probes++
		if i := slices.IndexFunc(s.sent, func(m sending) bool { return !m.call.over }); i >= 0 {
			s.resend(s.sent[i].call)
		}
	}
	s.watchdog.Reset(min(s.probeAfter(), rpcTimeout) - silent)
	s.mu.Unlock()
}

// probeAfter is after how long a silence the next call is sent again.
func (s *session) probeAfter() time.Duration { return time.Duration(s.probes+1) * s.patience }

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
	var lost []*call
	for _, m := range s.sent {
		if !m.call.over && !m.call.due {
			m.call.over = true
			lost = append(lost, m.call)
		}
	}
	for _, c := range s.again {
		if !c.over {
			c.over = true
			lost = append(lost, c)
		}
	}
	s.sent, s.again, s.waiting = nil, nil, 0
	s.mu.Unlock()
	s.watchdog.Stop()
	s.stream.Reset()
	switch {
	case len(lost) == 0 || errors.Is(err, errStale) || errors.Is(err, errClosed):
	case errors.Is(err, errTimeout):
		s.line.o.doubt(s.line.to)
	default:
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
