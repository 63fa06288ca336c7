package probe

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/probe/text"
)

// TestNoAllocations holds what the design promises: a line that is no evidence
// costs no allocation, whatever the format.
func TestNoAllocations(t *testing.T) {
	const head = "Nov 22 05:00:00 gate "
	journal := `{"__REALTIME_TIMESTAMP":"1762077600000000","_COMM":"%s","_PID":"7","MESSAGE":"%s"}`
	for format, quiet := range map[string][]string{
		"sshd": {
			"", "garbage", head + "CRON[80]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)", head + "sshd[700]: Server listening on 0.0.0.0 port 22.",
			head + "sshd[700]: Received disconnect from 203.0.113.9 port 40000:11: Bye Bye [preauth]", head + "sshd[700]: Disconnected from user alice 203.0.113.9 port 40000",
			head + "sshd[700]: Connection closed by 203.0.113.9 port 40000", head + "sshd[700]: Connection closed by 2001:db8::9 port 40000",
			head + "sshd[700]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)", head + "sshd[700]: Failed publickey for alice from 203.0.113.9 port 40000 ssh2: RSA SHA256:abc",
			head + "sshd[700]: Failed password for alice from host.example port 40000 ssh2", head + "sshd[700]: error: kex_exchange_identification: Connection closed by remote host",
			head + "sshd[700]: drop connection #12 from [203.0.113.11]:40004 on [203.0.113.1]:22 past Maxstartups", head + "sshd[700]: Connection from 203.0.113.9 port 40000 on 203.0.113.1 port 22",
			"2026-11-22T05:00:00.123456+00:00 gate sshd[700]: Postponed publickey for alice from 203.0.113.9 port 40000 ssh2 [preauth]",
			"<38>1 2026-11-22T05:00:00Z gate sshd 700 - [x@1 y=\"z\"] Starting session: shell on pts/0 for alice from 203.0.113.9 port 40000 id 0",
		},
		"dropbear": {"", head + "dropbear[1638]: Child connection from 203.0.113.9:41255", head + "dropbear[1638]: Child connection from 2001:db8:1::9:41255"},
		"journald": {
			"", fmt.Sprintf(journal, "cron", "session opened"), fmt.Sprintf(journal, "sshd", "Disconnecting: bye"), fmt.Sprintf(journal, "sshd", "Server listening on :: port 22."),
		},
		"snort-fast":  {"", "Commencing packet processing", "08/28-12:09:08.000000  [**] [112:1:1] (spp_arpspoof) Unicast ARP request [**] [Priority: 3] {ARP}"},
		"snort-full":  {"", "TCP TTL:56 TOS:0x0 ID:11232 IpLen:20 DgmLen:44", "******S* Seq: 0x25137CDA  Ack: 0x0  Win: 0x400  TcpLen: 24"},
		"snort3-json": {"", `{ "timestamp" : "08/28-12:09:03.123456", "pkt_num" : 10 }`},
		"web-access": {
			"", `198.51.100.30 - - [25/Nov/2026:17:24:46 +0000] "GET /tea/index.html?q=cake HTTP/1.1" 200 612 "-" "Mozilla/5.0"`,
			`198.51.100.30 - - [25/Nov/2026:17:24:46 +0000] "GET /favicon.ico HTTP/1.1" 404 153 "-" "Mozilla/5.0"`,
			`198.51.100.30 - - [25/Nov/2026:17:24:46 +0000] "GET /?q=tea%20%26%20cake HTTP/1.1" 200 5 "-" "Mozilla/5.0"`,
		},
		"web-error": {
			"", `2026/11/25 17:24:36 [error] 1#1: *2 open() "/var/www/favicon.ico" failed (2: No such file or directory), client: 198.51.100.30, server: , request: "GET / HTTP/1.1"`,
			`[Wed Nov 25 20:33:40.958984 2026] [security2:error] [pid 12260:tid 12264] [client 198.51.100.30:39284] ModSecurity: Warning. Operator GE matched 5 at TX:inbound_anomaly_score. [id "980130"] [msg "Inbound Anomaly Score Exceeded"] [severity "NOTICE"]`,
		},
		"vsftpd": {"", `Wed Nov 25 17:24:49 2026 [pid 31367] CONNECT: Client "198.51.100.30"`},
		"auditd": {
			"", `type=CWD msg=audit(1795636345.508:15): cwd="/root"`,
			`type=SYSCALL msg=audit(1795636345.492:3): arch=c000003e syscall=44 success=yes exit=1068 ppid=1 pid=9 uid=0 comm="auditctl" exe="/usr/sbin/auditctl" key=(null)`,
			"type=SYSCALL msg=audit(1795636345.508:15): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 ppid=8 pid=9 uid=1000 comm=\"ls\" exe=\"/usr/bin/ls\" key=(null)\x1dARCH=x86_64 SYSCALL=execve UID=\"alice\"",
			`type=EXECVE msg=audit(1795636345.508:15): argc=2 a0="ls" a1=C3A9`,
			`type=USER_AUTH msg=audit(1795636345.508:16): pid=7 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication grantors=pam_unix acct="alice" exe="/usr/sbin/sshd" hostname=198.51.100.30 addr=198.51.100.30 terminal=ssh res=success'`,
			`type=USER_AUTH msg=audit(1795636345.508:16): pid=7 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication grantors=? acct="alice" exe="/usr/bin/su" hostname=? addr=? terminal=pts/0 res=failed'`,
		},
		"suricata": {"", `{"timestamp":"2026-11-22T05:00:09.000000+0000","event_type":"flow","src_ip":"203.0.113.9"}`},
	} {
		f, err := Builtin().Lookup(format)
		if err != nil {
			t.Fatal(err)
		}
		p := f.New(testClock)
		for _, s := range quiet {
			line := text.Line{File: "x.log", Number: 1, Bytes: []byte(s)}
			if allocs := testing.AllocsPerRun(100, func() {
				if ev, ok, err := p.Parse(line); ok || err != nil {
					t.Errorf("%s: %q is taken for %+v, %v", format, s, ev, err)
				}
			}); allocs > 0 {
				t.Errorf("%s: %v allocations for %q", format, allocs, s)
			}
		}
	}
}

