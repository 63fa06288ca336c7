package probe

import (
	"fmt"
	"testing"
)

// TestJournalAuthors: whose word counts for what in the journal.
func TestJournalAuthors(t *testing.T) {
	const (
		sasl = "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x"
		ssh  = "Failed password for root from 203.0.113.9 port 40000 ssh2"
		sql  = "2026-11-25 17:00:08 9 [Warning] Access denied for user 'root'@'203.0.113.9' (using password: YES)"
		vpn  = "203.0.113.9:40000 TLS Error: TLS handshake failed"
	)
	for _, c := range []struct {
		who, fields, message string
		believed             bool
	}{
		{"root's sshd", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_UID":"0"`, ssh, true},
		{"OpenSSH 9.8", `"SYSLOG_IDENTIFIER":"sshd-session","_COMM":"sshd-session","_UID":"0"`, ssh, true},
		{"logger -t sshd-session", `"SYSLOG_IDENTIFIER":"sshd-session","_COMM":"logger","_UID":"0"`, ssh, false},
		{"sshd in its unit", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_UID":"111","_SYSTEMD_UNIT":"ssh.service"`, ssh, true},
		{"an instance of its unit", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_UID":"111","_SYSTEMD_UNIT":"sshd@3-198.51.100.2:22-203.0.113.9:40000.service"`, ssh, true},
		{"a user's program named sshd", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_UID":"1000","_SYSTEMD_UNIT":"user@1000.service"`, ssh, false},
		{"logger -t sshd", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"logger","_UID":"1000","_SYSTEMD_UNIT":"session-3.scope"`, ssh, false},
		{"root's logger -t sshd", `"SYSLOG_IDENTIFIER":"sshd","_COMM":"logger","_UID":"0"`, ssh, false},
		{"sshd, of another name", `"SYSLOG_IDENTIFIER":"other","_COMM":"sshd","_UID":"0"`, ssh, true},
		{"postfix, as its own user", `"SYSLOG_IDENTIFIER":"postfix/smtpd","_COMM":"smtpd","_UID":"108","_SYSTEMD_UNIT":"postfix@-.service"`, sasl, true},
		{"root's postfix", `"SYSLOG_IDENTIFIER":"postfix/smtpd","_COMM":"smtpd","_UID":"0"`, sasl, true},
		{"logger -t postfix/smtpd", `"SYSLOG_IDENTIFIER":"postfix/smtpd","_COMM":"logger","_UID":"1000","_SYSTEMD_UNIT":"session-3.scope"`, sasl, false},
		{"another service", `"SYSLOG_IDENTIFIER":"postfix/smtpd","_COMM":"php","_UID":"33","_SYSTEMD_UNIT":"apache2.service"`, sasl, false},
		{"a unit that a user named so", `"SYSLOG_IDENTIFIER":"postfix/smtpd","_COMM":"x","_UID":"1000","_SYSTEMD_UNIT":"user@1000.service","_SYSTEMD_USER_UNIT":"postfix.service"`, sasl, false},
		{"mariadbd in mariadb.service", `"SYSLOG_IDENTIFIER":"mariadbd","_COMM":"mariadbd","_UID":"110","_SYSTEMD_UNIT":"mariadb.service"`, sql, true},
		{"ovpn-office of openvpn-server", `"SYSLOG_IDENTIFIER":"ovpn-office","_COMM":"openvpn","_UID":"65534","_SYSTEMD_UNIT":"openvpn-server@office.service"`, vpn, true},
		{"a message in its own tag", `"SYSLOG_IDENTIFIER":"x sshd[1]","_COMM":"x","_UID":"0"`, "sshd[1]: " + ssh, false},
		{"blanks between the fields", `"SYSLOG_IDENTIFIER" : "sshd" , "_COMM" : "sshd", "_UID" : "0"`, ssh, true},
		{"a name in bytes", `"SYSLOG_IDENTIFIER":[115,115,104,100],"_COMM":[115,115,104,100],"_UID":"0"`, ssh, true},
		{"two names", `"SYSLOG_IDENTIFIER":["sshd","x"],"_COMM":"sshd","_UID":"0"`, ssh, true},
	} {
		f, _ := Builtin().Lookup("journald")
		line := fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"1762077600123456",%s,"_PID":"7","MESSAGE":%q}`, c.fields, c.message)
		got := parseAll(t, f, testClock, "journal", []byte(line))
		if believed := len(got) == 1 && got[0].Error == "" && got[0].Source.Addr.String() == "203.0.113.9"; believed != c.believed {
			t.Errorf("%s: believed %v, want %v: %+v", c.who, believed, c.believed, got)
		}
		if len(got) == 1 && got[0].Error == "" && got[0].Time.UnixMicro() != 1762077600123456 {
			t.Errorf("%s: at %v", c.who, got[0].Time)
		}
	}
}

// TestDetectSyslog: a file of several programs is read as syslog, and one of few others' lines
// as the program's that it is of.
func TestDetectSyslog(t *testing.T) {
	const (
		ssh     = "Nov 25 17:00:01 gate sshd[7]: Failed password for root from 203.0.113.9 port 40000 ssh2\n"
		cron    = "Nov 25 17:00:01 gate CRON[7]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n"
		smtp    = "Nov 25 17:00:01 gate postfix/smtpd[7]: connect from unknown[203.0.113.9]\n"
		imap    = "Nov 25 17:00:01 gate dovecot: imap-login: Login: user=<a>, method=PLAIN, rip=203.0.113.9, lip=198.51.100.2\n"
		unknown = "Nov 25 17:00:01 gate systemd[1]: Started cleanup.\n"
	)
	for sample, want := range map[string]string{
		ssh + cron + cron: "sshd", smtp + cron: "postfix", smtp + imap: "syslog", ssh + smtp + cron: "syslog", imap + unknown: "dovecot",
		ssh + ssh + ssh + ssh + ssh + ssh + ssh + ssh + ssh + ssh + smtp: "sshd",
	} {
		if f, err := Builtin().Detect([]byte(sample)); err != nil || f.Name != want {
			t.Errorf("%q is taken for %s, %v; want %s", sample, f.Name, err, want)
		}
	}
}
