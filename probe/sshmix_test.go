package probe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// sshMix writes the auth.log of a Debian server under attack, whose sshd takes
// passwords; the same whenever the seed is. The shares are chosen, the lines of
// each connection are what sshd writes:
//
//	connection or job                          of 26  lines  evidence
//	CRON                                         5      2      0
//	sudo                                         1      3      0
//	login with a key, until the session is gone  3      9      1 (credit)
//	password for root, two tries                 4      5      4
//	password for an account that is not there    4      5      4
//	the same, the client says goodbye            4      6      4
//	goodbye before a password                    3      2      1
//	scanner: no banner, or not SSH               2      2, 1   1
//
// They make half of the lines evidence, as in a laboratory's log (124 of 246); in a
// real one of 2014, of an sshd that took keys only, it was 2,294 of 10,567. There
// are 7,000 attackers, one in fifty with an IPv6 address, and 220 names, twenty of
// which make 60 % of the tries, as in the log of 2014; and a line each 0.6 seconds,
// which makes a million lines a week.
type sshMix struct {
	*rand.Rand
	at   time.Time
	pid  int
	open []process // at most four at once
}

// process is the lines that one process has yet to write.
type process struct {
	tag      string
	pid      int
	messages []string
}

func newSSHMix(seed uint64) *sshMix {
	return &sshMix{Rand: rand.New(rand.NewPCG(seed, 2)), at: time.Date(2026, 11, 14, 0, 0, 0, 0, time.UTC), pid: 1000}
}

// next makes the next line without its header.
func (m *sshMix) next() (at time.Time, tag string, pid int, message string) {
	for len(m.open) < 4 {
		m.pid++
		m.open = append(m.open, m.start(m.pid))
	}
	m.at = m.at.Add(time.Duration(m.IntN(1210)) * time.Millisecond)
	i := m.IntN(len(m.open))
	p := &m.open[i]
	tag, pid, message = p.tag, p.pid, p.messages[0]
	if before, rest, ok := strings.Cut(message, "|"); ok {
		tag, pid, message = before, 600, rest
	}
	if p.messages = p.messages[1:]; len(p.messages) == 0 {
		m.open = slices.Delete(m.open, i, i+1)
	}
	return m.at, tag, pid, message
}

// log makes n lines as rsyslog writes them to a file.
func (m *sshMix) log(n int) []byte {
	var b bytes.Buffer
	for range n {
		at, tag, pid, message := m.next()
		fmt.Fprintf(&b, "%s gate %s[%d]: %s\n", at.Format(time.Stamp), tag, pid, message)
	}
	return b.Bytes()
}

// start makes the lines of one connection or job. What stands before a bar is
// another process's name.
func (m *sshMix) start(pid int) process {
	attacker := m.IntN(7000)
	ip := fmt.Sprintf("198.%d.%d.%d", 18+attacker%2, attacker/250, 1+attacker%250)
	if attacker%50 == 0 {
		ip = fmt.Sprintf("2001:db8:%x::%x", attacker, 1+attacker%7)
	}
	peer := fmt.Sprintf("%s port %d", ip, 1024+m.IntN(60000))
	pam := "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=" + ip + " "
	names := strings.Fields("admin test user ubuntu oracle postgres git guest ftpuser nagios deploy hadoop zabbix pi mysql tomcat jenkins support www dev")
	user := names[m.IntN(len(names))]
	if m.IntN(10) >= 6 {
		user = fmt.Sprintf("%s%d", user, m.IntN(10))
	}
	switch kind := m.IntN(26); {
	case kind < 5:
		return process{"CRON", pid, []string{
			"pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
			"pam_unix(cron:session): session closed for user root"}}
	case kind < 6:
		return process{"sudo", pid, []string{
			"   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt-get update",
			"pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
			"pam_unix(sudo:session): session closed for user root"}}
	case kind < 9:
		return process{"sshd", pid, []string{
			"Accepted publickey for alice from " + peer + " ssh2: ED25519 SHA256:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg",
			"pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
			fmt.Sprintf("systemd-logind|New session %d of user alice.", pid),
			"systemd|pam_unix(systemd-user:session): session opened for user alice(uid=1000) by (uid=0)",
			"Received disconnect from " + peer + ":11: disconnected by user",
			"Disconnected from user alice " + peer,
			"pam_unix(sshd:session): session closed for user alice",
			fmt.Sprintf("systemd-logind|Session %d logged out. Waiting for processes to exit.", pid),
			fmt.Sprintf("systemd-logind|Removed session %d.", pid)}}
	case kind < 13:
		return process{"sshd", pid, []string{
			pam + " user=root",
			"Failed password for root from " + peer + " ssh2",
			"Failed password for root from " + peer + " ssh2",
			"Received disconnect from " + peer + ":11: Bye Bye [preauth]",
			"Disconnected from authenticating user root " + peer + " [preauth]"}}
	case kind < 21:
		lines := []string{
			"Invalid user " + user + " from " + peer,
			"pam_unix(sshd:auth): check pass; user unknown",
			pam,
			"Failed password for invalid user " + user + " from " + peer + " ssh2"}
		if kind < 17 {
			return process{"sshd", pid, append(lines, "Connection closed by invalid user "+user+" "+peer+" [preauth]")}
		}
		return process{"sshd", pid, append(lines,
			"Received disconnect from "+peer+":11: Bye Bye [preauth]",
			"Disconnected from invalid user "+user+" "+peer+" [preauth]")}
	case kind < 24:
		return process{"sshd", pid, []string{
			"Received disconnect from " + peer + ":11: Bye Bye [preauth]",
			"Disconnected from authenticating user root " + peer + " [preauth]"}}
	case kind < 25:
		return process{"sshd", pid, []string{
			"error: kex_exchange_identification: Connection closed by remote host",
			"Connection closed by " + peer}}
	default:
		return process{"sshd", pid, []string{"banner exchange: Connection from " + peer + ": invalid format"}}
	}
}
