package text

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// frequent are the commonest bytes of logs, as testdata has them, the most frequent first.
const frequent = ` 01e:2t".oairn3sd5pcl9,-um46fh[]8g7/=TNvSx_IAwCbyPEL)(ORDk'`

var frequency = func() (of [256]uint8) {
	for i, c := range []byte(frequent) {
		of[c] = uint8(len(frequent) - i)
	}
	return of
}()

// rarest is where a separator has the byte that logs have least of.
func rarest(sep string) (at int) {
	least := uint8(len(frequent) + 1)
	for i := 0; i < len(sep) && least > 0; i++ {
		if f := frequency[sep[i]]; f < least {
			at, least = i, f
		}
	}
	return at
}

// Index is bytes.Index, but looks for sep, which is not empty, by its rarest byte: that
// looks for the first one, which mostly is a blank or a bracket, and stops at every word.
func Index(b []byte, sep string) int { return indexBy(rarest(sep), b, sep) }

// Contains is bytes.Contains by Index.
func Contains(b []byte, sep string) bool { return Index(b, sep) >= 0 }

// indexBy looks for sep by the byte that it has there.
func indexBy(at int, b []byte, sep string) int {
	for i := at; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], sep[at])
		if n < 0 {
			break
		}
		i += n
		if _, ok := CutPrefix(b[i-at:], sep); ok {
			return i - at
		}
	}
	return -1
}

// CutByte is bytes.Cut around a single byte, in place.
func CutByte(b []byte, sep byte) (before, after []byte, ok bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// CutLastByte is CutByte around the last sep.
func CutLastByte(b []byte, sep byte) (before, after []byte, ok bool) {
	if i := bytes.LastIndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// Cut is bytes.Cut by Index.
func Cut(b []byte, sep string) (before, after []byte, ok bool) {
	i := Index(b, sep)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+len(sep):], true
}

// CutOnce is Cut around sep, which must stand there only once: where an attacker
// chose one side, it could stand there by his choice.
func CutOnce(b []byte, sep string) (before, after []byte, ok bool) {
	at := rarest(sep)
	i := indexBy(at, b, sep)
	if i < 0 || indexBy(at, b[i+len(sep):], sep) >= 0 {
		return b, nil, false
	}
	return b[:i], b[i+len(sep):], true
}

// CutLast is Cut around the last sep. It passes nothing but what follows that, so that a list
// can be taken apart from its end.
func CutLast(b []byte, sep string) (before, after []byte, ok bool) {
	at := rarest(sep)
	for end := len(b); ; {
		end = lastIndexByte(b[:end], sep[at])
		if end < at {
			return b, nil, false
		}
		if rest, ok := CutPrefix(b[end-at:], sep); ok {
			return b[:end-at], rest, true
		}
	}
}

// lastIndexByte is bytes.LastIndexByte, but eight bytes at a time: those that are c are zero in x, and
// the last of them is the lowest byte of all that makes the subtraction borrow.
func lastIndexByte(b []byte, c byte) int {
	const lowest, highest = 0x0101010101010101, 0x8080808080808080
	n := len(b)
	for ; n >= 8; n -= 8 {
		x := binary.BigEndian.Uint64(b[n-8:]) ^ lowest*uint64(c)
		if zero := (x - lowest) &^ x & highest; zero != 0 {
			return n - 1 - bits.TrailingZeros64(zero)/8
		}
	}
	return bytes.LastIndexByte(b[:n], c)
}
