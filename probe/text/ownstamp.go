package text

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// OwnStamp splits a line of a log without a syslog header after its timestamp:
//
//	2006-01-02 15:04:05[.000][ +0000| UTC]
//	2006/01/02 15:04:05
//	02-Jan-2006 15:04:05.000
//	Jan _2 15:04:05
//	@4000000037c219bf2ef02e94 (TAI64N, as daemontools writes it)
//
// It sets Stamp and ISO and returns what follows the blank behind the timestamp.
func (m *Message) OwnStamp(line []byte) (rest []byte, ok bool) {
	const iso, traditional = len("2006-01-02 15:04:05"), len("Jan _2 15:04:05")
	switch {
	case len(line) > iso && line[4] == '-' && line[7] == '-' && (line[10] == ' ' || line[10] == 'T') && line[13] == ':':
		end := iso
		if line[end] == '.' || line[end] == ',' {
			for end++; end < len(line) && line[end] >= '0' && line[end] <= '9'; {
				end++
			}
		}
		m.ISO, m.Stamp = true, line[:end]
		rest = line[end:]
		switch {
		case len(rest) > 6 && rest[0] == ' ' && (rest[1] == '+' || rest[1] == '-') && rest[6] == ' ':
			m.Stamp, rest = append(append(m.stamp[:0], line[:min(end, iso+10)]...), rest[1:6]...), rest[6:]
		case bytes.HasPrefix(rest, []byte(" UTC")), bytes.HasPrefix(rest, []byte(" GMT")):
			m.Stamp, rest = append(append(m.stamp[:0], line[:min(end, iso+10)]...), 'Z'), rest[4:]
		case len(rest) > 0 && rest[0] == 'Z':
			m.Stamp, rest = line[:end+1], rest[1:]
		case len(rest) > 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
			m.Stamp, rest = line[:end+6], rest[6:]
		}
		return rest, true
	case len(line) > iso && line[4] == '/' && line[7] == '/' && line[10] == ' ' && line[13] == ':':
		m.ISO, m.Stamp = true, append(m.stamp[:0], line[:iso]...)
		m.Stamp[4], m.Stamp[7] = '-', '-'
		return line[iso:], true
	case len(line) > traditional && line[3] == ' ' && line[9] == ':' && line[traditional] == ' ':
		m.Stamp = line[:traditional]
		return line[traditional+1:], true
	case len(line) > 25 && line[0] == '@' && line[25] == ' ':
		var label [12]byte
		if _, err := hex.Decode(label[:], line[1:25]); err != nil || label[0] != 0x40 {
			return nil, false
		}
		at := time.Unix(int64(binary.BigEndian.Uint64(label[:8])-1<<62-10), int64(binary.BigEndian.Uint32(label[8:])%1e9)) // TAI was 10 s ahead in 1970
		m.ISO, m.Stamp = true, at.UTC().AppendFormat(m.stamp[:0], "2006-01-02T15:04:05.000000Z")
		return line[26:], len(m.Stamp) < len(m.stamp)
	case len(line) > 24 && line[2] == '-' && line[6] == '-' && line[11] == ' ' && line[14] == ':':
		end := bytes.IndexByte(line[12:min(len(line), 40)], ' ')
		month := MonthOf(line[3:6])
		if end < 0 || month == 0 {
			return nil, false
		}
		s := append(m.stamp[:0], line[7:11]...)
		s = append(s, '-', '0'+byte(month/10), '0'+byte(month%10), '-')
		s = append(s, line[:2]...)
		s = append(s, 'T')
		m.ISO, m.Stamp = true, append(s, line[12:min(12+end, 12+15)]...)
		return line[12+end+1:], true
	}
	return nil, false
}
