package audit

import (
	"bytes"
	"path"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// service is the kind of a refused login, by the name of the program that asked: what
// sshd's own log says too is PAM's word on it, which counts nothing.
func service(program string) event.Kind {
	switch program {
	case "sshd", "sshd-session", "sshd-auth":
		return event.SSHPAMFailed
	case "vsftpd", "proftpd", "pure-ftpd", "pure-authd":
		return event.FTPLoginFailed
	case "auth", "dovecot-auth", "saslauthd", "smtpd", "exim4", "exim", "imapd", "pop3d", "imaplogin", "pop3login", "courier-authdaemon", "authdaemond":
		return event.MailLoginFailed
	case "mysqld", "mariadbd", "postgres":
		return event.SQLLoginFailed
	case "openvpn", "charon", "pppd", "ocserv", "xrdp-sesman", "smbd":
		return event.VPNLoginFailed
	case "cockpit-session", "apache2", "httpd", "nginx":
		return event.HTTPLoginFailed
	}
	return ""
}

// login reads "pid=N uid=N … msg='op=… acct="NAME" exe="PATH" hostname=H addr=IP
// terminal=T res=failed'". The kernel writes what stands before msg; the rest a
// program with the right to do so. The account is the client's choice, and its host
// name may be, so that each field must stand there once, in this order.
func (p *parser) login(r *record) (ev event.Event, ok bool) {
	head, message, ok := bytes.Cut(r.rest, []byte(" msg='"))
	if !ok {
		return ev, false
	}
	message, _, ok = text.CutLastByte(message, '\'')
	if !ok || !bytes.HasSuffix(message, []byte(" res=failed")) {
		return ev, false
	}
	outer := fields(head)
	name, pid, _ := outer.next()
	if string(name) != "pid" || small(pid) == 0 {
		return ev, false
	}
	var account, exe, addr []byte
	before := 0 // the place of the field before
	for f := fields(message); ; {
		name, value, more := f.next()
		if !more {
			break
		}
		at := 0
		switch string(name) {
		case "acct":
			at, account = 1, value
		case "exe":
			at, exe = 2, value
		case "addr":
			at, addr = 3, value
		case "res":
			at = 4
		default:
			continue
		}
		if at <= before {
			return ev, false
		}
		before = at
	}
	source, ok := text.Address(addr)
	if !ok {
		return ev, false
	}
	var room [256]byte
	program, ok := decode(room[:0], exe[:min(len(exe), len(room))])
	if !ok {
		return ev, false
	}
	kind := service(path.Base(string(program)))
	if kind == "" {
		return ev, false
	}
	user, _ := decode(nil, account[:min(len(account), 2*text.MaxString)])
	return event.Event{
		Time: r.time(), Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source}, User: text.String(user), Attempt: text.String(pid), Sensor: sensor,
	}, true
}
