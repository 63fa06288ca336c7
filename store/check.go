package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

var (
	errInUse   = errors.New("in use")
	errDamaged = errors.New("the file is damaged")
)

// openChecked opens the file for bbolt, locks it as bbolt does (again, on the
// same descriptor) and checks it. bbolt trusts every page number that it finds
// in the file: a wrong one may send it round in circles for ever, which no
// recover can help.
func openChecked(path string, flag int, mode os.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	for wait := time.Duration(0); ; wait += lockPause {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		if wait >= lockWait {
			err = errInUse
			break
		}
		time.Sleep(lockPause)
	}
	if err == nil {
		err = check(file)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// A process that was killed may take a moment to let go of the file.
const (
	lockWait  = time.Second
	lockPause = 50 * time.Millisecond
)

// content is what the leaves of a tree hold.
type content int

const (
	buckets content = iota
	records
	// events are nearly all of the file. All leaves of a tree are equally deep,
	// and of these only the first is read: damage in the others is an error when
	// it is met.
	events
)

// check verifies a meta page, the list of free pages, and that every page number
// leads to a page of the right kind that nothing else leads to.
func check(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	meta, err := readMeta(file)
	if err != nil {
		return err
	}
	c := &checker{file: file, pageSize: uint64(order.Uint32(meta[8:])), pages: order.Uint64(meta[40:])}
	if size := uint64(info.Size()); c.pages > size/c.pageSize {
		return fmt.Errorf("%w: it was cut off at %d bytes, and has %d pages of %d", errDamaged, size, c.pages, c.pageSize)
	}
	c.seen = make([]bool, c.pages)
	if id := order.Uint64(meta[32:]); id != noFreelist {
		if err := c.freelist(id); err != nil {
			return err
		}
	}
	return c.tree(order.Uint64(meta[16:]), buckets)
}

// tree checks the pages of a bucket.
func (c *checker) tree(id uint64, holds content) error {
	page, kind, count, err := c.page(id)
	if err != nil {
		return err
	}
	switch {
	case headerSize+count*elementSize > uint64(len(page)):
		return fmt.Errorf("%w: page %d cannot have %d elements", errDamaged, id, count)
	case kind == branchPage && count > 0:
		return c.branch(page, count, holds)
	case kind == leafPage:
		return c.leaf(page, count, holds)
	}
	return fmt.Errorf("%w: page %d is no part of a tree", errDamaged, id)
}

// branch checks the children of a branch page. Its elements are the key's place
// and length (4 bytes each) and the child's number (8).
func (c *checker) branch(page []byte, count uint64, holds content) error {
	lowest := false // the children are leaves
	for i := range count {
		at := headerSize + i*elementSize
		element := page[at:]
		if at+uint64(order.Uint32(element))+uint64(order.Uint32(element[4:])) > uint64(len(page)) {
			return fmt.Errorf("%w: a key lies outside of its page", errDamaged)
		}
		child := order.Uint64(element[8:])
		check := func() error { return c.tree(child, holds) }
		if lowest && holds == events {
			check = func() error { return c.claim(child) }
		}
		if err := check(); err != nil {
			return err
		}
		if i == 0 {
			kind := make([]byte, 2)
			if _, err := c.file.ReadAt(kind, int64(child*c.pageSize)+8); err != nil {
				return fmt.Errorf("read page %d: %w", child, err)
			}
			lowest = order.Uint16(kind) == leafPage
		}
	}
	return nil
}

// leaf checks the records of a leaf. Its elements are flags, and the key's place,
// its length and the value's (4 bytes each); the value follows the key. Buckets
// are records whose value is the number of their first page and a sequence number
// (8 bytes each); a small one has no page, and its only leaf follows there.
func (c *checker) leaf(page []byte, count uint64, holds content) error {
	for i := range count {
		at := headerSize + i*elementSize
		element := page[at:]
		key := at + uint64(order.Uint32(element[4:]))
		value := key + uint64(order.Uint32(element[8:]))
		end := value + uint64(order.Uint32(element[12:]))
		isBucket := order.Uint32(element)&bucketLeaf != 0
		if end > uint64(len(page)) || isBucket != (holds == buckets) || isBucket && end-value < 16 {
			return fmt.Errorf("%w: a record lies outside of its page, or is of the wrong kind", errDamaged)
		}
		if !isBucket {
			continue
		}
		root, inline := order.Uint64(page[value:]), page[value+16:end]
		inside := records
		if string(page[key:value]) == string(eventsBucket) {
			inside = events
		}
		var err error
		switch {
		case root != 0:
			err = c.tree(root, inside)
		case len(inline) < headerSize || order.Uint16(inline[8:]) != leafPage || len(inline) < headerSize+elementSize*int(order.Uint16(inline[10:])):
			err = fmt.Errorf("%w: bucket %.40q is none", errDamaged, page[key:value])
		default:
			err = c.leaf(inline, uint64(order.Uint16(inline[10:])), inside)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
