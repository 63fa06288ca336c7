package web

import (
	"bytes"
	"net/netip"

	"github.com/komondor/komondor/probe/text"
)

// forwarded gives the client of a trusted proxy: the last address in X-Forwarded-For that
// is none of the proxies. What stands before it the client may have written itself.
//
// The field must be the fourth and last in quotes, behind the request, the referer and the
// agent, as in nginx' example of a log format. In a log without it the last one is the
// agent's, which anybody chooses, so that nobody is blamed there.
func (r *webRecord) forwarded(proxies []netip.Prefix) (client netip.Addr, ok bool) {
	rest := r.rest
	var field []byte
	for range 3 {
		_, behind, ok := bytes.Cut(rest, []byte(`"`))
		if !ok {
			return client, false
		}
		end := closingQuote(behind)
		if end < 0 {
			return client, false
		}
		field, rest = behind[:end], behind[end+1:]
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return client, false
	}
	return lastBut(proxies, field)
}

// lastBut gives the last address in a list that is none of the proxies.
func lastBut(proxies []netip.Prefix, list []byte) (client netip.Addr, ok bool) {
	for more := true; more; {
		var last []byte
		if list, last, more = text.CutLastByte(list, ','); !more {
			last = list
		}
		if client, ok = text.Address(bytes.TrimSpace(last)); !ok || !contains(proxies, client) {
			return client, ok
		}
	}
	return client, false // a request of the proxies' own
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
