package service

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// pam has no program of its own: any may call it.
var pam = text.Daemon{
	Name:    "pam",
	Aliases: []string{"pam-generic"},
	About:   "PAM's own lines on refused logins, for services that have no format here, in auth.log or secure",
	Own: func(m *text.Message, line []byte) bool {
		return m.Split(line) && text.Contains(m.Message, "pam_") && text.Contains(m.Message, ":auth): ")
	},
	New: text.Stateless(readPAM),
}

// pamServices are those that PAM's lines count for, with what the tags of their programs
// begin with: a message that only looks like PAM's may be some client's, whom another
// program quotes. Services that write a line of their own, which has a format (sshd, dovecot,
// proftpd, smbd), would count twice; and su, sudo and login are used by people who are here.
var pamServices = map[string]struct {
	tag  string
	kind event.Kind
}{
	"vsftpd":      {"vsftpd", event.FTPLoginFailed},
	"ftp":         {"ftpd", event.FTPLoginFailed},
	"cockpit":     {"cockpit", event.HTTPLoginFailed},
	"webmin":      {"webmin", event.HTTPLoginFailed},
	"usermin":     {"usermin", event.HTTPLoginFailed},
	"apache2":     {"apache2", event.HTTPLoginFailed},
	"httpd":       {"httpd", event.HTTPLoginFailed},
	"imap":        {"imap", event.MailLoginFailed},
	"pop3":        {"ipop3d", event.MailLoginFailed},
	"xrdp-sesman": {"xrdp-sesman", event.VPNLoginFailed},
	"ocserv":      {"ocserv", event.VPNLoginFailed},
	"ppp":         {"pppd", event.VPNLoginFailed},
}

// readPAM reads "pam_MODULE(SERVICE:auth): authentication failure; … rhost=IP  user=NAME".
func readPAM(m *text.Message) bool {
	_, b, ok := bytes.Cut(m.Text[:min(len(m.Text), 64)], []byte("("))
	if !ok || !hasPrefix(m.Text, "pam_") {
		return false
	}
	service, _, ok := bytes.Cut(b, []byte(":auth): "))
	if !ok {
		return false
	}
	known, ok := pamServices[string(service)]
	if !ok || !hasPrefix(m.Process, known.tag) {
		return false
	}
	m.Kind = known.kind
	host, user, ok := text.PAMFailure(m.Text)
	if !ok {
		return false
	}
	m.User, m.Remark = user, "pam"
	m.Source.Addr, ok = text.Address(host)
	return ok
}
