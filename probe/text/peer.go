package text

import (
	"bytes"

	"github.com/komondor/komondor/event"
)

// Named reads "NAME[IP]" or "NAME [IP]", where the name is one that the daemon looked up,
// without blanks or brackets, or is missing, and ":PORT" can follow.
func Named(b []byte) (e event.Endpoint, rest []byte, ok bool) {
	open := bytes.IndexByte(b[:min(len(b), 300)], '[')
	if open < 0 {
		return e, nil, false
	}
	name := b[:open]
	if open > 0 && name[open-1] == ' ' {
		name = name[:open-1]
	}
	if bytes.IndexByte(name, ' ') >= 0 || bytes.IndexByte(name, '(') >= 0 {
		return e, nil, false
	}
	return InBrackets(b[open:])
}

// InBrackets reads "[IP]" or "[IP]:PORT".
func InBrackets(b []byte) (e event.Endpoint, rest []byte, ok bool) {
	end := bytes.IndexByte(b[:min(len(b), 80)], ']')
	if end < 0 || b[0] != '[' {
		return e, nil, false
	}
	e.Addr, ok = Address(b[1:end])
	rest = b[end+1:]
	if len(rest) > 1 && rest[0] == ':' && rest[1] >= '0' && rest[1] <= '9' {
		var port []byte
		port, rest = Digits(rest[1:])
		if e.Port, ok = Port(port); !ok {
			return e, nil, false
		}
	}
	return e, rest, ok && e.Addr.IsValid()
}

// HostPort reads "IP:PORT", where IPv6 may be bracketed or not, or an IPv4 address alone,
// that fills b.
func HostPort(b []byte) (e event.Endpoint, ok bool) {
	host, port, ok := CutLastByte(b, ':')
	if !ok {
		e.Addr, ok = Address(b)
		return e, ok
	}
	if e.Port, ok = Port(port); !ok {
		return e, false
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	e.Addr, ok = Address(host)
	return e, ok
}
