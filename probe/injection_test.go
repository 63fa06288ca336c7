package probe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// hostileNames are what attackers call themselves to have 192.0.2.53 blamed. sshd
// prints them as they are, cut at 100 characters.
var hostileNames = []string{
	"x from 192.0.2.53", "x from 192.0.2.53 port 22", "x from 192.0.2.53 port 22 ssh2", "x from 192.0.2.53 port 22 ssh2: ",
	"x from 192.0.2.53 port 22 ssh2: RSA SHA256:abc", " from 192.0.2.53 port 22", "from 192.0.2.53", "x from", "x from ",
	"x from from 192.0.2.53 port 22 ssh2: y", "192.0.2.53", "192.0.2.53 port 22", "x 192.0.2.53 port 22", "x 192.0.2.53 port 22 [preauth]",
	"x 192.0.2.53 port 22: Too many authentication failures", "x 192.0.2.53 port 22: Too many authentication failures [preauth]",
	"x 192.0.2.53 port 22: Change of username or service not allowed: (x", "x 192.0.2.53 port 22: invalid format",
	"x 192.0.2.53 port 22: message authentication code incorrect", "x from 192.0.2.53 not allowed because not listed in AllowUsers",
	"x not allowed because y from 192.0.2.53", "user=root rhost=192.0.2.53", " rhost=192.0.2.53 user=root", "x]: Failed password for root from 192.0.2.53 port 22 ssh2",
	"x for root from 192.0.2.53 port 22 ssh2", "invalid user root from 192.0.2.53 port 22 ssh2", "authenticating user root 192.0.2.53 port 22",
	"user root 192.0.2.53 port 22", "x timed out", "x 192.0.2.53 port 22 timed out", "x to 192.0.2.53, pid = 1", "", " ", "\"", "'", "[", "]", "(192.0.2.53)",
	"x (192.0.2.53)", "::ffff:192.0.2.53", "x from ::ffff:192.0.2.53 port 22", "message repeated 9 times: [ Failed password for root from 192.0.2.53 port 22 ssh2]",
	"[192.0.2.53]:22 on [192.0.2.1]:22 penalty: failed authentication", strings.Repeat("a", 75) + " from 192.0.2.53 port 22",
	strings.Repeat("a", 97) + " from 192.0.2.53 port 22", "caf\xe9 from 192.0.2.53 port 22", "x\\n from 192.0.2.53 port 22", "x\tfrom 192.0.2.53 port 22",
	"x from 192.0.2.53  port 22", "x  from  192.0.2.53 port 22", "x from 192.0.2.53 port 99999", "x from 192.0.2.53 port", "x ssh2", "x port 22 ssh2",
}

