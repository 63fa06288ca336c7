package text

import "bytes"

// PAMFailure reads what PAM's modules say of a refused login:
//
//	…authentication failure; logname= uid=0 euid=0 tty=T ruser=NAME rhost=HOST  user=NAME
//
// The names are the client's choice, so the host counts only where it is named once.
func PAMFailure(b []byte) (host, user []byte, ok bool) {
	what, rest, ok := CutOnce(b, " rhost=")
	if !ok || !bytes.Contains(what, []byte("authentication failure; logname=")) {
		return nil, nil, false
	}
	host, rest, _ = bytes.Cut(rest, []byte(" "))
	user, named := CutPrefix(TrimBlanks(rest), "user=")
	if !named {
		_, user, _ = bytes.Cut(what, []byte(" ruser="))
	}
	return host, user, true
}
