// Package powercut is a file system for tests whose power can be cut: what was
// written and not synchronised is lost then, or kept, or torn, as a seed
// decides. It also fails on demand, as full and broken disks do. It needs
// /dev/fuse.
//
// A file's pages (4 KiB) survive one by one, each as it was before, as it was
// written, or torn between 512-byte sectors of both; a new size survives or does
// not. fsync, fdatasync and msync make a file's contents and size safe, not its
// name: names are changed in order, each change as a whole, and are safe when the
// directory was synchronised. A synchronisation that fails leaves its pages
// readable and never tries them again, as Linux does.
//
// The process that serves the files must not map them into its memory: a page
// fault stops all of it, and nobody is left to serve the page.
package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Op is something that changes a file or a directory.
type Op struct {
	Kind Kind
	Name string // of the file or directory, without its path
	// Grows says that the file system needs more room for it.
	Grows bool
}

// Kind is what an Op does.
type Kind string

// The kinds of Op. Sync is of a file, SyncNames of a directory.
const (
	Create, Write, Truncate, Sync    Kind = "create", "write", "truncate", "sync"
	Rename, Remove, Mkdir, SyncNames Kind = "rename", "remove", "mkdir", "sync names"
)

// FS is a mounted file system.
type FS struct {
	server *fuse.Server

	mu    sync.Mutex // guards all below, and all nodes
	dice  *rand.Rand
	root  *dir
	fail  func(Op) syscall.Errno
	left  int           // operations until the cut; less than one: none is planned
	cut   chan struct{} // closed by the cut
	saved *dir          // what has survived; nil before the cut
}

// Mount serves a copy of the directory tree from at the directory at, until
// Close. The seed decides what a power cut spares. The error is one that Absent
// knows where this host has no FUSE.
func Mount(at, from string, seed uint64) (*FS, error) {
	f := &FS{dice: rand.New(rand.NewPCG(seed, 0)), cut: make(chan struct{})}
	device, err := os.Open("/dev/fuse")
	if err != nil {
		return nil, err
	}
	device.Close()
	if f.root, err = f.load(from); err != nil {
		return nil, fmt.Errorf("load %q: %w", from, err)
	}
	f.server, err = fusefs.Mount(at, f.root, &fusefs.Options{MountOptions: fuse.MountOptions{
		FsName: "powercut", DirectMount: true, MaxWrite: 1 << 20,
	}})
	if err != nil {
		return nil, fmt.Errorf("mount at %q: %w", at, err)
	}
	return f, nil
}

// Close unmounts. No process may have files open any more.
func (f *FS) Close() error { return f.server.Unmount() }

// Fail has operations fail with the error that fn returns for them, if it is not
// zero; nil ends that.
func (f *FS) Fail(fn func(Op) syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fn
}

// Full is for Fail: a disk without room.
func Full(op Op) syscall.Errno {
	if op.Grows {
		return syscall.ENOSPC
	}
	return 0
}

// Broken is for Fail: a disk that takes nothing any more.
func Broken(Op) syscall.Errno { return syscall.EIO }

// CutAfter has the power fail at the nth operation from now, 1 or more.
func (f *FS) CutAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n
}

// Cut has the power fail now, unless it has. Everything fails from now on.
func (f *FS) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off()
}

// WasCut is closed by the cut.
func (f *FS) WasCut() <-chan struct{} { return f.cut }

// Survivors writes what has survived the cut into the directory at.
func (f *FS) Survivors(at string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.saved == nil {
		return errors.New("the power was not cut")
	}
	return f.saved.write(at)
}

// off is called with f.mu held.
func (f *FS) off() {
	if f.saved == nil {
		f.saved = f.root.survive(f.dice)
		close(f.cut)
	}
}

// begin is called with f.mu held before an operation changes anything.
func (f *FS) begin(op Op) syscall.Errno {
	if f.saved != nil {
		return syscall.EIO
	}
	if f.left--; f.left == 0 {
		f.off()
		return syscall.EIO
	}
	if f.fail != nil {
		return f.fail(op)
	}
	return 0
}

func (f *FS) load(path string) (*dir, error) {
	d := newDir(f)
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if e.IsDir() {
			if d.now[e.Name()], err = f.load(name); err != nil {
				return nil, err
			}
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d.now[e.Name()] = loaded(f, info.Mode().Perm(), data)
	}
	d.synced()
	return d, nil
}

func (d *dir) write(at string) error {
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	for name, child := range d.now {
		path := filepath.Join(at, name)
		var err error
		switch c := child.(type) {
		case *dir:
			err = c.write(path)
		case *file:
			err = os.WriteFile(path, c.data, c.mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Absent says whether an error of Mount means that this host has no FUSE.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, exec.ErrNotFound) // of fusermount
}
