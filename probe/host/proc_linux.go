package host

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// table reads processes out of /proc.
type table struct {
	root  string            // "/proc"
	names map[uint32][]byte // of users, as many as were seen
	room  [MaxArgs]byte
}

const maxNames = 1024

// look reads what is known of a process that runs. The error is that of who may not
// look, or of a process that has ended already.
func (t *table) look(pid uint32) (p Process, err error) {
	folder := filepath.Join(t.root, strconv.FormatUint(uint64(pid), 10))
	if p.Exe, p.Deleted, err = program(folder); err != nil {
		return p, err
	}
	status, err := t.read(filepath.Join(folder, "status"))
	if err != nil {
		return p, err
	}
	uid, known := number(field(status, "Uid:"))
	parent, _ := number(field(status, "PPid:"))
	if !known {
		return p, errors.New("no Uid in " + folder + "/status")
	}
	p.UID, p.User = uid, t.name(uid)
	if parent > 0 {
		// Who has ended meanwhile, or may not be looked at, is not known.
		p.Parent, _, _ = program(filepath.Join(t.root, strconv.FormatUint(uint64(parent), 10)))
	}
	args, err := t.read(filepath.Join(folder, "cmdline"))
	if err != nil {
		return p, err
	}
	args = bytes.TrimRight(args, "\x00")
	for i, c := range args {
		if c == 0 {
			args[i] = ' '
		}
	}
	p.Args = args
	return p, nil
}

// program is what a process runs. The kernel marks a file without a name.
func program(folder string) (exe []byte, deleted bool, err error) {
	path, err := os.Readlink(filepath.Join(folder, "exe"))
	if err != nil {
		return nil, false, err
	}
	exe, deleted = bytes.CutSuffix([]byte(path), []byte(" (deleted)"))
	return exe, deleted, nil
}

// read reads the beginning of a file, valid until the next one is read.
func (t *table) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, t.room[:])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return t.room[:n], err
}

// field is the first word behind a name that begins a line of a status file. What a
// process calls itself stands there without line endings.
func field(status []byte, name string) []byte {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			word, _, _ := bytes.Cut(bytes.TrimLeft(rest, " \t"), []byte("\t"))
			return bytes.TrimSpace(word)
		}
	}
	return nil
}

func number(b []byte) (uint32, bool) {
	n, err := strconv.ParseUint(string(b), 10, 32)
	return uint32(n), err == nil
}

// name is that of a user, nothing for one who has none.
func (t *table) name(uid uint32) []byte {
	name, known := t.names[uid]
	if !known && len(t.names) < maxNames {
		if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			name = []byte(u.Username)
		}
		t.names[uid] = name
	}
	return name
}

// running calls fn with the number of every process.
func (t *table) running(fn func(pid uint32)) error {
	folder, err := os.Open(t.root)
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		names, err := folder.Readdirnames(256)
		for _, name := range names {
			if pid, ok := number([]byte(name)); ok {
				fn(pid)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// gone tells whether a process had ended when it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoProcess)
}
