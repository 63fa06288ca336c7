package zeek

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/komondor/komondor/probe/text"
)

// table is what the header of a tab-separated log says: "#separator \x09", "#unset_field -",
// "#fields ts uid …". Zeek escapes the separator inside of values, so that no value
// is ever taken for two.
type table struct {
	separator byte
	unset     []byte
	known     bool
	columns   []int8 // for each column, which of the wanted fields it is; -1 for none
}

// maxColumns is more than any log of Zeek's has.
const maxColumns = 200

func (t *table) header(line []byte) {
	if s, ok := text.CutPrefix(line, "#separator "); ok {
		t.separator = '\t'
		if code, ok := text.CutPrefix(s, `\x`); ok {
			if n, err := strconv.ParseUint(string(code[:min(len(code), 2)]), 16, 8); err == nil {
				t.separator = byte(n)
			}
		}
		t.known = false
		return
	}
	if t.separator == 0 {
		t.separator = '\t'
	}
	name, rest, ok := bytes.Cut(line, []byte{t.separator})
	if !ok {
		return
	}
	switch string(name) {
	case "#unset_field":
		t.unset = bytes.Clone(rest[:min(len(rest), 16)])
	case "#fields":
		t.columns, t.known = t.columns[:0], true
		last := 0
		for len(rest) > 0 && len(t.columns) < maxColumns {
			var field []byte
			field, rest, _ = bytes.Cut(rest, []byte{t.separator})
			t.columns = append(t.columns, -1)
			for i, n := range names {
				if string(field) == n {
					t.columns[len(t.columns)-1], last = int8(i), len(t.columns)
				}
			}
		}
		t.columns = t.columns[:last] // the rest of a row need not be looked at
	}
}

var errColumns = errors.New("fewer values than the #fields line names")

func (t *table) row(b []byte, r *record) error {
	for i, column := range t.columns {
		n := bytes.IndexByte(b, t.separator)
		value := b
		if n < 0 && i < len(t.columns)-1 {
			return errColumns
		}
		if n >= 0 {
			value, b = b[:n], b[n+1:]
		}
		if column >= 0 && string(value) != string(t.unset) {
			r[column] = value
		}
	}
	return nil
}
