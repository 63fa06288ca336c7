package probe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

// daemonTruth says which format reads a file of which tool.
var daemonTruth = map[string]string{
	"fail2ban/mail/dovecot.log": "dovecot", "fail2ban/mail/courier-auth.log": "courier", "fail2ban/mail/cyrus-imap.log": "cyrus",
	"fail2ban/mail/exim.log": "exim", "fail2ban/mail/solid-pop3d.log": "solid-pop3d", "fail2ban/db/mssql-auth.log": "mssql",
	"fail2ban/dns/named-refused.log": "named", "fail2ban/ftp/pure-ftpd.log": "pure-ftpd", "fail2ban/pam/pam-generic.log": "syslog",
	"fail2ban/ssh/dropbear.log": "dropbear", "fail2ban/web/phpmyadmin-syslog.log": "phpmyadmin",

	"crowdsec/dovecot-*/*.log": "dovecot", "crowdsec/postfix-*/*.log": "postfix", "crowdsec/exim-*/*.log": "exim",
	"crowdsec/bind9-logs/*.log": "named", "crowdsec/asterisk-*/*.log": "asterisk", "crowdsec/mariadb-bf/*.log": "mysql",
	"crowdsec/pureftpd-*/*.log": "pure-ftpd", "crowdsec/vsftpd-*/*.log": "vsftpd", "crowdsec/sftpgo-*/*.log": "sftpgo",
	"crowdsec/smb-logs/*.log": "samba", "crowdsec/webmin-*/*.log": "webmin", "crowdsec/pfsense-gui-auth/*.log": "pfsense-gui",

	"ossec/dovecot.log": "dovecot", "ossec/named.log": "named", "ossec/pam.log": "syslog", "ossec/vsftpd.log": "vsftpd",
	"prelude/postfix.log": "postfix",
}

// TestTruthDaemons compares line by line, or attacker by attacker, with what four tools say of
// mail, file, database and other servers.
func TestTruthDaemons(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line   int64    `json:"line"`
			Match  bool     `json:"expect_match"`
			Host   string   `json:"host"`
			Groups []string `json:"rule_groups"`

			Completion string            `json:"completion"`
			Captures   []string          `json:"captures"`
			Assign     map[string]string `json:"assign"`

			Other struct {
				IP4 string `json:"ip4"`
				IP6 string `json:"ip6"`
			} `json:"other"`
		} `json:"entries"`
		Overflows []struct {
			Sources map[string]any `json:"sources"`
			Events  int            `json:"events_count"`
		} `json:"overflows"`
		Parsers map[string][]struct {
			Success bool `json:"success"`
			Meta    struct {
				Source string `json:"source_ip"`
			} `json:"meta"`
		} `json:"parsers"`
	}
	patterns := slices.Sorted(maps.Keys(daemonTruth))
	lines, agree := 0, 0
	truth(t, patterns, func(r *report, log, want []byte) {
		format := ""
		for _, p := range patterns {
			if strings.HasPrefix(r.file, strings.TrimSuffix(p, "*/*.log")) || r.file == p || strings.HasPrefix(r.file, strings.TrimSuffix(p, "*.log")) {
				format = daemonTruth[p]
			}
		}
		compare := func(line int64, got, want any) {
			lines++
			if fmt.Sprint(got) == fmt.Sprint(want) {
				agree++
			}
			r.differ(fmt.Sprintf("line %d", line), got, want)
		}
		w := decode[annotated](r.t, want)
		events := r.events(format, log)
		got, counts := evidence(events), perSource(events, func(ev event.Event) int { return 1 })
		ossec := strings.HasPrefix(r.file, "ossec/")
		for _, e := range w.Entries {
			switch {
			case ossec:
				compare(e.Line, got[e.Line] != "", slices.Contains(e.Groups, "authentication_failed") || format == "named" && slices.Contains(e.Groups, "connection_attempt"))
			case e.Completion != "":
				source := e.Assign["source(0).node.address(0).address"]
				for i, capture := range e.Captures {
					source = strings.ReplaceAll(source, fmt.Sprintf("$%d", i+1), capture)
				}
				compare(e.Line, got[e.Line], source)
			default:
				host := ""
				if e.Match {
					host = hostOf(e.Host + e.Other.IP4 + e.Other.IP6)
				}
				compare(e.Line, got[e.Line], host)
			}
		}
		for name, results := range w.Parsers {
			if !strings.HasPrefix(name, "s01-parse") {
				continue
			}
			for i, result := range results {
				compare(int64(i+1), got[int64(i+1)], hostOf(result.Meta.Source))
			}
		}
		for i, o := range w.Overflows {
			for source := range o.Sources {
				r.differ(fmt.Sprintf("overflow %d of %s", i, source), counts[source] >= o.Events, true)
			}
		}
	})
	t.Logf("%d of %d lines agree", agree, lines)
}

