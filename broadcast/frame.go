package broadcast

import (
	"bytes"
	"errors"
)

// maxDepth is one more than the deepest bucket that a frame can be sent from.
const maxDepth = 255

// frame is what travels: one byte depth, one byte hop, and the payload.
type frame struct {
	depth   int // the receiver answers for its buckets from here on
	hop     int // how many nodes it has passed, up to 255
	payload []byte
}

func (f frame) encode() []byte {
	return bytes.Join([][]byte{{byte(f.depth), byte(f.hop)}, f.payload}, nil)
}

func decode(data []byte) (frame, error) {
	if len(data) < 3 {
		return frame{}, errors.New("broadcast frame without a payload")
	}
	return frame{depth: int(data[0]), hop: int(data[1]), payload: data[2:]}, nil
}

// next is the frame for the contacts of a bucket: they share its number of bits
// with this node and differ in the one after, so their part of the tree begins
// one deeper.
func (f frame) next(bucket int) frame {
	return frame{depth: bucket + 1, hop: min(f.hop+1, 255), payload: f.payload}
}
