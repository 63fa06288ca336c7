package service

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var named = text.Daemon{
	Name:     "named",
	Aliases:  []string{"bind", "bind9"},
	About:    "BIND, by syslog or its security log: refused queries, transfers and updates",
	Programs: []string{"named"},
	Own: func(m *text.Message, line []byte) (ok bool) {
		m.Message, ok = m.OwnStamp(line)
		m.Message = withoutCategory(m.Message)
		return ok && hasPrefix(m.Message, "client ")
	},
	New: text.Stateless(readNamed),
}

// withoutCategory strips "CATEGORY: SEVERITY: ", either of which can be missing.
func withoutCategory(b []byte) []byte {
	for range 2 {
		end := bytes.Index(b[:min(len(b), 40)], []byte(": "))
		if end < 0 || bytes.IndexByte(b[:end], ' ') >= 0 {
			return b
		}
		b = b[end+len(": "):]
	}
	return b
}

// readNamed reads "client [@0xN ]IP#PORT[ (NAME)]: [view V: ]WHAT denied". The client comes
// first, and the name asked for is its choice. A datagram's source can be anybody's, and
// what arrived by TCP is not told from it.
func readNamed(m *text.Message) bool {
	b, ok := text.CutPrefix(withoutCategory(m.Text), "client ")
	if !ok {
		return false
	}
	if hasPrefix(b, "@0x") {
		if _, b, ok = bytes.Cut(b, []byte(" ")); !ok {
			return false
		}
	}
	host, rest, ok := bytes.Cut(b, []byte("#"))
	if !ok {
		return false
	}
	port, rest := text.Digits(rest)
	if m.Source.Port, ok = text.Port(port); !ok {
		return false
	}
	if m.Source.Addr, ok = text.Address(host); !ok {
		return false
	}
	if hasPrefix(rest, " (") {
		if _, rest, ok = bytes.Cut(rest, []byte("): ")); !ok {
			return false
		}
	} else if rest, ok = text.CutPrefix(rest, ": "); !ok {
		return false
	}
	if view, ok := text.CutPrefix(rest, "view "); ok {
		_, rest, _ = bytes.Cut(view, []byte(": "))
	}
	m.Kind, m.Proof, m.Protocol, m.Target.Port = event.DNSRefused, event.Spoofable, "udp", 53
	for _, form := range [...]string{"query (cache)", "query", "zone transfer", "update", "notify", "bad zone transfer request: "} {
		if what, ok := text.CutPrefix(rest, form); ok {
			m.Remark = form
			if form[0] == 'b' {
				m.Remark = "zone transfer"
				return true
			}
			return hasPrefix(what, " ") && (bytes.HasSuffix(what, []byte(" denied")) || text.Contains(what, " denied (")) // not ": ", which is a log of all queries
		}
	}
	return false
}
