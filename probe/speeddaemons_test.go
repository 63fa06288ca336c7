package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/text"
)

// daemonLine makes line i of a log under attack: each second one is evidence.
func daemonLine(format string, i int, at time.Time, ip string, port int) string {
	user := []string{"root", "admin", "test", "info@mail.example"}[i%4]
	evidence := i%2 == 0
	line := func(tag, yes, no string) string {
		if !evidence {
			yes = no
		}
		return fmt.Sprintf("%s gate %s[%d]: %s", at.Format(time.Stamp), tag, 1000+i%60000, yes)
	}
	own := func(stamp, yes, no string) string {
		if !evidence {
			yes = no
		}
		return at.Format(stamp) + " " + yes
	}
	switch format {
	case "syslog": // half of it is no program's that is read here
		if i%2 == 0 {
			return daemonLine([]string{"postfix", "dovecot", "courier", "dropbear"}[i/2%4], i/2, at, ip, port)
		}
		return line("CRON", "", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
	case "dropbear":
		return line("dropbear", fmt.Sprintf("Bad password attempt for 'root' from %s:%d", ip, port), fmt.Sprintf("Child connection from %s:%d", ip, port))
	case "proftpd":
		return line("proftpd", fmt.Sprintf("gate (%[1]s[%[1]s]) - USER %[2]s: no such user found from %[1]s [%[1]s] to 198.51.100.2:21", ip, user),
			fmt.Sprintf("gate (%[1]s[%[1]s]) - FTP session opened.", ip))
	case "pure-ftpd":
		return line("pure-ftpd", fmt.Sprintf("(?@%s) [WARNING] Authentication failed for user [%s]", ip, user), fmt.Sprintf("(?@%[1]s) [INFO] New connection from %[1]s", ip))
	case "sftpgo":
		sender := "connection_failed"
		if !evidence {
			sender = "SFTP"
		}
		return fmt.Sprintf(`{"level":"debug","time":"%s","sender":"%s","client_ip":"%s","username":"%s","login_type":"password","protocol":"SSH","error":"invalid credentials"}`,
			at.Format("2006-01-02T15:04:05.000"), sender, ip, user)
	case "postfix":
		return line("postfix/smtpd", fmt.Sprintf("warning: unknown[%s]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=%s", ip, user),
			fmt.Sprintf("disconnect from unknown[%s] ehlo=1 auth=0/1 quit=1 commands=2/3", ip))
	case "dovecot":
		return line("dovecot", fmt.Sprintf("imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<%s>, method=PLAIN, rip=%s, lip=198.51.100.2, session=<%08x>", user, ip, i),
			fmt.Sprintf("imap-login: Login: user=<alice>, method=PLAIN, rip=%s, lip=198.51.100.2, mpid=748, session=<%08x>", ip, i))
	case "exim":
		return own(time.DateTime, fmt.Sprintf("login_server authenticator failed for (User) [%s]:%d: 535 Incorrect authentication data (set_id=%s)", ip, port, user),
			fmt.Sprintf("1ahr79-0006jK-G9 <= a@b.example H=mail.b.example [%s]:%d P=esmtps S=900", ip, port))
	case "courier":
		return line("imapd", fmt.Sprintf("LOGIN FAILED, user=%s, ip=[::ffff:%s]", user, ip), fmt.Sprintf("Disconnected, ip=[::ffff:%s]", ip))
	case "cyrus":
		return line("cyrus/imap", fmt.Sprintf("badlogin: h.example [%s] plaintext %s SASL(-13): authentication failure: checkpass failed", ip, user), "accepted connection")
	case "solid-pop3d":
		return line("solid-pop3d", fmt.Sprintf("authentication failed for user %s - %s", user, ip), fmt.Sprintf("connect from %s", ip))
	case "mysql":
		return own(time.DateTime, fmt.Sprintf("%d [Warning] Access denied for user '%s'@'%s' (using password: YES)", i, user, ip), "0 [Note] mariadbd: ready for connections.")
	case "mssql":
		return own("2006-01-02 15:04:05.00", fmt.Sprintf("Logon       Login failed for user '%s'. Reason: Could not find a login matching the name provided. [CLIENT: %s]", user, ip),
			"Logon       Error: 18456, Severity: 14, State: 5.")
	case "postgresql":
		pid := i / 2 % 200
		return own("2006-01-02 15:04:05.000 UTC", fmt.Sprintf("[%d] %s@db FATAL:  password authentication failed for user \"%s\"", pid, user, user),
			fmt.Sprintf("[%d] [unknown]@[unknown] LOG:  connection received: host=%s port=%d", (pid+1)%200, ip, port))
	case "mongodb":
		message := "Authentication failed"
		if !evidence {
			message = "Connection accepted"
		}
		return fmt.Sprintf(`{"t":{"$date":"%s"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn12","msg":"%s","attr":{"mechanism":"SCRAM-SHA-256","principalName":"%s","authenticationDatabase":"admin","remote":"%s:%d","extraInfo":{},"error":"UserNotFound: Could not find user"}}`,
			at.Format("2006-01-02T15:04:05.000Z07:00"), message, user, ip, port)
	case "named":
		return line("named", fmt.Sprintf("client @0x7f2b68014d40 %s#%d (example.com): query (cache) 'example.com/ANY/IN' denied", ip, port), "zone example/IN: loaded serial 7")
	case "asterisk":
		name := "InvalidAccountID"
		if !evidence {
			name = "ChallengeSent"
		}
		return fmt.Sprintf(`[%s] SECURITY[77]: res_security_log.c:114 security_event_stasis_cb: SecurityEvent="%s",EventTV="2026-11-25T17:00:01.209+0000",Severity="Error",Service="PJSIP",EventVersion="1",AccountID="%s",SessionID="2kOig",LocalAddress="IPV4/UDP/198.51.100.2/5060",RemoteAddress="IPV4/UDP/%s/%d"`,
			at.Format(time.DateTime), name, user, ip, port)
	case "openvpn":
		return own(time.DateTime, fmt.Sprintf("%s:%d TLS Error: TLS handshake failed", ip, port), fmt.Sprintf("%s:%d TLS: Initial packet", ip, port))
	case "samba":
		status := "NT_STATUS_WRONG_PASSWORD"
		if !evidence {
			status = "NT_STATUS_OK"
		}
		return fmt.Sprintf(`  Auth: [SMB2,(null)] user [W]\[%s] at [%s] with [NTLMv2] status [%s] workstation [PC] remote host [ipv4:%s:%d] mapped to [W]\[x]. local host [ipv4:198.51.100.2:445] `,
			user, at.Format("Mon, 02 Jan 2006 15:04:05.000000 MST"), status, ip, port)
	case "pam":
		return line("cockpit-session", "pam_unix(cockpit:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost="+ip+"  user=admin",
			"pam_unix(cockpit:session): session opened for user alice(uid=1000) by (uid=0)")
	case "webmin":
		action := "failed"
		if !evidence {
			action = "login"
		}
		return fmt.Sprintf(`%d.21619.0 [%s] %s - %s global miniserv.pl "%s" "-" "wrongpass"`, at.Unix(), at.Format("02/Jan/2006 15:04:05"), user, ip, action)
	case "pfsense-gui":
		return line("php-fpm", fmt.Sprintf("/index.php: webConfigurator authentication error for user '%s' from: %s", user, ip),
			fmt.Sprintf("/index.php: Successful login for user 'admin' from: %s (Local Database)", ip))
	case "proxmox":
		return line("pvedaemon", fmt.Sprintf("authentication failure; rhost=%s user=%s msg=Authentication failure", ip, user), "<root@pam> successful auth for user 'root@pam'")
	case "phpmyadmin":
		return line("phpMyAdmin", fmt.Sprintf("user denied: %s (mysql-denied) from %s", user, ip), "user authenticated: root from "+ip)
	case "gitea":
		return own("2006/01/02 15:04:05", fmt.Sprintf("...ers/web/auth/auth.go:200:SignInPost() [I] [63b199a0] Failed authentication attempt for %s from %s:%d: user does not exist", user, ip, port),
			fmt.Sprintf("...eb/routing/logger.go:102:func1() [I] router: completed GET /x for %s:0, 404 Not Found", ip))
	case "nextcloud":
		message := "Login failed: " + user + " (Remote IP: " + ip + ")"
		if !evidence {
			message = "fine"
		}
		return fmt.Sprintf(`{"reqId":"abc","level":2,"time":"%s","remoteAddr":"%s","user":"--","app":"core","method":"POST","url":"/login","message":"%s","userAgent":"Mozilla/5.0","version":"31.0.0"}`,
			at.Format(time.RFC3339), ip, message)
	}
	return ""
}

// TestNoAllocationsDaemons: half of the lines of the logs above are no evidence, and cost no
// allocation.
func TestNoAllocationsDaemons(t *testing.T) {
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, f := range Builtin() {
		if daemonLine(f.Name, 0, at, "203.0.113.9", 40000) == "" {
			continue
		}
		p, line, events := f.New(testClock), text.Line{File: "x.log", Number: 1}, 0
		for i := range 10 {
			line.Bytes = []byte(daemonLine(f.Name, i, at, "203.0.113.9", 40000))
			_, ok, err := p.Parse(line)
			if ok {
				events++
			}
			if err != nil {
				t.Errorf("%s: %s: %v", f.Name, line.Bytes, err)
			}
		}
		if events < 3 {
			t.Errorf("%s: only %d of 10 lines are evidence", f.Name, events)
		}
		line.Bytes = []byte(daemonLine(f.Name, 1, at, "203.0.113.9", 40000))
		if allocs := testing.AllocsPerRun(100, func() {
			if ev, ok, err := p.Parse(line); ok || err != nil {
				t.Errorf("%s: %q is taken for %+v, %v", f.Name, line.Bytes, ev, err)
			}
		}); allocs > 0 {
			t.Errorf("%s: %v allocations for %q", f.Name, allocs, line.Bytes)
		}
	}
}
