package powercut

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// file is what the kernel has in its cache, and what is on the disk.
type file struct {
	fusefs.Inode
	fs   *FS
	name string // for Op
	mode fs.FileMode

	data []byte // the cache
	disk []byte // what was synchronised
	// pages are those that are not zeroes: what lies beyond was never written, and
	// takes no room.
	pages map[int]state
}

// state is what a cut may do to a page.
type state int

const (
	clean state = iota // the disk has it
	dirty              // the next synchronisation writes it
	lost               // a synchronisation has failed: it is written no more until it changes
)

var (
	_ fusefs.NodeOpener    = (*file)(nil)
	_ fusefs.NodeReader    = (*file)(nil)
	_ fusefs.NodeWriter    = (*file)(nil)
	_ fusefs.NodeGetattrer = (*file)(nil)
	_ fusefs.NodeSetattrer = (*file)(nil)
	_ fusefs.NodeFsyncer   = (*file)(nil)
	_ fusefs.NodeFlusher   = (*file)(nil)
)

func loaded(f *FS, mode fs.FileMode, data []byte) *file {
	n := &file{fs: f, mode: mode, data: data, disk: append([]byte(nil), data...), pages: map[int]state{}}
	for p := range (len(data) + pageSize - 1) / pageSize {
		n.pages[p] = clean
	}
	return n
}

// survive is the file after a cut.
func (n *file) survive(dice *rand.Rand) *file {
	size := len(n.disk)
	if dice.IntN(2) == 0 {
		size = len(n.data)
	}
	after := make([]byte, size)
	copy(after, n.disk)
	// Dice are thrown for all pages in order, so that a seed tells the same again.
	for p := range (len(n.data) + pageSize - 1) / pageSize {
		if s, written := n.pages[p]; !written || s == clean {
			continue
		}
		fate := dice.IntN(3) // dropped, kept, torn
		for at := p * pageSize; at < (p+1)*pageSize; at += sectorSize {
			if fate == 1 || fate == 2 && dice.IntN(2) == 0 {
				if end := min(at+sectorSize, size, len(n.data)); at < end {
					copy(after[at:end], n.data[at:end])
				}
			}
		}
	}
	return &file{mode: n.mode, data: after}
}

func (n *file) Open(context.Context, uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (n *file) Flush(context.Context, fusefs.FileHandle) syscall.Errno { return 0 }

func (n *file) Read(_ context.Context, _ fusefs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if n.fs.saved != nil {
		return nil, syscall.EIO
	}
	at := min(int(off), len(n.data))
	return fuse.ReadResultData(dest[:copy(dest, n.data[at:])]), 0
}

func (n *file) Write(_ context.Context, _ fusefs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	first, last := int(off)/pageSize, (int(off)+len(data)-1)/pageSize
	grows := false
	for p := first; p <= last; p++ {
		_, there := n.pages[p]
		grows = grows || !there
	}
	if errno := n.fs.begin(Op{Write, n.name, grows}); errno != 0 {
		return 0, errno
	}
	if end := int(off) + len(data); end > len(n.data) {
		n.resize(end)
	}
	copy(n.data[off:], data)
	for p := first; p <= last; p++ {
		n.pages[p] = dirty
	}
	return uint32(len(data)), 0
}

// resize makes the file longer by zeroes, or shorter.
func (n *file) resize(size int) {
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
		return
	}
	n.data = n.data[:size:size]
	for p := range n.pages {
		switch {
		case p*pageSize >= size && p*pageSize < len(n.disk):
			n.pages[p] = dirty // zeroes, should it grow again
		case p*pageSize >= size:
			delete(n.pages, p)
		case (p+1)*pageSize > size:
			n.pages[p] = dirty
		}
	}
}

func (n *file) Fsync(context.Context, fusefs.FileHandle, uint32) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if errno := n.fs.begin(Op{Kind: Sync, Name: n.name}); errno != 0 {
		for p, s := range n.pages {
			if s == dirty {
				n.pages[p] = lost
			}
		}
		return errno
	}
	n.sync()
	return 0
}

func (n *file) sync() {
	if len(n.disk) > len(n.data) {
		n.disk = n.disk[:len(n.data):len(n.data)]
	} else {
		n.disk = append(n.disk, make([]byte, len(n.data)-len(n.disk))...)
	}
	for p, s := range n.pages {
		if s == dirty {
			n.pages[p] = clean
			if at := p * pageSize; at < len(n.data) {
				copy(n.disk[at:], n.data[at:min(at+pageSize, len(n.data))])
			}
		}
	}
}

func (n *file) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.attributes(&out.Attr)
	return 0
}

func (n *file) attributes(a *fuse.Attr) {
	a.Mode = syscall.S_IFREG | uint32(n.mode.Perm())
	a.Size, a.Blocks = uint64(len(n.data)), uint64(len(n.pages)*pageSize/sectorSize)
}

func (n *file) Setattr(_ context.Context, _ fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		if errno := n.fs.begin(Op{Kind: Truncate, Name: n.name}); errno != 0 {
			return errno
		}
		n.resize(int(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = fs.FileMode(mode).Perm()
	}
	n.attributes(&out.Attr)
	return 0
}
