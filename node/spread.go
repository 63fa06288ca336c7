package node

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/correlate"
)

// What is broadcast begins with a byte that says what it is.
const (
	alertPayload    byte = 'a'
	documentPayload byte = 'd' // of the federation
	opinionPayload  byte = 'o' // on an alert
)

// So does what is asked.
const (
	documentQuestion byte = 'd'
	offerQuestion    byte = 'o' // which of the reports that I hold do you lack?
	begunQuestion    byte = 'b' // I have begun anew, and hold nothing: tell me
	missedQuestion   byte = 'm' // which alerts have come to you?
)

// publish tells everybody.
func (n *Node) publish(ctx context.Context, kind byte, payload []byte) {
	if err := n.broadcast.Publish(ctx, append([]byte{kind}, payload...)); err != nil && ctx.Err() == nil {
		n.config.Log.Error("not spread", "what", string(kind), "error", err)
	}
}

// receive takes what was broadcast.
func (n *Node) receive(ctx context.Context, from peer.ID, payload []byte) broadcast.Verdict {
	kind, rest := payload[0], payload[1:] // a frame is never empty
	switch {
	case kind == alertPayload:
		return n.actor.receive(ctx, from, rest)
	case kind == opinionPayload:
		return n.heed(ctx, from, rest)
	case kind == documentPayload && n.registrar != nil:
		return n.registrar.take(ctx, rest)
	}
	return broadcast.Invalid
}

// answer is for what neighbours ask.
func (n *Node) answer(ctx context.Context, from peer.ID, request []byte) ([]byte, error) {
	if len(request) == 0 {
		return nil, errors.New("an empty question")
	}
	kind, rest := request[0], request[1:]
	switch {
	case kind == offerQuestion:
		return n.repair.answer(from, rest)
	case kind == begunQuestion:
		return nil, n.repair.begun(from)
	case kind == missedQuestion:
		return n.broadcast.Answer(rest)
	case kind == documentQuestion && n.registrar != nil:
		return n.registrar.answer(ctx, from, rest)
	case kind == documentQuestion:
		return nil, errors.New("this is an open overlay: it has no documents")
	}
	return nil, errors.New("a question of an unknown kind")
}

// accuse tells everybody of a member that has contradicted itself. In an open
// overlay it could come back under another name, so nobody is told.
func (n *Node) accuse(ctx context.Context, c *correlate.Contradiction) {
	n.accusations.Do(func() {
		n.config.Log.Warn("a member contradicts itself: its evidence no longer counts", "member", c.First.Signer)
	})
	if n.registrar == nil {
		return
	}
	document, err := n.federation.Fault(c.First, c.Second)
	if err == nil {
		err = n.registrar.submit(ctx, document)
	}
	if err != nil {
		n.config.Log.Debug("contradiction not told", "error", err)
	}
}
