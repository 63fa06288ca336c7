package powercut

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// after cuts the power when use has used the files below a directory, which are
// those of from, and returns the directory with what has survived.
func after(t *testing.T, from string, seed uint64, use func(disk *FS, at string)) string {
	t.Helper()
	at, spared := t.TempDir(), t.TempDir()
	disk, err := Mount(at, from, seed)
	if Absent(err) {
		t.Skipf("no FUSE here: %v", err)
	}
	must(t, err)
	use(disk, at)
	disk.Cut()
	if err := os.WriteFile(filepath.Join(at, "late"), nil, 0o600); !errors.Is(err, syscall.EIO) {
		t.Errorf("written after the cut: %v", err)
	}
	must(t, disk.Close())
	must(t, disk.Survivors(spared))
	return spared
}

// overwrite writes a file from its beginning, and then uses it.
func overwrite(t *testing.T, path string, data []byte, use func(*os.File) error) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	_, err = file.WriteAt(data, 0)
	must(t, errors.Join(err, use(file), file.Close()))
}

func nothing(*os.File) error { return nil }

func syncNames(t *testing.T, path string) {
	t.Helper()
	folder, err := os.Open(path)
	must(t, err)
	must(t, errors.Join(folder.Sync(), folder.Close()))
}

func TestCut(t *testing.T) {
	before, written := bytes.Repeat([]byte("a"), 4*pageSize), bytes.Repeat([]byte("b"), 6*pageSize)
	from := t.TempDir()
	must(t, os.Mkdir(filepath.Join(from, "sub"), 0o700))
	for _, name := range []string{"sub/synced", "unsynced", "old name"} {
		must(t, os.WriteFile(filepath.Join(from, name), before, 0o600))
	}
	kept, dropped, torn, grown, named, renamed := 0, 0, 0, 0, 0, 0
	const seeds = 30
	for seed := range uint64(seeds) {
		use := func(_ *FS, at string) {
			overwrite(t, filepath.Join(at, "sub", "synced"), written, func(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) })
			overwrite(t, filepath.Join(at, "unsynced"), written, nothing)
			must(t, os.Rename(filepath.Join(at, "old name"), filepath.Join(at, "new name")))
			must(t, os.MkdirAll(filepath.Join(at, "made"), 0o700))
			syncNames(t, at)
			must(t, os.Rename(filepath.Join(at, "new name"), filepath.Join(at, "newer name")))
			overwrite(t, filepath.Join(at, "made", "unnamed"), written, (*os.File).Sync)
			if data, err := os.ReadFile(filepath.Join(at, "unsynced")); err != nil || !bytes.Equal(data, written) {
				t.Errorf("unsynchronised data cannot be read: %v", err)
			}
		}
		spared := after(t, from, seed, use)
		read := func(name string) []byte {
			data, err := os.ReadFile(filepath.Join(spared, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			return data
		}
		if !bytes.Equal(read("sub/synced"), written) {
			t.Errorf("seed %d: synchronised data are lost", seed)
		}
		if data := read("made/unnamed"); data != nil {
			named++
			if !bytes.Equal(data, written) {
				t.Errorf("seed %d: synchronised data of a new name are lost", seed)
			}
		}
		is, was := read("newer name") != nil, read("new name") != nil
		if is == was || read("old name") != nil {
			t.Errorf("seed %d: half a renaming", seed)
		}
		if is {
			renamed++
		}
		data := read("unsynced")
		if len(data) == len(written) {
			grown++
		}
		for page := range slices.Chunk(data[:len(before)], pageSize) {
			switch bytes.Count(page, []byte("b")) {
			case 0:
				dropped++
			case pageSize:
				kept++
			default:
				torn++
			}
		}
		again, err := os.ReadFile(filepath.Join(after(t, from, seed, use), "unsynced"))
		must(t, err)
		if !bytes.Equal(data, again) {
			t.Errorf("seed %d does not repeat", seed)
		}
	}
	for what, n := range map[string]int{"pages dropped": dropped, "pages kept": kept, "pages torn": torn} {
		if n == 0 {
			t.Errorf("no %s", what)
		}
	}
	for what, n := range map[string]int{"files grown": grown, "new names": named, "renamings": renamed} {
		if n == 0 || n == seeds {
			t.Errorf("%d %s of %d survive, want some", n, what, seeds)
		}
	}
}

// What a synchronisation has failed to write, the next one does not write either.
func TestFailedSyncIsNotRepeated(t *testing.T) {
	lost := 0
	for seed := range uint64(20) {
		from := t.TempDir()
		must(t, os.WriteFile(filepath.Join(from, "file"), make([]byte, pageSize), 0o600))
		data := bytes.Repeat([]byte("b"), pageSize)
		spared := after(t, from, seed, func(disk *FS, at string) {
			overwrite(t, filepath.Join(at, "file"), data, func(file *os.File) error {
				disk.Fail(Broken)
				if err := file.Sync(); !errors.Is(err, syscall.EIO) {
					t.Errorf("synchronised by a broken disk: %v", err)
				}
				disk.Fail(nil)
				return file.Sync()
			})
		})
		if now, err := os.ReadFile(filepath.Join(spared, "file")); err != nil || !bytes.Equal(now, data) {
			lost++
		}
	}
	if lost == 0 {
		t.Error("a synchronisation that failed was made good")
	}
}

// A full disk takes what it has room for already.
func TestFull(t *testing.T) {
	after(t, t.TempDir(), 1, func(disk *FS, at string) {
		overwrite(t, filepath.Join(at, "file"), make([]byte, pageSize), func(file *os.File) error {
			disk.Fail(Full)
			if _, err := file.WriteAt([]byte("b"), pageSize); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("grows on a full disk: %v", err)
			}
			_, err := file.WriteAt([]byte("b"), 0)
			return err
		})
	})
}
