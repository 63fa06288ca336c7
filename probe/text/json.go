package text

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is a JSON value (RFC 8259) as it stands in a line. Reading one copies nothing but
// texts that have escapes in them, and allocates nothing.
//
// What is read is found by the grammar, so nothing inside a string is ever taken for a
// field. What is passed over is only balanced: strings, brackets, words.
type Value []byte

var (
	errJSON     = errors.New("malformed JSON")
	errObject   = errors.New("want a JSON object")
	errArray    = errors.New("want a JSON array")
	errTrailing = errors.New("there is more behind the JSON object")
)

// Fields finds members of an object: values[i] is that of names[i], nil where there is
// none. A field that is there twice is an error, because readers differ about which
// one counts, and so is anything behind the object. Names are compared as they stand: one that is
// written with escapes is none of ours.
func (v Value) Fields(names []string, values []Value) error {
	clear(values)
	b := skipSpace(v)
	if len(b) == 0 || b[0] != '{' {
		return errObject
	}
	b = skipSpace(b[1:])
	if len(b) > 0 && b[0] == '}' {
		return onlySpace(b[1:])
	}
	for {
		end := stringEnd(b)
		if end < 0 {
			return errJSON
		}
		name := b[1 : end-1]
		if b = skipSpace(b[end:]); len(b) == 0 || b[0] != ':' {
			return errJSON
		}
		b = skipSpace(b[1:])
		if end = valueEnd(b); end < 0 {
			return errJSON
		}
		for i, n := range names {
			if string(name) == n {
				if values[i] != nil {
					return fmt.Errorf("the field %q is there twice", n)
				}
				values[i] = Value(b[:end])
				break
			}
		}
		if b = skipSpace(b[end:]); len(b) == 0 {
			return errJSON
		}
		switch b[0] {
		case '}':
			return onlySpace(b[1:])
		case ',':
			b = skipSpace(b[1:])
		default:
			return errJSON
		}
	}
}

// Elements calls yield with each element of an array, until it returns false.
func (v Value) Elements(yield func(Value) bool) error {
	b := skipSpace(v)
	if len(b) == 0 || b[0] != '[' {
		return errArray
	}
	if b = skipSpace(b[1:]); len(b) > 0 && b[0] == ']' {
		return onlySpace(b[1:])
	}
	for {
		end := valueEnd(b)
		if end < 0 {
			return errJSON
		}
		if !yield(Value(b[:end])) {
			return nil
		}
		if b = skipSpace(b[end:]); len(b) == 0 {
			return errJSON
		}
		switch b[0] {
		case ']':
			return onlySpace(b[1:])
		case ',':
			b = skipSpace(b[1:])
		default:
			return errJSON
		}
	}
}

// Text returns what a string says; ok is false for what is none, and for escapes that
// do not exist. Where there are escapes, the text is appended to the buffer, which
// must not be emptied while it is in use.
func (v Value) Text(buffer *[]byte) (s []byte, ok bool) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return nil, false
	}
	s = v[1 : len(v)-1]
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return s, true
	}
	start := len(*buffer)
	b := *buffer
	for i >= 0 {
		b = append(b, s[:i]...)
		var r rune
		if r, s, ok = unescape(s[i+1:]); !ok {
			return nil, false
		}
		b = utf8.AppendRune(b, r)
		i = bytes.IndexByte(s, '\\')
	}
	*buffer = append(b, s...)
	return (*buffer)[start:], true
}

// unescape reads what follows a backslash. Half of a surrogate pair is the replacement
// character, as in encoding/json.
func unescape(b []byte) (r rune, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	switch b[0] {
	case '"', '\\', '/':
		return rune(b[0]), b[1:], true
	case 'b':
		return '\b', b[1:], true
	case 'f':
		return '\f', b[1:], true
	case 'n':
		return '\n', b[1:], true
	case 'r':
		return '\r', b[1:], true
	case 't':
		return '\t', b[1:], true
	case 'u':
		if r, ok = hex4(b[1:]); !ok {
			return 0, nil, false
		}
		b = b[5:]
		if utf16.IsSurrogate(r) {
			if low, ok := CutPrefix(b, `\u`); ok {
				if second, ok := hex4(low); ok {
					if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
						return pair, low[4:], true
					}
				}
			}
			r = utf8.RuneError
		}
		return r, b, true
	}
	return 0, nil, false
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		d, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

func hexDigit(c byte) (d byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// Int returns an integer.
func (v Value) Int() (n int64, ok bool) {
	b, negative := CutPrefix(v, "-")
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// Port returns a port number, zero where it is none.
func (v Value) Port() uint16 {
	n, _ := Port(v)
	return n
}

// Float returns a number.
func (v Value) Float() (float64, bool) {
	if len(v) == 0 || len(v) > 40 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// True tells whether the value is the word true.
func (v Value) True() bool { return string(v) == "true" }

func skipSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func onlySpace(b []byte) error {
	if len(skipSpace(b)) > 0 {
		return errTrailing
	}
	return nil
}

// stringEnd returns the length of the string that b begins with; -1 if there is none.
func stringEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for at, quote := 1, 0; ; {
		if quote < at {
			i := bytes.IndexByte(b[at:], '"')
			if i < 0 {
				return -1
			}
			quote = at + i
		}
		i := bytes.IndexByte(b[at:quote], '\\')
		if i < 0 {
			return quote + 1
		}
		at += i + 2 // an escaped quote is behind the one that was found, which is looked for anew
	}
}

// valueEnd returns the length of the value that b begins with; -1 if there is none.
func valueEnd(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	if b[0] == '"' {
		return stringEnd(b)
	}
	if b[0] != '{' && b[0] != '[' {
		n := wordEnd(b)
		if n == 0 {
			return -1
		}
		return n
	}
	depth := 0
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			n := stringEnd(b[i:])
			if n < 0 {
				return -1
			}
			i += n
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// wordEnd returns the length of a number, or of true, false or null.
func wordEnd(b []byte) (n int) {
	for n < len(b) && (b[n] >= '0' && b[n] <= '9' || b[n] >= 'a' && b[n] <= 'z' || b[n] == '-' || b[n] == '+' || b[n] == '.' || b[n] == 'E') {
		n++
	}
	return n
}