// sshguardServices are the sections of SSHGuard's tests that have a format here; half of
// their lines are messages without a header.
var sshguardServices = map[string]struct{ format, tag string }{
	"SSH":         {"sshd", "sshd[1]"},
	"Dropbear":    {"dropbear", "dropbear[1]"},
	"exim":        {"exim", ""},
	"dovecot":     {"dovecot", "dovecot"},
	"postfix":     {"postfix", "postfix/smtpd[1]"},
	"cyrus":       {"cyrus", "cyrus/imaps[1]"},
	"courier":     {"courier", "imapd"},
	"Cockpit":     {"pam", "cockpit-session[1]"},
	"OpenVPN":     {"openvpn", "openvpn[1]"},
	"Gitea":       {"gitea", "gitea[1]"},
	"BIND":        {"named", "named[1]"},
	"MSSQL":       {"mssql", ""},
	"Proxmox VE":  {"proxmox", "pvedaemon[1]"},
	"pfSense GUI": {"pfsense-gui", "php-fpm[1]"},
}

func sshguardFormats() (formats []string) {
	for _, s := range sshguardServices {
		if s.format != "sshd" {
			formats = append(formats, s.format)
		}
	}
	slices.Sort(formats)
	return formats
}

// sshguardHeader is what a line of SSHGuard's tests lacks.
func sshguardHeader(section, line string) string {
	s := sshguardServices[section]
	switch {
	case strings.HasPrefix(line, "20"), strings.HasPrefix(line, "[36m20"), strings.HasPrefix(line, "\x1b[36m20"):
		return "" // a timestamp of its own
	case s.tag == "":
		return "2026-01-01 00:00:00 "
	}
	return "Jan  1 00:00:00 host " + s.tag + ": "
}

