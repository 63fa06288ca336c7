package service

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var openvpn = text.Daemon{
	Name:     "openvpn",
	About:    "OpenVPN's log, also by syslog: refused logins and handshakes",
	Programs: []string{"openvpn", "ovpn-"},
	Own: func(m *text.Message, line []byte) (ok bool) {
		m.Message, ok = m.OwnStamp(line)
		m.Message = text.TrimBlanks(m.Message)
		_, ok2 := openvpnPeer(m.Message)
		return ok && m.ISO && ok2
	},
	New: text.Stateless(readOpenVPN),
}

// readOpenVPN reads "[NAME/]IP:PORT WHAT". Before a login there is no name. A password is
// refused after the TLS handshake, which proves the address; the rest can be sent by
// anybody, over UDP.
func readOpenVPN(m *text.Message) bool {
	from, ok := openvpnPeer(m.Text)
	if !ok {
		return false
	}
	_, what, _ := bytes.Cut(m.Text, []byte(" "))
	m.Kind, m.Source, m.Target.Port, m.Protocol = event.VPNLoginFailed, from, 1194, ""
	switch {
	case hasPrefix(what, "TLS Auth Error: Auth Username/Password verification failed for peer"), hasPrefix(what, "SENT CONTROL ") && text.Contains(what, "AUTH_FAILED"):
		m.Remark = "password"
	case hasPrefix(what, "TLS Error: TLS handshake failed"), hasPrefix(what, "VERIFY ERROR: "), hasPrefix(what, "TLS Error: cannot locate HMAC"),
		hasPrefix(what, "TLS Error: incoming packet authentication failed"):
		m.Proof, m.Remark = event.Spoofable, "handshake"
	default:
		return false
	}
	return true
}

// openvpnPeer reads "IP:PORT " or "[IP]:PORT ", as versions write IPv6.
func openvpnPeer(b []byte) (e event.Endpoint, ok bool) {
	peer, _, ok := bytes.Cut(b[:min(len(b), 80)], []byte(" "))
	if !ok || bytes.IndexByte(peer, ':') < 0 {
		return e, false
	}
	return text.HostPort(peer)
}
