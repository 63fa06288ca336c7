package follow

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
		files, _ := os.ReadDir(p.dir) // a directory may be closed to us while the log in it is open
		for _, file := range files {
			name := filepath.Join(p.dir, file.Name())
			if info, err := file.Info(); err == nil && name != path {
				rest, kin := strings.CutPrefix(file.Name(), p.base)
				add(name, info, rest, kin)
			}
		}
	}
	return list, nil
}

var rotated = regexp.MustCompile(`^([-._]\d[-._:T\d]*|\.old)$`)

// rotationSuffix tells ".1", "-20261122", ".2026-11-22T10" and ".old" from what
// merely begins with the log's name.
func rotationSuffix(rest string) (suffix string, compressed bool) {
	stem := rest
	switch filepath.Ext(rest) {
	case ".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z":
		stem, compressed = strings.TrimSuffix(rest, filepath.Ext(rest)), true
	}
	if rotated.MatchString(stem) {
		return stem, compressed
	}
	return "", compressed
}

// before reports whether a was rotated before b: by their names where these
// tell, since clocks can be set, and else by when they were last written to.
func (a entry) before(b entry) bool {
	if a.live || b.live {
		return b.live && !a.live
	}
	m, errM := strconv.ParseUint(strings.TrimLeft(a.suffix, "-._"), 10, 10)
	n, errN := strconv.ParseUint(strings.TrimLeft(b.suffix, "-._"), 10, 10)
	switch {
	case errM == nil && errN == nil && m != n:
		return m > n // counters: the higher, the older
	case len(a.suffix) > 4 && len(a.suffix) == len(b.suffix) && a.suffix != b.suffix:
		return a.suffix < b.suffix // dates
	}
	return a.modified < b.modified
}

// successors returns the files that are newer than the one at pos, which need
// not exist any more, oldest first.
func successors(list []entry, pos Position) []entry {
	self := entry{id: pos.identity(), modified: pos.Modified}
	for _, e := range list {
		if e.id == self.id {
			self = e
		}
	}
	newer := slices.DeleteFunc(slices.Clone(list), func(e entry) bool {
		return e.id == self.id || !e.live && e.suffix == "" || !self.before(e)
	})
	slices.SortStableFunc(newer, func(a, b entry) int {
		switch {
		case a.before(b):
			return -1
		case b.before(a):
			return 1
		}
		return 0
	})
	return newer
}

// find returns the file that pos was taken in, whatever its name is now.
func find(list []entry, pos Position) (entry, bool, error) {
	for _, e := range list {
		if e.id == pos.identity() {
			head, err := readHead(e.name)
			if err != nil && e.live {
				return e, false, err // it may become readable
			}
			if err == nil && pos.headIn(head, e.size) {
				return e, true, nil
			}
		}
	}
	e, ok := findCopy(list, pos)
	return e, ok, nil
}

// findCopy returns a file with the contents that pos was taken in: copytruncate
// makes one, and so does a device that gets another number at boot.
func findCopy(list []entry, pos Position) (found entry, ok bool) {
	if pos.Offset == 0 {
		return entry{}, false
	}
	for _, e := range list {
		if e.id == pos.identity() || !e.kin || e.compressed || e.modified < pos.Modified || ok && e.before(found) {
			continue
		}
		if head, err := readHead(e.name); err == nil && pos.headIn(head, e.size) {
			found, ok = e, true
		}
	}
	return found, ok
}

func readHead(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, headSize))
}
