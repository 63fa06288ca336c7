package host

import (
	"bytes"
	"strings"
)

// pattern is a text with stars, taken apart at them.
type pattern struct {
	exact          bool // there is no star: all of it is the prefix
	prefix, suffix []byte
	middle         [][]byte
	// What most texts are refused by at once: the letters that one must have, and its
	// first and last character, where they are given.
	letters     letters
	first, last byte
}

// letters is a set of ASCII characters.
type letters [2]uint64

func lettersOf(b []byte) (set letters) {
	for _, c := range b {
		if c < 128 {
			set[c/64] |= 1 << (c % 64)
		}
	}
	return set
}

// anything is the letters of a text that were not looked at.
var anything = letters{^uint64(0), ^uint64(0)}

func (set letters) within(other letters) bool {
	return set[0]&^other[0] == 0 && set[1]&^other[1] == 0
}

// patterns match where one of them does.
type patterns []pattern

// compile takes patterns apart; those that match in any case are compared with texts
// in lower case.
func compile(list []string, anyCase bool) (ps patterns) {
	for _, text := range list {
		b := []byte(text)
		if anyCase {
			lower(b, b)
		}
		parts := bytes.Split(b, []byte("*"))
		p := pattern{exact: len(parts) == 1, prefix: parts[0], suffix: parts[len(parts)-1]}
		if !p.exact {
			for _, part := range parts[1 : len(parts)-1] {
				if len(part) > 0 {
					p.middle = append(p.middle, part)
				}
			}
		}
		p.letters = lettersOf(bytes.ReplaceAll(b, []byte("*"), nil))
		if len(p.prefix) > 0 {
			p.first = p.prefix[0]
		}
		if n := len(p.suffix); n > 0 {
			p.last = p.suffix[n-1]
		}
		ps = append(ps, p)
	}
	return ps
}

// match tells whether a text that is known, with what letters, matches one of the
// patterns.
func (ps patterns) match(s []byte, has letters) bool {
	if len(s) == 0 {
		return false
	}
	first, last := s[0], s[len(s)-1]
	for i := range ps {
		p := &ps[i]
		if p.first != 0 && p.first != first || p.last != 0 && p.last != last || !p.letters.within(has) {
			continue
		}
		if p.match(s) {
			return true
		}
	}
	return false
}

// match finds each part at the first place where it is, behind the one before: if that
// leaves no room for the next, no other place does.
func (p *pattern) match(s []byte) bool {
	if p.exact {
		return bytes.Equal(s, p.prefix)
	}
	if len(s) < len(p.prefix)+len(p.suffix) || !bytes.HasPrefix(s, p.prefix) || !bytes.HasSuffix(s, p.suffix) {
		return false
	}
	s = s[len(p.prefix) : len(s)-len(p.suffix)]
	for _, part := range p.middle {
		i := bytes.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// lower copies text in lower case, ASCII's letters alone, as far as there is room.
func lower(into, text []byte) {
	for i := range into {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		into[i] = c
	}
}

// all tells whether a pattern matches everything.
func all(text string) bool { return strings.Trim(text, "*") == "" }
