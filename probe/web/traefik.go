package web

import (
	"bytes"
	"net/netip"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func traefikFormat() text.Format {
	return text.Format{
		Name:    "traefik",
		Aliases: []string{"traefik-json"},
		About:   "Traefik's access log in JSON; the one in common log format is web-access",
		New:     func(c text.Clock) text.Parser { return &traefikParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			return len(line) > 0 && line[0] == '{' && bytes.Contains(line, []byte(`"ClientHost":`)) && bytes.Contains(line, []byte(`"RequestPath":`))
		}),
	}
}

type traefikParser struct {
	clock   text.Clock
	proxies []netip.Prefix
	values  [8]text.Value
	buffer  []byte
}

// Trust has the clients of these proxies blamed in their place; see client.
func (p *traefikParser) Trust(proxies []netip.Prefix) { p.proxies = proxies }

// traefikFields are those of pkg/middlewares/accesslog/logdata.go.
var traefikFields = []string{
	"ClientHost", "ClientAddr", "ClientUsername", "RequestMethod", "RequestPath", "RequestProtocol", "DownstreamStatus", "StartUTC",
}

func (p *traefikParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if len(line.Bytes) == 0 || line.Bytes[0] != '{' {
		return ev, false, text.WantObject("traefik", line.Bytes)
	}
	if traefikQuiet(line.Bytes) {
		return ev, false, nil
	}
	if err := text.Value(line.Bytes).Fields(traefikFields, p.values[:]); err != nil {
		return ev, false, text.Malformed("traefik", line.Bytes, err)
	}
	p.buffer = p.buffer[:0]
	method, ok1 := p.values[3].Text(&p.buffer)
	path, ok2 := p.values[4].Text(&p.buffer)
	protocol, ok3 := p.values[5].Text(&p.buffer)
	status, ok4 := p.values[6].Int()
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return ev, false, nil // a message of the program's, not a request
	}
	r := webRecord{status: int(status)}
	r.user, _ = p.values[2].Text(&p.buffer)
	start := len(p.buffer)
	p.buffer = append(append(p.buffer, method...), ' ')
	p.buffer = append(append(p.buffer, path...), ' ')
	p.buffer = append(p.buffer, protocol...)
	r.request = p.buffer[start:]
	what, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	source, proof, ok := p.client()
	if !ok {
		return ev, false, nil
	}
	stamp, _ := p.values[7].Text(&p.buffer)
	at, err := p.clock.ISO(stamp)
	if err != nil {
		return ev, false, text.Malformed("traefik", line.Bytes, err)
	}
	ev = r.event(what, "traefik", source, at, line)
	ev.Proof = proof
	return ev, true, nil
}

// Flush has nothing to return: every request is one line.
func (p *traefikParser) Flush() (ev event.Event, ok bool, err error) { return }

// client says who sent the request. ClientAddr is the peer of the connection; ClientHost is
// X-Forwarded-For as it came, where there was one (pkg/middlewares/accesslog/logger.go). Traefik
// takes that header off what comes from strangers unless it is told not to (insecure, and the
// default of version 1), which the log does not show: so it proves nobody, but where the peer is
// a proxy of one's own.
func (p *traefikParser) client() (source event.Endpoint, proof event.Proof, ok bool) {
	host, _ := p.values[0].Text(&p.buffer)
	addr, _ := p.values[1].Text(&p.buffer)
	peer, known := text.HostPort(addr)
	if known && contains(p.proxies, peer.Addr) {
		source.Addr, ok = lastBut(p.proxies, host)
		return source, event.Handshake, ok
	}
	if source.Addr, ok = text.Address(host); known && source.Addr == peer.Addr {
		return peer, event.Handshake, ok
	}
	return source, event.Spoofable, ok
}

// traefikQuiet tells the most of the requests, that were answered and ask for nothing strange,
// by three fields. A quote inside of a string is escaped, so that these labels are
// fields' wherever they stand.
func traefikQuiet(b []byte) bool {
	_, status, ok1 := text.Cut(b, `"DownstreamStatus":`)
	_, path, ok2 := text.Cut(b, `"RequestPath":"`)
	if !ok1 || !ok2 || len(status) == 0 || status[0] != '2' && status[0] != '3' {
		return false
	}
	end := closingQuote(path)
	return end >= 0 && !suspicious(path[:end]) && !text.Contains(b, `"RequestMethod":"POST"`)
}