// messages prints what sshd and PAM print with a name in it (auth.c, packet.c,
// auth-pam.c, auth2-hostbased.c, pam_unix). %[1]s is the name, %[2]s the address.
var messages = []string{
	"Invalid user %[1]s from %[2]s port 40000", "Invalid user %[1]s from %[2]s", "Illegal user %[1]s from %[2]s",
	"Failed password for invalid user %[1]s from %[2]s port 40000 ssh2", "Failed password for %[1]s from %[2]s port 40000 ssh2",
	"Failed none for invalid user %[1]s from %[2]s port 40000 ssh2", "Failed %[1]s for root from %[2]s port 40000 ssh2",
	"Failed keyboard-interactive/pam for invalid user %[1]s from %[2]s port 40000 ssh2", "Failed password for illegal user %[1]s from %[2]s port 40000",
	"Failed publickey for invalid user %[1]s from %[2]s port 40000 ssh2: RSA SHA256:0123",
	"Failed publickey for invalid user x from %[2]s port 40000 ssh2: RSA-CERT SHA256:0123 ID %[1]s (serial 0) CA RSA SHA256:4567",
	"Failed publickey for invalid user %[1]s from %[2]s port 40000 ssh2: RSA-CERT SHA256:0123 ID %[1]s (serial 0) CA RSA SHA256:4567",
	"Failed hostbased for root from %[2]s port 40000 ssh2: RSA SHA256:0123, client user \"%[1]s\", client host \"x\"",
	"Failed hostbased for root from %[2]s port 40000 ssh2: RSA SHA256:0123, client user \"x\", client host \"%[1]s\"",
	"Accepted publickey for alice from %[2]s port 40000 ssh2: RSA-CERT SHA256:0123 ID %[1]s (serial 0) CA RSA SHA256:4567",
	"Accepted password for %[1]s from %[2]s port 40000 ssh2", "Postponed keyboard-interactive for invalid user %[1]s from %[2]s port 40000 ssh2 [preauth]",
	"User %[1]s from %[2]s not allowed because not listed in AllowUsers", "User %[1]s not allowed because account is locked",
	"error: maximum authentication attempts exceeded for invalid user %[1]s from %[2]s port 40000 ssh2 [preauth]",
	"error: maximum authentication attempts exceeded for %[1]s from %[2]s port 40000 ssh2 [preauth]",
	"Disconnecting invalid user %[1]s %[2]s port 40000: Too many authentication failures [preauth]",
	"Disconnecting authenticating user %[1]s %[2]s port 40000: Too many authentication failures [preauth]",
	"Disconnecting: Too many authentication failures for %[1]s [preauth]",
	"Disconnecting invalid user %[1]s %[2]s port 40000: Change of username or service not allowed: (%[1]s,ssh-connection) -> (x,ssh-connection) [preauth]",
	"Disconnecting invalid user x %[2]s port 40000: Change of username or service not allowed: (x,ssh-connection) -> (%[1]s,ssh-connection) [preauth]",
	"Connection closed by invalid user %[1]s %[2]s port 40000 [preauth]", "Connection closed by authenticating user %[1]s %[2]s port 40000 [preauth]",
	"Connection closed by user %[1]s %[2]s port 40000", "Connection reset by invalid user %[1]s %[2]s port 40000 [preauth]",
	"Disconnected from invalid user %[1]s %[2]s port 40000 [preauth]", "Disconnected from user %[1]s %[2]s port 40000",
	"Connection from invalid user %[1]s %[2]s port 40000 timed out [preauth]", "input_userauth_request: invalid user %[1]s [preauth]",
	"ssh_dispatch_run_fatal: Connection from invalid user %[1]s %[2]s port 40000: message authentication code incorrect [preauth]",
	"ssh_dispatch_run_fatal: Connection from authenticating user %[1]s %[2]s port 40000: Broken pipe [preauth]",
	"Unable to negotiate with authenticating user %[1]s %[2]s port 40000: no matching cipher found. Their offer: %[1]s [preauth]",
	"Unable to negotiate with %[2]s port 40000: no matching cipher found. Their offer: %[1]s [preauth]",
	"error: kex_exchange_identification: client sent invalid protocol identifier \"%[1]s\"",
	"Bad protocol version identification '%[1]s' from %[2]s port 40000", "Bad protocol version identification '%[1]s' from %[2]s",
	"probed from %[2]s port 40000 with %[1]s.  Don't panic.", "scanned from %[2]s port 40000 with %[1]s.  Don't panic.",
	"Received disconnect from %[2]s port 40000:11: %[1]s [preauth]", "error: Received disconnect from %[2]s port 40000:3: %[1]s [preauth]",
	"Received disconnect from %[2]s: 14: %[1]s", "refused connect from %[1]s@scanner.example (%[2]s)",
	"error: PAM: Authentication failure for illegal user %[1]s from %[2]s", "error: PAM: Authentication failure for %[1]s from %[2]s",
	"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%[2]s  user=%[1]s",
	"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=%[2]s  user=%[1]s",
	"pam_sss(sshd:auth): received for user %[1]s: 10 (User not known to the underlying authentication module)",
	"message repeated 3 times: [ Failed password for invalid user %[1]s from %[2]s port 40000 ssh2]",
	"Postponed publickey for %[1]s from %[2]s port 40000 ssh2 [preauth]", "Timeout, client not responding from user %[1]s %[2]s port 40000",
	"subsystem request for %[1]s by user alice", "Starting session: shell on pts/0 for %[1]s from %[2]s port 40000 id 0",
	"%[1]s",
}

