// Package follow reads log files that others write and rotate, so that every
// line is handed on exactly once, over restarts too.
//
// A File reads the live file; when that is renamed, it reads on through the open
// descriptor until the successor is in use, then goes through whatever was
// rotated in between, oldest first, to the new live file. Lines that writers
// still add to the old file within a minute are handed on as well. Truncation
// (logrotate's copytruncate) is noticed by the size and by the first bytes, and
// the copy is read from where the original was left.
package follow

import (
	"bytes"
	"hash/crc64"
	"io/fs"
	"syscall"
)

// Position is where reading goes on after a restart. It names a file by what it
// is, since names move at rotation and inodes are used again. The zero Position
// is the beginning of whatever bears the log's name.
type Position struct {
	Device uint64 `cbor:"1,keyasint"`
	Inode  uint64 `cbor:"2,keyasint"`
	// Head is the CRC-64 (ECMA) of the first min(Offset, 1024) bytes.
	Head uint64 `cbor:"3,keyasint"`
	// Offset is that of the next unread line, in bytes.
	Offset int64 `cbor:"4,keyasint"`
	// Lines is how many lines lie before Offset.
	Lines int64 `cbor:"5,keyasint"`
	// Modified is when the file was last written to as far as is known, in Unix
	// nanoseconds: files rotated later are newer.
	Modified int64 `cbor:"6,keyasint"`
}

// headSize bounds the bytes that a file is recognized by.
const headSize = 1024

func checksum(head []byte) uint64 {
	return crc64.Checksum(head, crc64.MakeTable(crc64.ECMA))
}

func (p Position) valid() bool { return p.Offset >= 0 && p.Lines >= 0 && p != Position{} }

func (p Position) identity() identity { return identity{p.Device, p.Inode} }

// headIn reports whether a file that begins with head, and is size bytes long,
// can be the one that the position was taken in.
func (p Position) headIn(head []byte, size int64) bool {
	n := min(p.Offset, headSize)
	return size >= p.Offset && int64(len(head)) >= n && checksum(head[:n]) == p.Head
}

// identity is what a file is called by the kernel.
type identity struct{ device, inode uint64 }

func identify(info fs.FileInfo) identity {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}
	}
	return identity{uint64(st.Dev), st.Ino}
}

// same reports whether the file still begins with what was read of it.
func same(head, now []byte) bool { return bytes.HasPrefix(now, head) }
