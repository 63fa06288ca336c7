package web

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func proxyManagerFormat() text.Format {
	return text.Format{
		Name:    "nginx-proxy-manager",
		Aliases: []string{"npm"},
		About:   "access logs of Nginx Proxy Manager (proxy-host-N_access.log)",
		New:     func(c text.Clock) text.Parser { return &proxyManagerParser{} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r proxyManagerRecord
			return r.split(line)
		}),
	}
}

type proxyManagerParser struct {
	clock  text.CommonClock
	buffer []byte
}

func (p *proxyManagerParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r proxyManagerRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	p.buffer = append(append(p.buffer[:0], r.method...), ' ')
	p.buffer = append(append(p.buffer, r.request...), " HTTP/"...)
	r.request = p.buffer
	what, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	r.request = bytes.TrimSuffix(r.request, []byte(" HTTP/"))
	source := event.Endpoint{}
	if source.Addr, ok = text.Address(r.host); !ok {
		return ev, false, nil
	}
	at, err := p.clock.Read(r.stamp)
	if err != nil {
		return ev, false, text.Malformed("nginx-proxy-manager", line.Bytes, err)
	}
	return r.event(what, "nginx-proxy-manager", source, at, line), true, nil
}

// Flush has nothing to return: every request is one line.
func (p *proxyManagerParser) Flush() (ev event.Event, ok bool, err error) { return }

// proxyManagerRecord is "[02/Jan/2006:15:04:05 -0700] CACHE UPSTREAM STATUS - METHOD SCHEME HOST "TARGET"
// [Client IP] [Length N] …". nginx takes no host with blanks or quotes, and escapes
// quotes in the target.
type proxyManagerRecord struct {
	webRecord
	method []byte
}

func (r *proxyManagerRecord) split(line []byte) bool {
	const stamp = len("02/Jan/2006:15:04:05 -0700")
	if len(line) < stamp+20 || line[0] != '[' || line[1+stamp] != ']' {
		return false
	}
	r.stamp = line[1 : 1+stamp]
	var fields [7][]byte // cache, upstream's status, status, a dash, method, scheme, host
	rest := text.TrimBlanks(line[2+stamp:])
	for i := range fields {
		var ok bool
		if fields[i], rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return false
		}
	}
	target, ok := text.CutPrefix(rest, `"`)
	if !ok || string(fields[3]) != "-" || len(fields[2]) != 3 {
		return false
	}
	end := closingQuote(target)
	if end < 0 {
		return false
	}
	client, ok := text.CutPrefix(target[end+1:], " [Client ")
	if !ok {
		return false
	}
	r.request, r.method = target[:end], fields[4]
	if r.host, _, ok = bytes.Cut(client, []byte("]")); !ok {
		return false
	}
	r.status, ok = text.Number(fields[2])
	return ok
}
