package overlay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
)

const (
	handshakeProtocol protocol.ID = "/komondor/noise/1"
	// handshakeTimeout bounds Noise and the hellos together: one who is slow
	// holds one of the few places for connections that are not admitted yet.
	handshakeTimeout = 5 * time.Second
	// maxHello is the longest hello or reply in bytes.
	maxHello = 8 << 10
)

// errRedeemed ends a connection that was for a reply only.
var errRedeemed = errors.New("not admitted: replied and hung up")

// handshake is libp2p's Noise with hellos right after it, so that nobody but a
// member gets as far as a multiplexer, identify or a stream:
//
//	initiator: two bytes length, big endian | hello
//	responder: two bytes length, big endian | reply
//
// By then Noise has shown the initiator the responder's peer ID, and nothing
// else is shown before the hello has been found good.
type handshake struct {
	*noise.Transport
	admission Admission
	refused   *atomic.Uint64
}

// newHandshake returns the constructor that libp2p calls.
func newHandshake(admission Admission, refused *atomic.Uint64) func(protocol.ID, crypto.PrivKey, []upgrader.StreamMuxer) (*handshake, error) {
	return func(id protocol.ID, key crypto.PrivKey, muxers []upgrader.StreamMuxer) (*handshake, error) {
		t, err := noise.New(id, key, muxers)
		return &handshake{t, admission, refused}, err
	}
}

// SecureInbound returns Noise's own connection, which also says what muxer was
// agreed upon.
func (h *handshake) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := h.Transport.SecureInbound(ctx, insecure, p)
	if err == nil {
		err = during(ctx, conn, func() error { return h.welcome(conn) })
	}
	if err != nil {
		if !errors.Is(err, errRedeemed) {
			h.refused.Add(1)
		}
		return nil, err
	}
	return conn, nil
}

func (h *handshake) welcome(conn sec.SecureConn) error {
	said, err := readHello(conn)
	if err != nil {
		return fmt.Errorf("hello of %s: %w", conn.RemotePeer(), err)
	}
	reply, admitted, err := h.admission.Welcome(conn.RemotePeer(), said)
	if err != nil {
		return fmt.Errorf("refuse %s: %w", conn.RemotePeer(), err)
	}
	if err := writeHello(conn, reply); err != nil || admitted {
		return err
	}
	// libp2p closes with a reset, which would overtake the reply: they hang up first.
	_, _ = conn.Read(make([]byte, 1))
	return errRedeemed
}

func (h *handshake) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := h.Transport.SecureOutbound(ctx, insecure, p)
	if err != nil {
		return nil, err
	}
	err = during(ctx, conn, func() error {
		said, err := exchange(conn, h.admission.Hello())
		if err == nil {
			err = h.admission.Meet(p, said)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAdmission, err)
	}
	return conn, nil
}

// errAdmission is wrapped where two nodes could connect, and one of them does
// not accept the other.
var errAdmission = errors.New("not admitted")

// exchange is the initiator's side.
func exchange(conn net.Conn, hello []byte) (reply []byte, err error) {
	if err := writeHello(conn, hello); err != nil {
		return nil, err
	}
	reply, err = readHello(conn)
	if err != nil && !errors.Is(err, errFrame) { // it has said why to nobody
		return nil, fmt.Errorf("it hung up without a reply, so it does not accept what this node has shown: look whether that has expired, was revoked, or is for another federation, and at the clock (%w)", err)
	}
	return reply, err
}

// during runs f, which uses the connection, and closes that when the context
// ends or f fails.
func during(ctx context.Context, conn net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := f()
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		conn.Close()
	}
	return err
}

func writeHello(w io.Writer, hello []byte) error {
	if len(hello) > maxHello {
		return fmt.Errorf("own hello of %d bytes is over the %d allowed", len(hello), maxHello)
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(hello))), hello...))
	return err
}

// readHello reads not a byte more than the hello: what follows is the muxer's.
func readHello(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n > maxHello {
		return nil, fmt.Errorf("%w: hello of %d bytes is over the %d allowed", errFrame, n, maxHello)
	}
	hello := make([]byte, n)
	if _, err := io.ReadFull(r, hello); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, io.ErrUnexpectedEOF)
	}
	return hello, nil
}