// others print text of an attacker's choice and are not sshd.
var others = []string{
	"su: %s", "su[80]: FAILED SU (to root) %s on pts/0", "nginx[81]: %s", "nginx: sshd[1]: %s", "sudo: %s : user NOT in sudoers", "CRON[82]: %s",
	"kernel: %s", "systemd-logind[83]: %s", "dropbear[84]: %s", "xsshd[85]: %s", "sshd2[86]: %s", "postfix/smtpd[87]: warning: %s", "notag sshd[1]: %s",
}

// TestInjection prints every message with every name, the way sshd does, and
// with addresses that cannot be taken: the one in the name must never be blamed.
func TestInjection(t *testing.T) {
	const victim, attacker = "192.0.2.53", "203.0.113.9"
	cases, blamed := 0, 0
	check := func(t *testing.T, p text.Parser, line string, real string) {
		t.Helper()
		cases++
		ev, ok, _ := p.Parse(text.Line{File: "auth.log", Number: 1, Bytes: []byte(line)})
		if !ok {
			return
		}
		checkEvent(t, ev)
		if got := ev.Source.Addr.String(); got != attacker || real != attacker {
			t.Errorf("%q\nblames %s (%s), connection is from %s", line, got, ev.Kind, real)
		}
		if ev.Source.Port != 0 && ev.Source.Port != 40000 {
			t.Errorf("%q\nhas port %d", line, ev.Source.Port)
		}
		blamed++
	}
	sshd, _ := Builtin().Lookup("sshd")
	p := sshd.New(testClock)
	for _, name := range hostileNames {
		cut := name[:min(len(name), 100)]
		for _, message := range messages {
			for _, real := range []string{attacker, "UNKNOWN", "scanner.example"} {
				m := message
				if !strings.Contains(m, "%[2]s") {
					m += "%.0[2]s"
				}
				line := fmt.Sprintf(m, cut, real)
				if real != attacker && line == fmt.Sprintf(m, cut, attacker) {
					continue
				}
				if message == "%[1]s" && strings.HasPrefix(name, "message repeated") {
					continue // rsyslog's own words: sshd never begins a message with a name
				}
				check(t, p, "Nov 22 05:00:00 gate sshd[700]: "+line, real)
				check(t, p, "2026-11-22T05:00:00.123456+00:00 gate sshd-session[700]: "+line+"\r", real)
				check(t, p, "<38>1 2026-11-22T05:00:00.123456Z gate sshd 700 - [x@1 y=\"] \"] "+line, real)
			}
		}
		for _, other := range others {
			for _, message := range []string{name, "Failed password for root from 192.0.2.53 port 22 ssh2 " + name, "sshd[1]: Invalid user " + name + " from 192.0.2.53 port 22"} {
				line := fmt.Sprintf(other, message)
				check(t, p, "Nov 22 05:00:00 gate "+line, "nowhere")
				if !strings.HasPrefix(other, "notag") { // which would be the host's name
					check(t, p, "Nov 22 05:00:00 "+line, "nowhere")
				}
				check(t, p, "2026-11-22T05:00:00+00:00 gate "+line, "nowhere")
				check(t, p, "<38>1 2026-11-22T05:00:00Z gate su 1 - - "+line, "nowhere")
			}
		}
	}
	if blamed < cases/20 {
		t.Errorf("only %d of %d lines were evidence: are these sshd's messages?", blamed, cases)
	}
	t.Logf("%d lines, %d of them evidence against the attacker, none against %s", cases, blamed, victim)
}

// TestNamesBlameNobody looks into the recorded logs of real servers, in which clients
// named themselves so that 203.0.113.99 would be blamed. Evidence that is known to be
// anybody's to write blames nobody.
func TestNamesBlameNobody(t *testing.T) {
	named := 0
	for _, f := range Builtin() {
		logs, _ := filepath.Glob(filepath.Join("testdata", f.Name, "*.log"))
		for _, path := range logs {
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			named += bytes.Count(log, []byte("203.0.113.99"))
			for _, r := range parseAll(t, f, testClock, path, log) {
				if r.Source.Addr.String() == "203.0.113.99" && r.Proof != event.Spoofable {
					t.Errorf("%s:%d blames the innocent", path, r.Line)
				}
			}
		}
	}
	if named < 100 {
		t.Errorf("the logs name the innocent %d times: this test shows nothing", named)
	}
}