var daemonDifferences = []truthDifference{
	{
		reason: "there is no timestamp: no file that a daemon writes looks like that",
		files:  []string{"crowdsec/bind9-logs/bind9-logs.log"},
		items:  []string{"line 8: , not ::1", "line 9: , not ::1"},
	},
	{
		reason: "there is no timestamp before the host: no syslog file looks like that",
		files:  []string{"fail2ban/dns/named-refused.log"},
		items:  []string{"line 16: , not 192.0.2.1"},
	},
	{
		reason: "there is no timestamp before the host: no syslog file looks like that",
		files:  []string{"fail2ban/mail/exim.log"},
		items:  []string{"line 15: , not 192.0.2.27"},
	},
	{
		reason: "the failure was told before, by the password database, from the same address and without a session; the line on the end of a session counts what was not",
		files:  []string{"crowdsec/dovecot-logs/dovecot-logs.log"},
		items:  []string{"line 3: , not 1.1.1.1"},
	},
	{
		reason: "the failure was told before, by the password database, from the same address and without a session; the line on the end of a session counts what was not",
		files:  []string{"fail2ban/mail/dovecot.log"},
		items:  []string{"line 29: , not 1.2.3.4"},
	},
	{
		reason: "a login that succeeded; CrowdSec parses these lines too",
		files:  []string{"crowdsec/dovecot-logs/dovecot-logs.log"},
		items:  []string{"line 9: , not 172.17.0.1"},
	},
	{
		reason: "a login that succeeded; CrowdSec parses these lines too",
		files:  []string{"crowdsec/sftpgo-impossible-travel/sftpgo-impossible-travel.log"},
		items:  []string{"overflow 0 of 9.8.8.8: false, not true", "overflow 0 of 1.2.3.4: false, not true"},
	},
	{
		reason: "a login that succeeded; CrowdSec parses these lines too",
		files:  []string{"crowdsec/sftpgo-logs/sftpgo-logs-25.log"},
		items: []string{"line 1: , not 1.2.3.4", "line 11: , not 1.2.3.4", "line 14: , not 1.2.3.4", "line 23: , not 1.2.3.4",
			"line 26: , not 1.2.3.4", "line 35: , not 1.2.3.4"},
	},
	{
		reason: "a session that ended without a login is evidence, if weak, as in fail2ban's mode aggressive, which has the same lines once more (57, 59 to 62)",
		files:  []string{"fail2ban/mail/dovecot.log"},
		items: []string{"line 34: 176.61.137.100, not ", "line 35: 121.44.24.254, not ", "line 36: 180.200.180.81, not ", "line 37: 180.189.168.166, not ",
			"line 38: 192.51.100.13, not ", "line 45: 192.0.2.5, not ", "line 46: 192.0.2.5, not ", "line 47: 192.0.2.5, not ", "line 48: 192.0.2.5, not ", "line 49: 192.0.2.5, not "},
	},
	{
		reason: "a missing name in the name service is no attack; fail2ban counts it in its mode aggressive only",
		files:  []string{"fail2ban/mail/exim.log"},
		items:  []string{"line 48: , not 192.0.2.8", "line 49: , not 192.0.2.9", "line 50: , not 63.85.123.6"},
	},
	{
		reason: "PAM's copy of a failure that the server itself logs, in a form without the service that Linux-PAM gave up in 2005",
		files:  []string{"fail2ban/pam/pam-generic.log"},
		items:  []string{"line 1: , not 192.168.1.1", "line 4: , not 66.232.129.62"},
	},
	{
		reason: "a host name, whose address could only be had from the name service",
		files:  []string{"fail2ban/pam/pam-generic.log"},
		items: []string{"line 2: , not 71-13-115-12.static.mdsn.wi.charter.com", "line 3: , not 71-13-115-12.static.mdsn.wi.charter.com",
			"line 6: , not www.google.com", "line 7: , not www.google.com"},
	},
	{
		reason: "two hosts are named, and a user may name himself like that",
		files:  []string{"fail2ban/pam/pam-generic.log"},
		items:  []string{"line 8: , not 192.0.2.1", "line 9: , not 192.0.2.2"},
	},
	{
		reason: "a client that gave up after its password was refused",
		files:  []string{"ossec/dovecot.log"},
		items:  []string{"line 10: true, not false"},
	},
	{
		reason: "another program's tag (name), or a line that does not say whether the query was denied",
		files:  []string{"ossec/named.log"},
		items:  []string{"line 4: false, not true", "line 5: false, not true"},
	},
	{
		reason: "no address (su), or PAM's copy of what sshd tells itself, which has no points",
		files:  []string{"ossec/pam.log"},
		items:  []string{"line 1: false, not true", "line 6: false, not true"},
	},
	{
		reason: "': 1 Time(s)' was added by a program that sums up logs",
		files:  []string{"sshguard/tests-halfA.log"},
		items:  []string{"line 43: , not 123.24.161.123", "line 44: , not 123.24.161.123", "line 45: , not 186.31.81.98"},
	},
	{
		reason: "greylisting is how a server greets everybody",
		files:  []string{"sshguard/tests-halfA.log"},
		items:  []string{"line 58: , not 172.82.231.244"},
	},
	{
		reason: "a packet that is no TDS: no login was refused",
		files:  []string{"sshguard/tests-halfA.log"},
		items:  []string{"line 113: , not 198.199.105.106"},
	},
}
