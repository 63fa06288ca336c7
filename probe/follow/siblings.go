package follow

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// entry is a file beside the log, or the log itself.
type entry struct {
	name     string
	id       identity
	size     int64
	modified int64 // Unix nanoseconds
	live     bool  // bears the log's name
	kin      bool  // its name begins with the log's
	// suffix is what rotation put behind the log's name, empty where the rest
	// of the name does not look like that.
	suffix     string
	compressed bool
	// age is the number in the suffix, so that a higher one is older, and 0 if
	// there is none. It is negative where rotation counts upward.
	age int
}

// place is a directory with the log's name in it.
type place struct{ dir, base string }

// places returns where the log and its predecessors lie: at the path and, if
// that is a symbolic link, where it leads.
func places(path string) []place {
	at := func(p string) place { return place{filepath.Dir(p), filepath.Base(p)} }
	real, err := filepath.EvalSymlinks(path)
	if err != nil { // the link may lead nowhere for a moment
		if real, err = os.Readlink(path); err != nil {
			return []place{at(path)}
		}
		if !filepath.IsAbs(real) {
			real = filepath.Join(filepath.Dir(path), real)
		}
	}
	return slices.Compact([]place{at(path), at(real)})
}

// siblings lists the log and the files beside it, each once. Renaming goes on
// while it looks, so it looks until it sees the same twice.
func siblings(path string) ([]entry, error) {
	list, err := look(path)
	for range 10 {
		before := list
		if list, err = look(path); err != nil || slices.EqualFunc(before, list, func(a, b entry) bool {
			return a.name == b.name && a.id == b.id
		}) {
			break
		}
	}
	return list, err
}

func look(path string) ([]entry, error) {
	var list []entry
	seen := make(map[identity]bool)
	add := func(name string, info fs.FileInfo, rest string, kin bool) {
		e := entry{name: name, id: identify(info), size: info.Size(), modified: info.ModTime().UnixNano(), live: name == path, kin: kin}
		if info.Mode().IsRegular() && !seen[e.id] {
			seen[e.id] = true
			e.suffix, e.compressed = rotationSuffix(rest)
			e.age = number(e.suffix)
			list = append(list, e)
		}
	}
	info, err := os.Stat(path)
	switch {
	case err == nil:
		add(path, info, "", true)
	case !os.IsNotExist(err):
		return nil, err
	}
	for _, p := range places(path) {
		files, err := os.ReadDir(p.dir)
		if starved(err) { // otherwise a directory may be closed to us while the log in it is open
			return nil, err
		}
		for _, file := range files {
			name := filepath.Join(p.dir, file.Name())
			if info, err := file.Info(); err == nil && name != path {
				rest, kin := strings.CutPrefix(file.Name(), p.base)
				add(name, info, rest, kin)
			}
		}
	}
	if rising(list) {
		for i := range list {
			list[i].age *= -1
		}
	}
	return list, nil
}

// find returns the file that pos was taken in, whatever its name is now.
func find(list []entry, pos Position) (entry, bool, error) {
	for _, e := range list {
		if e.id == pos.identity() {
			head, err := readHead(e.name)
			if err != nil && (e.live || starved(err)) {
				return e, false, err // it may become readable
			}
			if err == nil && pos.headIn(head, e.size) {
				return e, true, nil
			}
		}
	}
	return findCopy(list, pos)
}

// findCopy returns a file with the contents that pos was taken in: copytruncate
// makes one, and so does a device that gets another number at boot.
func findCopy(list []entry, pos Position) (found entry, ok bool, err error) {
	if pos.Offset == 0 {
		return entry{}, false, nil
	}
	for _, e := range list {
		if e.id == pos.identity() || !e.kin || e.compressed || e.modified < pos.Modified || ok && e.before(found) {
			continue
		}
		head, err := readHead(e.name)
		if starved(err) {
			return entry{}, false, err
		}
		if err == nil && pos.headIn(head, e.size) {
			found, ok = e, true
		}
	}
	return found, ok, nil
}

// starved says that a file could not be opened because too many others are: no
// reason to think it lost.
func starved(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

func readHead(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, headSize))
}
