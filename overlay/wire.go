package overlay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// On a stream of ours either side writes frames:
//
//	uvarint length of the rest, at most 64 KiB | uvarint sequence number | body
//
// The opener's bodies are requests, the other's are replies, each with the
// number of its request: one status byte, then what belongs to it.
// The body of a report is: one byte r | 32 bytes key | payload.
const maxFrame = 64 << 10

// MaxPayload is the largest payload or broadcast frame in bytes: 64 KiB with
// what goes around it.
const MaxPayload = maxFrame - 64

type status byte

const (
	accepted status = iota + 1 // the rest is the answer to a question
	refused                    // the rest is why, as text
	closer                     // the rest names the right collectors of the key, as a kad-dht message
	busy                       // not now: give it to the next one, and leave this one alone for a while
)

const maxReason = 512

var errFrame = errors.New("malformed frame")

// appendFrame appends one frame whose body is the parts together.
func appendFrame(dst []byte, seq uint64, parts ...[]byte) []byte {
	var number [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(number[:], seq)
	size := n
	for _, p := range parts {
		size += len(p)
	}
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, number[:n]...)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// readFrame reads one frame. A length over the limit is refused before memory
// is set aside for it. A stream that ends between two frames gives io.EOF.
func readFrame(r *bufio.Reader) (seq uint64, body []byte, err error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	if size == 0 || size > maxFrame {
		return 0, nil, fmt.Errorf("%w: %d bytes, want 1 to %d", errFrame, size, maxFrame)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errFrame, io.ErrUnexpectedEOF)
	}
	seq, n := binary.Uvarint(frame)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: no sequence number", errFrame)
	}
	return seq, frame[n:], nil
}

// reply is the answer to one request.
type reply struct {
	status status
	reason string           // of a refusal
	answer []byte           // to a question
	closer []*peer.AddrInfo // as the other side claims: not yet checked
}

func (r reply) encode() []byte {
	out := []byte{byte(r.status)}
	switch r.status {
	case accepted:
		out = append(out, r.answer...)
	case refused:
		out = append(out, r.reason[:min(len(r.reason), maxReason)]...)
	case closer:
		var infos []peer.AddrInfo
		for _, info := range r.closer {
			infos = append(infos, *info)
		}
		data, err := proto.Marshal(&pb.Message{CloserPeers: pb.RawPeerInfosToPBPeers(infos)})
		if err == nil {
			out = append(out, data...)
		}
	}
	return out
}

func decodeReply(body []byte) (reply, error) {
	if len(body) == 0 {
		return reply{}, fmt.Errorf("%w: empty reply", errFrame)
	}
	r, rest := reply{status: status(body[0])}, body[1:]
	switch r.status {
	case accepted:
		r.answer = rest
	case refused:
		r.reason = string(rest[:min(len(rest), maxReason)])
	case closer:
		var m pb.Message
		if err := proto.Unmarshal(rest, &m); err != nil {
			return reply{}, fmt.Errorf("%w: closer peers: %w", errFrame, err)
		}
		r.closer = pb.PBPeersToPeerInfos(m.GetCloserPeers())
	case busy:
	default:
		return reply{}, fmt.Errorf("%w: reply status %d", errFrame, r.status)
	}
	return r, nil
}

// report is a payload on its way to the collectors of its key.
type report struct {
	key [32]byte
	// r is how many collectors the sender wants: who knows so many nearer ones
	// says so instead of accepting. 0 means: accept, I have asked those.
	r       int
	payload []byte
}

func (p report) encode() []byte {
	out := make([]byte, 0, 1+len(p.key)+len(p.payload))
	out = append(out, byte(p.r))
	out = append(out, p.key[:]...)
	return append(out, p.payload...)
}

func decodeReport(body []byte) (report, error) {
	var p report
	if len(body) < 1+len(p.key) || body[0] > MaxReplicas {
		return p, fmt.Errorf("%w: report", errFrame)
	}
	p.r = int(body[0])
	n := copy(p.key[:], body[1:])
	p.payload = body[1+n:]
	return p, nil
}
