package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// cutPeer splits "… HOST port N" or "… HOST" before HOST, the last word but for
// the port. Whatever stands before it, sshd itself wrote this.
func cutPeer(b []byte) (before, host []byte, n uint16, ok bool) {
	const word = " port "
	end := len(b)
	i := end
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
	}
	if i >= len(word) && i < end && string(b[i-len(word):i]) == word {
		if n, ok = text.Port(b[i:]); !ok {
			return nil, nil, 0, false
		}
		end = i - len(word)
	}
	i = bytes.LastIndexByte(b[:end], ' ') + 1
	return b[:max(i-1, 0)], b[i:end], n, true
}

// peer reads "IP" or "IP port N" that fills b, as sshd names the other side.
func peer(b []byte) (e event.Endpoint, ok bool) {
	before, host, n, ok := cutPeer(b)
	if !ok || len(before) > 0 {
		return e, false
	}
	e.Port = n
	e.Addr, ok = text.Address(host)
	return e, ok
}

// lastFrom splits "NAME from IP" or "NAME from IP port N", where NAME is the
// client's choice.
func lastFrom(b []byte) (name []byte, from event.Endpoint, ok bool) {
	name, host, n, ok := cutPeer(b)
	if !ok {
		return nil, from, false
	}
	if name, ok = text.CutSuffix(name, " from"); !ok {
		return nil, from, false
	}
	from.Port = n
	from.Addr, ok = text.Address(host)
	return name, from, ok
}
