package web

import (
	"bytes"
	"errors"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func iisFormat() text.Format {
	return text.Format{
		Name:      "iis",
		Aliases:   []string{"w3c"},
		About:     "access logs of Microsoft IIS in the W3C extended format",
		New:       func(c text.Clock) text.Parser { return &iisParser{} },
		Recognise: recogniseIIS,
	}
}

func recogniseIIS(sample []byte) int {
	var fields iisFields
	return text.EachLine(func(line []byte) bool {
		if len(line) == 0 || line[0] == '#' {
			fields.header(line)
			return false
		}
		var r iisRecord
		return fields.known() && fields.row(line, &r) == nil
	})(sample)
}

type iisParser struct {
	fields iisFields
	buffer []byte
}

// Begin reads which field is which, where reading goes on behind that.
func (p *iisParser) Begin(head []byte) {
	for line := range bytes.Lines(head) {
		p.fields.header(bytes.TrimRight(line, "\r\n"))
	}
}

var errIISFields = errors.New("no #Fields line before it that names date, time, c-ip, cs-method, cs-uri-stem and sc-status")

func (p *iisParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	b := bytes.TrimSuffix(line.Bytes, []byte("\r"))
	if len(b) == 0 || b[0] == '#' {
		p.fields.header(b)
		return ev, false, nil
	}
	if !p.fields.known() {
		return ev, false, text.Malformed("iis", b, errIISFields)
	}
	var f iisRecord
	if err := p.fields.row(b, &f); err != nil {
		return ev, false, text.Malformed("iis", b, err)
	}
	r := webRecord{user: f[iisUser]}
	if r.status, ok = text.Number(f[iisStatus]); !ok {
		return ev, false, nil
	}
	p.buffer = append(append(p.buffer[:0], f[iisMethod]...), ' ')
	p.buffer = append(p.buffer, f[iisStem]...)
	if query := f[iisQuery]; len(query) > 0 && string(query) != "-" {
		p.buffer = append(append(p.buffer, '?'), query...)
	}
	const version = " HTTP/1.1" // which is not written by default
	p.buffer = append(p.buffer, version...)
	r.request = p.buffer
	what, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	source := event.Endpoint{}
	if source.Addr, ok = text.Address(f[iisClient]); !ok {
		return ev, false, nil
	}
	var stamp [20]byte
	if len(f[iisDate]) != 10 || len(f[iisTime]) != 8 {
		return ev, false, text.Malformed("iis", b, text.ErrTimestamp)
	}
	copy(stamp[:], f[iisDate])
	stamp[10], stamp[19] = 'T', 'Z'
	copy(stamp[11:], f[iisTime])
	at, err := text.Clock{}.ISO(stamp[:])
	if err != nil {
		return ev, false, text.Malformed("iis", b, err)
	}
	r.request = r.request[:len(r.request)-len(version)]
	return r.event(what, "iis", source, at, line), true, nil
}

// Flush has nothing to return: every request is one line.
func (p *iisParser) Flush() (ev event.Event, ok bool, err error) { return }

const (
	iisDate = iota
	iisTime
	iisClient
	iisUser
	iisMethod
	iisStem
	iisQuery
	iisStatus
	iisWanted
)

var iisNames = []string{"date", "time", "c-ip", "cs-username", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status"}

type iisRecord [iisWanted][]byte

// iisFields is what "#Fields: date time …" says. Values have no blanks: IIS writes them as
// plus signs.
type iisFields struct {
	columns []int8 // for each, which of the wanted fields it is; -1 for none
}

const maxIISFields = 100

func (t *iisFields) header(line []byte) {
	rest, ok := text.CutPrefix(line, "#Fields: ")
	if !ok {
		return
	}
	t.columns = t.columns[:0]
	seen := 0
	for len(rest) > 0 && len(t.columns) < maxIISFields {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte(" "))
		t.columns = append(t.columns, -1)
		for i, n := range iisNames {
			if string(field) == n {
				t.columns[len(t.columns)-1] = int8(i)
				seen |= 1 << i
			}
		}
	}
	if needed := 1<<iisDate | 1<<iisTime | 1<<iisClient | 1<<iisMethod | 1<<iisStem | 1<<iisStatus; seen&needed != needed {
		t.columns = nil
	}
}

func (t *iisFields) known() bool { return len(t.columns) > 0 }

var errIISColumns = errors.New("not as many values as the #Fields line names")

func (t *iisFields) row(b []byte, r *iisRecord) error {
	for i, column := range t.columns {
		at := bytes.IndexByte(b, ' ')
		value := b
		if last := i == len(t.columns)-1; (at < 0) != last {
			return errIISColumns
		}
		if at >= 0 {
			value, b = b[:at], b[at+1:]
		}
		if column >= 0 {
			r[column] = value
		}
	}
	return nil
}
