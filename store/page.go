package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The file format of bbolt, version 2: pages with a header of id (8 bytes),
// flags, count (2 each) and overflow (4), in the byte order of the machine.
const (
	headerSize  = 16
	elementSize = 16

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketLeaf   = 0x01
	noFreelist   = ^uint64(0)
)

var order = binary.NativeEndian

// checker walks the pages of a file.
type checker struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64 // page numbers are below
	seen     []bool // by page number
}

// readMeta returns the newer valid one of the two meta pages without its header:
// magic, version, page size, flags (4 bytes each), root, sequence, freelist,
// pages, transaction, checksum (8 each).
func readMeta(file io.ReaderAt) (meta []byte, err error) {
	for _, at := range []int64{0, 4 << 10, 8 << 10, 16 << 10, 64 << 10} { // the second follows a page of unknown size
		buf := make([]byte, 64)
		if _, err := file.ReadAt(buf, at+headerSize); err != nil {
			continue
		}
		sum := fnv.New64a()
		sum.Write(buf[:56])
		size := order.Uint32(buf[8:])
		if order.Uint32(buf) != 0xED0CDAED || order.Uint32(buf[4:]) != 2 || order.Uint64(buf[56:]) != sum.Sum64() ||
			size < 4<<10 || size > 64<<10 || at != 0 && at != int64(size) {
			continue
		}
		if meta == nil || order.Uint64(buf[48:]) > order.Uint64(meta[48:]) {
			meta = buf
		}
	}
	if meta == nil {
		return nil, fmt.Errorf("%w: it has no valid meta page, or is no bbolt file", errDamaged)
	}
	return meta, nil
}

// claim marks a page as used.
func (c *checker) claim(id uint64) error {
	if id < 2 || id >= c.pages || c.seen[id] {
		return fmt.Errorf("%w: page %d is used twice, or does not exist", errDamaged, id)
	}
	c.seen[id] = true
	return nil
}

// page claims a page with its overflow and reads it.
func (c *checker) page(id uint64) (page []byte, kind uint16, count uint64, err error) {
	if err := c.claim(id); err != nil {
		return nil, 0, 0, err
	}
	page = make([]byte, c.pageSize)
	if _, err := c.file.ReadAt(page, int64(id*c.pageSize)); err != nil {
		return nil, 0, 0, fmt.Errorf("read page %d: %w", id, err)
	}
	more := uint64(order.Uint32(page[12:]))
	if order.Uint64(page) != id || more >= c.pages-id {
		return nil, 0, 0, fmt.Errorf("%w: page %d has the wrong number or length", errDamaged, id)
	}
	if more > 0 {
		page = make([]byte, (more+1)*c.pageSize)
		if _, err := c.file.ReadAt(page, int64(id*c.pageSize)); err != nil {
			return nil, 0, 0, fmt.Errorf("read page %d: %w", id, err)
		}
		for i := range more {
			if err := c.claim(id + 1 + i); err != nil {
				return nil, 0, 0, err
			}
		}
	}
	return page, order.Uint16(page[8:]), uint64(order.Uint16(page[10:])), nil
}

// freelist claims the free pages: a tree that leads to one is damaged.
func (c *checker) freelist(id uint64) error {
	page, kind, count, err := c.page(id)
	if err != nil {
		return err
	}
	ids := page[headerSize:]
	if count == 0xffff { // the count follows
		count, ids = order.Uint64(ids), ids[8:]
	}
	if kind != freelistPage || count > uint64(len(ids)/8) {
		return fmt.Errorf("%w: page %d is no list of free pages", errDamaged, id)
	}
	for i := range count {
		if err := c.claim(order.Uint64(ids[8*i:])); err != nil {
			return err
		}
	}
	return nil
}
