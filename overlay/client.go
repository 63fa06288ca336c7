package overlay

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// idleTimeout closes a stream that nobody has used: it costs buffers at both ends.
	idleTimeout = 2 * time.Minute
	// maxOutstanding is how many calls to one destination may wait for their
	// write or their reply; further ones wait in turn.
	maxOutstanding = 256
	// maxBatch is the size at which a batch is written without taking more.
	maxBatch = 64 << 10
)

var (
	errTimeout = errors.New("no acknowledgement in time")
	// errStale means that a stream failed which had worked before, perhaps
	// only because the connection was closed meanwhile.
	errStale = errors.New("the stream was lost")
)

// client makes acknowledged calls over one long-lived stream a destination.
// What waits for a destination goes out in one write; every call is answered
// by its number.
type client struct {
	o     *Overlay
	proto protocol.ID
	count *traffic

	mu    sync.Mutex
	lines map[peer.ID]*line
}

func (o *Overlay) newClient(p protocol.ID, count *traffic) *client {
	return &client{o: o, proto: p, count: count, lines: map[peer.ID]*line{}}
}

// line is one destination. Its goroutine opens the stream, writes, and ends
// when nobody has used the line for a while.
type line struct {
	*client
	to    peer.ID
	users int           // guarded by client.mu: calls under way
	slots chan struct{} // one taken by each outstanding call
	queue chan *call    // as large as slots, so that a call with a slot never blocks
	again chan struct{} // holds one when the session has something to send again
	// session is the open stream, if any; of the line's goroutine only.
	session *session
}

type call struct {
	ctx  context.Context
	body []byte
	done chan result // holds one: nobody need be waiting any more

	// Guarded by the session's mu:
	last uint64 // the number under which it was sent last
	due  bool   // it is to be sent again
	over bool
}

type result struct {
	reply reply
	err   error
}

// call sends the body and waits for its reply. It tries a second time, on a
// new stream, where the old one may just have been out of date; requests must
// therefore do no harm when they come twice.
func (c *client) call(ctx context.Context, to peer.ID, body []byte) (reply, error) {
	l := c.enter(to)
	if l == nil {
		return reply{}, errClosed
	}
	defer c.leave(l)
	for again := false; ; again = true {
		res := l.once(ctx, body)
		if !errors.Is(res.err, errStale) {
			return res.reply, res.err
		}
		if again {
			c.lost(to)
			return res.reply, res.err
		}
	}
}

// lost evicts a destination that does not answer, unless it is this node that ends.
func (c *client) lost(to peer.ID) {
	if c.o.ctx.Err() == nil {
		c.o.evict(to)
	}
}

// enter returns the destination's line, which stays open until leave.
func (c *client) enter(to peer.ID) *line {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lines[to]
	if l == nil {
		l = &line{client: c, to: to, slots: make(chan struct{}, maxOutstanding), queue: make(chan *call, maxOutstanding), again: make(chan struct{}, 1)}
		if !c.o.spawn(l.run) {
			return nil
		}
		c.lines[to] = l
	}
	l.users++
	return l
}

func (c *client) leave(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users--
}

// retire takes an unused line out of service.
func (c *client) retire(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.users > 0 {
		return false
	}
	delete(c.lines, l.to)
	return true
}

func (l *line) once(ctx context.Context, body []byte) result {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return result{err: fmt.Errorf("send to %s: its queue is full: %w", l.to, ctx.Err())}
	case <-l.o.ctx.Done():
		return result{err: errClosed}
	}
	c := &call{ctx: ctx, body: body, done: make(chan result, 1)}
	l.queue <- c
	select {
	case res := <-c.done:
		return res
	case <-ctx.Done():
		return result{err: fmt.Errorf("send to %s: %w", l.to, ctx.Err())}
	case <-l.o.ctx.Done():
		return result{err: errClosed}
	}
}

func (l *line) finish(c *call, res result) {
	if res.err != nil {
		l.count.failed.Add(1)
	}
	c.done <- res
	<-l.slots
}

func (l *line) run() {
	idle := time.NewTimer(idleTimeout)
	defer idle.Stop()
	for {
		select {
		case first := <-l.queue:
			runtime.Gosched() // let those who are about to send get into the same write
			l.write(l.gather(first))
		case <-l.again:
			if l.session != nil {
				l.session.write(nil)
			}
		case <-idle.C:
			if l.retire(l) {
				if l.session != nil {
					l.session.close()
				}
				return
			}
		case <-l.o.ctx.Done(): // callers see it too
			if l.session != nil {
				l.session.fail(errClosed)
			}
			return
		}
		idle.Reset(idleTimeout)
	}
}

// gather takes along whatever waits, as far as it fits in a batch.
func (l *line) gather(first *call) []*call {
	batch, size := []*call{first}, len(first.body)
	for size < maxBatch {
		select {
		case c := <-l.queue:
			batch = append(batch, c)
			size += len(c.body)
		default:
			return batch
		}
	}
	return batch
}

func (l *line) write(batch []*call) {
	if l.session == nil || l.session.failed() {
		s, err := l.open()
		if err != nil {
			l.lost(l.to)
			for _, c := range batch {
				l.finish(c, result{err: err})
			}
			for { // nor will those who came meanwhile be luckier
				select {
				case c := <-l.queue:
					l.finish(c, result{err: err})
				default:
					return
				}
			}
		}
		l.session = s
	}
	l.session.write(batch)
}

func (l *line) open() (*session, error) {
	ctx, cancel := dialContext(l.o.ctx, rpcTimeout)
	defer cancel()
	stream, err := l.o.host.NewStream(ctx, l.to, l.proto)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", l.to, err)
	}
	s := &session{line: l, stream: stream, patience: resendAfter}
	s.watchdog = time.AfterFunc(rpcTimeout, s.check)
	if !l.o.spawn(s.read) {
		s.fail(errClosed)
		return nil, errClosed
	}
	return s, nil
}