// TestLongLines gives every parser long lines that are built to make it start over
// again and again: quadratic work would take minutes.
func TestLongLines(t *testing.T) {
	const sshd = "Nov 22 05:00:00 gate sshd[700]: "
	heads := []string{"", sshd, "<38>1 2026-11-22T05:00:00Z gate sshd 700 - [x y=\"", "08/28-12:09:00.123456  [**] [1:1:1] ", "[**] [1:1:1] ",
		`{"event_type":"alert","alert":`, `{"_COMM":"sshd","MESSAGE":`, `{"_COMM":"sshd","MESSAGE":"`, `{ "src_ap" : "1.2.3.4:1", "rule" : `}
	fillers := []string{" from ", " from x port 1 ssh2: ", " for ", ": ", "[", "]", " [**]", " port 1", "cve", "cve-1", " rhost=", "\x00", "\xff", "1", " -> ", "} {",
		": Change of username or service not allowed: (", `\"`, `"`, " (", ","}
	start := time.Now()
	for _, f := range Builtin() {
		p := f.New(testClock)
		try := func(head, filler string, size int) {
			b := append([]byte(head), bytes.Repeat([]byte(filler), size/len(filler))...)
			if ev, ok, _ := p.Parse(text.Line{File: "x.log", Number: 1, Bytes: b}); ok {
				checkEvent(t, ev)
			}
		}
		for _, filler := range fillers {
			for _, head := range heads {
				try(head, filler, 64<<10)
			}
			try(heads[0], filler, 1<<20)
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// mix makes a log of n lines as a server under attack writes it, with sources
// and users in great number.
func mix(format string, n int) []byte {
	ssh := newSSHMix(1)
	if format == "sshd" {
		return ssh.log(n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(time.Duration(r.IntN(80)) * time.Millisecond)
		ip := fmt.Sprintf("203.%d.113.%d", r.IntN(28), 1+r.IntN(250))
		port := 1024 + r.IntN(60000)
		switch format {
		case "journald":
			at, tag, pid, message := ssh.next()
			fmt.Fprintf(&b, `{"__CURSOR":"s=0;i=%x","__REALTIME_TIMESTAMP":"%d","_BOOT_ID":"0123456789abcdef0123456789abcdef","_TRANSPORT":"syslog","PRIORITY":"6","SYSLOG_IDENTIFIER":"%s","_PID":"%d","_UID":"0","_COMM":"%s","_EXE":"/usr/sbin/sshd","_SYSTEMD_UNIT":"ssh.service","_HOSTNAME":"gate","MESSAGE":"%s"}`+"\n",
				i, at.UnixMicro(), tag, pid, tag, message)
		case "snort-fast":
			fmt.Fprintf(&b, "%s  [**] [1:%d:1] SCAN of something (CVE-2021-%d) [**] [Classification: Attempted Information Leak] [Priority: %d] {TCP} %s:%d -> 198.51.100.2:22\n",
				at.Format("01/02-15:04:05.000000"), 1000+r.IntN(999), 1000+r.IntN(9000), 1+r.IntN(4), ip, port)
		case "snort-full":
			fmt.Fprintf(&b, "[**] [1:%d:1] SCAN of something [**]\n[Classification: Attempted Information Leak] [Priority: 2] \n%s %s:%d -> 198.51.100.2:22\nTCP TTL:56 TOS:0x0 ID:11232 IpLen:20 DgmLen:44\n******S* Seq: 0x25137CDA  Ack: 0x0  Win: 0x400  TcpLen: 24\n\n",
				1000+r.IntN(999), at.Format("01/02-15:04:05.000000"), ip, port)
		case "snort3-json":
			fmt.Fprintf(&b, `{ "timestamp" : "%s", "pkt_num" : %d, "proto" : "TCP", "pkt_gen" : "raw", "pkt_len" : 60, "dir" : "C2S", "src_ap" : "%s:%d", "dst_ap" : "198.51.100.2:22", "rule" : "1:%d:1", "action" : "allow" }`+"\n",
				at.Format("01/02-15:04:05.000000"), i, ip, port, 1000+r.IntN(999))
		case "web-access": // most requests are honest
			request, status := "GET /tea/index.html?q=cake", 200
			if r.IntN(5) == 0 {
				request, status = "GET /phpMyAdmin/index.php", 404
			}
			fmt.Fprintf(&b, "%s - - [%s] \"%s HTTP/1.1\" %d %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n",
				ip, at.Format("02/Jan/2006:15:04:05 -0700"), request, status, r.IntN(9000))
		case "web-error":
			fmt.Fprintf(&b, "[%s] [auth_basic:error] [pid %d:tid 7] [client %s:%d] AH01617: user alice: authentication failure for \"/private/\": Password Mismatch\n",
				at.Format("Mon Jan 02 15:04:05.000000 2006"), 1000+r.IntN(9000), ip, port)
		case "vsftpd":
			what := `CONNECT`
			if r.IntN(2) == 0 {
				what = `[root] FAIL LOGIN`
			}
			fmt.Fprintf(&b, "%s [pid %d] %s: Client \"%s\"\n", at.Format("Mon Jan _2 15:04:05 2006"), 1000+r.IntN(9000), what, ip)
		case "auditd": // most programs are honest
			id, exe, arg := fmt.Sprintf("msg=audit(%d.000:%d):", at.Unix(), i-i%5), "/usr/bin/grep", "2D65"
			if r.IntN(50) == 0 {
				exe = "/tmp/x"
			}
			switch i % 5 {
			case 0:
				fmt.Fprintf(&b, "type=SYSCALL %s arch=c000003e syscall=59 success=yes exit=0 a0=7ffd1b2e22c0 a1=7ffd1b2e2688 a2=7ffd1b2e26a8 a3=b9296427bdb0b8d4 items=2 ppid=27409 pid=%d auid=4294967295 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000 tty=(none) ses=4294967295 comm=\"x\" exe=\"%s\" key=\"exec\"\x1dARCH=x86_64 SYSCALL=execve AUID=\"unset\" UID=\"alice\" GID=\"alice\" EUID=\"alice\"\n", id, port, exe)
			case 1:
				fmt.Fprintf(&b, "type=EXECVE %s argc=4 a0=\"grep\" a1=%s a2=\"--color=auto\" a3=\"/var/log/syslog\"\n", id, arg)
			case 2:
				fmt.Fprintf(&b, "type=CWD %s cwd=\"/home/alice\"\n", id)
			case 3:
				fmt.Fprintf(&b, "type=PATH %s item=0 name=\"/usr/bin/grep\" inode=247072 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID=\"root\" OGID=\"root\"\n", id)
			case 4:
				fmt.Fprintf(&b, "type=PROCTITLE %s proctitle=67726570002D6500\n", id)
			}
			at = at.Truncate(time.Second) // the records of one program have one time
		case "suricata": // most records of an eve.json are not alerts
			if r.IntN(10) > 0 {
				fmt.Fprintf(&b, `{"timestamp":"%s","flow_id":%d,"in_iface":"eth0","event_type":"flow","src_ip":"%s","src_port":%d,"dest_ip":"198.51.100.2","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":9,"pkts_toclient":8,"bytes_toserver":1200,"bytes_toclient":5400,"state":"closed","reason":"timeout","alerted":false}}`+"\n",
					at.Format("2006-01-02T15:04:05.000000-0700"), i, ip, port)
				break
			}
			fmt.Fprintf(&b, `{"timestamp":"%s","flow_id":%d,"in_iface":"eth0","event_type":"alert","src_ip":"%s","src_port":%d,"dest_ip":"198.51.100.2","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":%d,"rev":3,"signature":"ET WEB something","category":"Attempted User Privilege Gain","severity":1},"http":{"hostname":"www.example","url":"/"},"app_proto":"http"}`+"\n",
				at.Format("2006-01-02T15:04:05.000000-0700"), i, ip, port, 2000000+r.IntN(999))
		default:
			line := networkLine(format, r, i, at, ip, port)
			if line == "" {
				line = daemonLine(format, i, at, ip, port)
			}
			b.WriteString(line + "\n")
		}
	}
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, f := range Builtin() {
		b.Run(f.Name, func(b *testing.B) {
			log := mix(f.Name, 20_000)
			split := bytes.Split(bytes.TrimSuffix(log, []byte("\n")), []byte("\n"))
			events := 0
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			start := cpuSeconds()
			for b.Loop() {
				p := f.New(text.Clock{Zone: time.UTC})
				for i, line := range split {
					if _, ok, err := p.Parse(text.Line{File: "x.log", Number: int64(i + 1), Bytes: line}); err != nil {
						b.Fatal(err)
					} else if ok {
						events++
					}
				}
			}
			b.ReportMetric(float64(b.N*len(split))/(cpuSeconds()-start), "lines/cpu-s")
			b.ReportMetric(float64(events)/float64(b.N*len(split)), "events/line")
		})
	}
}

// BenchmarkSSHD reads a log of sshd's with a plain line scan and with the parser
// by turns, and reports the best of each: on a machine that is shared, also with
// other virtual ones, a round of a few milliseconds may be left alone.
func BenchmarkSSHD(b *testing.B) {
	const lines = 20_000
	f, err := Builtin().Lookup("sshd")
	if err != nil {
		b.Fatal(err)
	}
	log := newSSHMix(1).log(lines)
	scan, parse := math.Inf(1), math.Inf(1)
	round := func(handle func(follow.Line) error) float64 {
		start := cpuSeconds()
		if err := follow.Lines(b.Context(), bytes.NewReader(log), 0, handle); err != nil {
			b.Fatal(err)
		}
		return cpuSeconds() - start
	}
	for b.Loop() {
		scan = min(scan, round(func(follow.Line) error { return nil }))
		p := f.New(testClock)
		parse = min(parse, round(func(l follow.Line) error {
			_, _, err := p.Parse(text.Line{File: "auth.log", Number: l.Number, Bytes: l.Bytes})
			return err
		}))
	}
	b.ReportMetric(lines/scan, "scanned/cpu-s")
	b.ReportMetric(lines/parse, "parsed/cpu-s")
	b.ReportMetric(parse/scan, "parse/scan")
}
