package powercut

import (
	"context"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// dir is a directory. Renaming goes on within one only.
type dir struct {
	fusefs.Inode
	fs      *FS
	name    string // for Op
	now     map[string]fusefs.InodeEmbedder
	disk    map[string]fusefs.InodeEmbedder   // what was synchronised
	pending []map[string]fusefs.InodeEmbedder // what each change since then has left
}

var (
	_ fusefs.NodeOnAdder   = (*dir)(nil)
	_ fusefs.NodeGetattrer = (*dir)(nil)
	_ fusefs.NodeCreater   = (*dir)(nil)
	_ fusefs.NodeMkdirer   = (*dir)(nil)
	_ fusefs.NodeUnlinker  = (*dir)(nil)
	_ fusefs.NodeRmdirer   = (*dir)(nil)
	_ fusefs.NodeRenamer   = (*dir)(nil)
	_ fusefs.NodeFsyncer   = (*dir)(nil)
)

func newDir(f *FS) *dir {
	return &dir{fs: f, now: map[string]fusefs.InodeEmbedder{}, disk: map[string]fusefs.InodeEmbedder{}}
}

func (d *dir) synced() { d.disk, d.pending = maps.Clone(d.now), nil }

func (d *dir) changed() { d.pending = append(d.pending, maps.Clone(d.now)) }

// survive is the directory after a cut, which spares the first changes of names
// and not the others.
func (d *dir) survive(dice *rand.Rand) *dir {
	after := newDir(nil)
	names := d.disk
	if spared := dice.IntN(len(d.pending) + 1); spared > 0 {
		names = d.pending[spared-1]
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, for the dice
		switch child := names[name].(type) {
		case *dir:
			after.now[name] = child.survive(dice)
		case *file:
			after.now[name] = child.survive(dice)
		}
	}
	return after
}

// OnAdd hangs what was loaded into the tree that the kernel sees.
func (d *dir) OnAdd(ctx context.Context) {
	for name, child := range d.now {
		mode := uint32(syscall.S_IFREG)
		switch c := child.(type) {
		case *dir:
			c.name, mode = name, syscall.S_IFDIR
		case *file:
			c.name = name
		}
		d.AddChild(name, d.NewPersistentInode(ctx, child, fusefs.StableAttr{Mode: mode}), true)
	}
}

func (d *dir) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = syscall.S_IFDIR | 0o700
	return 0
}

func (d *dir) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.begin(Op{Create, name, true}); errno != 0 {
		return nil, nil, 0, errno
	}
	child := loaded(d.fs, fs.FileMode(mode).Perm(), nil)
	child.name = name
	child.attributes(&out.Attr)
	d.now[name] = child
	d.changed()
	return d.NewPersistentInode(ctx, child, fusefs.StableAttr{Mode: syscall.S_IFREG}), nil, 0, 0
}

func (d *dir) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.begin(Op{Mkdir, name, true}); errno != 0 {
		return nil, errno
	}
	child := newDir(d.fs)
	child.name = name
	out.Mode = syscall.S_IFDIR | 0o700
	d.now[name] = child
	d.changed()
	return d.NewPersistentInode(ctx, child, fusefs.StableAttr{Mode: syscall.S_IFDIR}), 0
}

func (d *dir) Unlink(_ context.Context, name string) syscall.Errno { return d.remove(name) }

func (d *dir) Rmdir(_ context.Context, name string) syscall.Errno { return d.remove(name) }

func (d *dir) remove(name string) syscall.Errno {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if child, ok := d.now[name].(*dir); ok && len(child.now) > 0 {
		return syscall.ENOTEMPTY
	}
	if errno := d.fs.begin(Op{Kind: Remove, Name: name}); errno != 0 {
		return errno
	}
	delete(d.now, name)
	d.changed()
	return 0
}

func (d *dir) Rename(_ context.Context, name string, to fusefs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if to != fusefs.InodeEmbedder(d) || flags != 0 {
		return syscall.EXDEV
	}
	if errno := d.fs.begin(Op{Kind: Rename, Name: newName}); errno != 0 {
		return errno
	}
	child := d.now[name]
	if f, ok := child.(*file); ok {
		f.name = newName
	}
	delete(d.now, name)
	d.now[newName] = child
	d.changed()
	return 0
}

func (d *dir) Fsync(context.Context, fusefs.FileHandle, uint32) syscall.Errno {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if errno := d.fs.begin(Op{Kind: SyncNames, Name: d.name}); errno != 0 {
		return errno
	}
	d.synced()
	return 0
}
