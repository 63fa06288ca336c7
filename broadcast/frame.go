package broadcast

import (
	"bytes"
	"errors"

	"github.com/komondor/komondor/broadcast/tree"
)

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

// next is the frame for the contacts of a bucket.
func (f frame) next(bucket int) frame {
	return frame{depth: tree.Below(bucket), hop: min(f.hop+1, 255), payload: f.payload}
}
