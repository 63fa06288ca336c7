package follow

import (
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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

// number returns one more than the number that a suffix consists of, since some
// count from 0, and 0 for a date or none.
func number(suffix string) int {
	n, err := strconv.ParseUint(strings.TrimLeft(suffix, "-._"), 10, 10)
	if err != nil {
		return 0
	}
	return int(n) + 1
}

// rising reports whether a higher number means a newer file, as some tools have
// it, and not an older one, as with logrotate. The times tell: those of most
// neighbours, as a single one may have been set, or moved by a late writer.
func rising(list []entry) bool {
	numbered := slices.DeleteFunc(slices.Clone(list), func(e entry) bool { return e.age == 0 })
	slices.SortFunc(numbered, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.age, b.age), cmp.Compare(a.modified, b.modified))
	})
	votes := 0
	for i, e := range numbered {
		if i > 0 && e.age != numbered[i-1].age {
			votes += cmp.Compare(e.modified, numbered[i-1].modified)
		}
	}
	return votes > 0
}

// before reports whether a was rotated before b: by their names where these
// tell, since clocks can be set, and else by when they were last written to.
func (a entry) before(b entry) bool {
	if a.live || b.live {
		return b.live && !a.live
	}
	switch {
	case a.age != 0 && b.age != 0 && a.age != b.age:
		return a.age > b.age
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
		// Where numbers and times disagree, rather none than one read again.
		again := e.age != 0 && self.age != 0 && e.modified < self.modified
		return e.id == self.id || !e.live && e.suffix == "" || !self.before(e) || again
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
