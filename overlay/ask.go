package overlay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// MaxAnswer is the longest question and the longest answer in bytes.
	MaxAnswer  = 56 << 10
	askTimeout = 10 * time.Second
	// maxAsking is how many questions of this node are under way at once, and so
	// how many a peer may have under way here.
	maxAsking = 8
	// maxAnswering is how many questions of all peers are answered at once.
	maxAnswering = 64
	// askAgain is when a question without an answer is put again, and timesAsked how many
	// times at most: an answer may have cost some work, and take its time.
	askAgain   = 700 * time.Millisecond
	timesAsked = 3
)

// askRate is what a peer may ask here before it has to wait: an answer may cost more
// than a report does.
var askRate = Rate{50, 200}

// Answerer answers a question of a peer. It may be called from several
// goroutines. An error refuses: its text goes to the asker.
type Answerer func(ctx context.Context, from peer.ID, request []byte) ([]byte, error)

// Ask puts one question to a peer and returns its answer. Each question has a
// stream of its own, so that a long answer delays no report. Where no answer comes it
// is put up to three times, and must do no harm when it arrives twice. The error wraps
// ErrRefused where the peer does not want to answer. Ask blocks while eight
// other questions are under way.
func (o *Overlay) Ask(ctx context.Context, to peer.ID, request []byte) (answer []byte, err error) {
	if len(request) > MaxAnswer {
		return nil, fmt.Errorf("question of %d bytes is over the %d allowed", len(request), MaxAnswer)
	}
	select {
	case o.asking <- struct{}{}:
		defer func() { <-o.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("ask %s: %w", to, ctx.Err())
	case <-o.ctx.Done():
		return nil, errClosed
	}
	count := &o.count.ask
	count.sent.Add(1)
	count.batches.Add(1)
	ctx, cancel := context.WithTimeout(network.WithDialPeerTimeout(ctx, rpcTimeout), askTimeout)
	defer cancel()
	rep, err := insist(ctx, askAgain, timesAsked, func(ctx context.Context) (reply, error) { return o.question(ctx, to, request) })
	if err != nil {
		count.failed.Add(1)
		o.doubt(to)
		return nil, fmt.Errorf("ask %s: %w", to, err)
	}
	count.reply(rep.status)
	if rep.status != accepted {
		return nil, fmt.Errorf("question %w by %s: %s", ErrRefused, to, rep.reason)
	}
	return rep.answer, nil
}

// question writes the question and reads what comes back.
func (o *Overlay) question(ctx context.Context, to peer.ID, request []byte) (reply, error) {
	stream, err := o.host.NewStream(ctx, to, askProtocol)
	if err != nil {
		return reply{}, err
	}
	defer context.AfterFunc(ctx, func() { stream.Reset() })()
	defer context.AfterFunc(o.ctx, func() { stream.Reset() })()
	var rep reply
	if _, err = stream.Write(appendFrame(nil, 0, request)); err == nil {
		rep, err = readAnswer(stream)
	}
	if err != nil {
		stream.Reset()
		return reply{}, errors.Join(ctx.Err(), err)
	}
	stream.Close() // the answer is here: how the stream ends does not matter
	return rep, nil
}

// readAnswer reads the one frame that answers a question.
func readAnswer(r io.Reader) (reply, error) {
	_, body, err := readFrame(bufio.NewReader(r))
	if err != nil {
		return reply{}, err
	}
	rep, err := decodeReply(body)
	if err == nil && rep.status == closer || len(rep.answer) > MaxAnswer {
		err = fmt.Errorf("%w: answer", errFrame)
	}
	return rep, err
}

// answers is the side that is asked.
type answers struct {
	o      *Overlay
	guests guests
	slots  chan struct{} // taken by each question that is being answered
}

func (o *Overlay) serveAsk() {
	a := &answers{o: o, guests: newGuests(maxAsking, askRate), slots: make(chan struct{}, maxAnswering)}
	o.host.SetStreamHandler(askProtocol, a.accept)
}

func (a *answers) accept(stream network.Stream) {
	from := stream.Conn().RemotePeer()
	guest := a.guests.enter(from)
	if guest == nil {
		a.o.count.ask.broken.Add(1)
		stream.Reset()
		return
	}
	stop := context.AfterFunc(a.o.ctx, func() { stream.Reset() })
	running := a.o.spawn(func() {
		defer stop()
		rep, err := a.handle(from, guest, stream)
		a.guests.leave(from) // before the asker has its answer, and may ask again
		if err == nil {
			err = writeAnswer(stream, rep)
		}
		if err != nil {
			a.o.count.ask.broken.Add(1)
			stream.Reset()
			return
		}
		stream.Close()
	})
	if !running {
		a.guests.leave(from)
		stream.Reset()
	}
}

// handle reads the question and finds its answer.
func (a *answers) handle(from peer.ID, guest *guest, stream network.Stream) (reply, error) {
	watchdog := time.AfterFunc(frameTimeout, func() { stream.Reset() })
	defer watchdog.Stop()
	_, request, err := readFrame(bufio.NewReader(stream))
	if err == nil && len(request) > MaxAnswer {
		err = fmt.Errorf("%w: question", errFrame)
	}
	if err != nil {
		return reply{}, err
	}
	watchdog.Stop() // how long the answer takes is our own affair
	a.o.count.ask.received.Add(1)
	if !guest.bucket.Allow() {
		a.o.count.ask.waits.Add(1)
		if err := guest.bucket.Wait(a.o.ctx); err != nil {
			return reply{}, err
		}
	}
	return a.answer(from, request)
}

// writeAnswer gives up when the asker does not take it.
func writeAnswer(stream network.Stream, rep reply) error {
	watchdog := time.AfterFunc(frameTimeout, func() { stream.Reset() })
	defer watchdog.Stop()
	_, err := stream.Write(appendFrame(nil, 0, rep.encode()))
	return err
}

// answer waits for its turn. An error means that nobody waits for it any more.
func (a *answers) answer(from peer.ID, request []byte) (reply, error) {
	ctx, cancel := context.WithTimeout(a.o.ctx, askTimeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	if err := a.o.handled(ctx); err != nil {
		return reply{}, err
	}
	if a.o.answer == nil {
		return reply{status: refused, reason: "this node answers no questions"}, nil
	}
	answer, err := a.o.answer(ctx, from, request)
	if err == nil && len(answer) > MaxAnswer {
		err = fmt.Errorf("the answer of %d bytes is over the %d allowed", len(answer), MaxAnswer)
	}
	if err != nil {
		return reply{status: refused, reason: err.Error()}, nil
	}
	return reply{status: accepted, answer: answer}, nil
}
