package probe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/text"
)

// networkLine is a line of a firewall, a monitor, a honeypot or a proxy under attack.
func networkLine(format string, r *rand.Rand, i int, at time.Time, ip string, port int) string {
	honest := r.IntN(3) > 0
	stamp := at.Format("Jan _2 15:04:05")
	switch format {
	case "netfilter":
		flags := "SYN"
		if honest {
			flags = "ACK FIN"
		}
		return fmt.Sprintf("%s gate kernel: [%6d.%06d] [UFW BLOCK] IN=eth0 OUT= MAC=02:00:00:00:00:02:02:00:00:00:00:30:08:00 SRC=%s DST=198.51.100.2 LEN=44 TOS=0x00 PREC=0x00 TTL=53 ID=%d PROTO=TCP SPT=%d DPT=%d WINDOW=1024 RES=0x00 %s URGP=0 ",
			stamp, i, i, ip, r.IntN(65536), port, r.IntN(1024)+1, flags)
	case "filterlog":
		flags := "S"
		if honest {
			flags = "FA"
		}
		return fmt.Sprintf("%s gate filterlog[700]: 53,,,1000000301,em0,match,block,in,4,0x0,,64,%d,0,none,6,tcp,44,%s,198.51.100.2,%d,22,0,%s,31552001,,65535,,mss", stamp, r.IntN(65536), ip, port, flags)
	case "mikrotik":
		flags := "SYN"
		if honest {
			flags = "ACK,FIN"
		}
		return fmt.Sprintf("%s router firewall,info drop input: in:ether1 out:(unknown 0), connection-state:new src-mac 02:00:00:00:00:30, proto TCP (%s), %s:%d->198.51.100.2:23, len 40", stamp, flags, ip, port)
	case "cisco-asa":
		if honest {
			return fmt.Sprintf("%s asa : %%ASA-6-302013: Built inbound TCP connection %d for outside:%s/%d (%s/%d) to inside:198.51.100.2/443 (198.51.100.2/443)", stamp, i, ip, port, ip, port)
		}
		return fmt.Sprintf("%s asa : %%ASA-4-106023: Deny tcp src outside:%s/%d dst inside:198.51.100.2/22 by access-group \"outside_in\" [0x0, 0x0]", stamp, ip, port)
	case "unifi":
		return fmt.Sprintf("CEF:0|Ubiquiti|UniFi Network|10.0.140|201|Threat Detected and Blocked|7|proto=TCP src=%s spt=%d dst=198.51.100.2 dpt=80 UNIFIcategory=Security UNIFIrisk=medium UNIFIipsSignatureId=2402000 UNIFIutcTime=%s msg=x",
			ip, port, at.Format("2006-01-02T15:04:05.000Z"))
	case "portsentry":
		return fmt.Sprintf("%s gate portsentry[791]: attackalert: SYN/Normal scan from host: %s/%s to TCP port: %d", stamp, ip, ip, r.IntN(65535)+1)
	case "zeek":
		if i == 0 {
			return "#separator \\x09\n#unset_field\t-\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents"
		}
		state := "S0"
		if honest {
			state = "SF"
		}
		return fmt.Sprintf("%d.%06d\tC%012d\t%s\t%d\t198.51.100.2\t443\ttcp\tssl\t0.182943\t480\t34266\t%s\tF\tT\t0\tShADadFf\t18\t1212\t38\t35790\t(empty)", at.Unix(), i, i, ip, port, state)
	case "zeek-json":
		state := "S0"
		if honest {
			state = "SF"
		}
		return fmt.Sprintf(`{"ts":%d.%06d,"uid":"C%012d","id.orig_h":"%s","id.orig_p":%d,"id.resp_h":"198.51.100.2","id.resp_p":443,"proto":"tcp","service":"ssl","duration":0.18294,"orig_bytes":480,"resp_bytes":34266,"conn_state":"%s","local_orig":false,"local_resp":true,"missed_bytes":0,"history":"ShADadFf","orig_pkts":18,"orig_ip_bytes":1212,"resp_pkts":38,"resp_ip_bytes":35790}`,
			at.Unix(), i, i, ip, port, state)
	case "cowrie":
		id := "cowrie.login.failed"
		if honest {
			id = "cowrie.client.version"
		}
		return fmt.Sprintf(`{"eventid":"%s","username":"root","password":"x","message":"login attempt [root/x] failed","sensor":"trap","timestamp":"%s","src_ip":"%s","session":"%012x"}`, id, at.Format("2006-01-02T15:04:05.000000Z"), ip, i/5)
	case "opencanary":
		return fmt.Sprintf(`{"dst_host": "198.51.100.2", "dst_port": 22, "local_time": "%[1]s", "logdata": {"LOCALVERSION": "SSH-2.0-x", "PASSWORD": "x", "REMOTEVERSION": "SSH-2.0-Go", "USERNAME": "root"}, "logtype": 4002, "node_id": "trap", "src_host": "%[2]s", "src_port": %[3]d, "utc_time": "%[1]s"}`, at.Format("2006-01-02 15:04:05.000000"), ip, port)
	case "dionaea":
		return fmt.Sprintf(`{"connection": {"protocol": "smbd", "transport": "tcp", "type": "accept"}, "dst_ip": "198.51.100.2", "dst_port": 445, "src_hostname": "", "src_ip": "%s", "src_port": %d, "timestamp": "%s"},`, ip, port, at.Format("2006-01-02T15:04:05.000000"))
	case "honeytrap":
		return fmt.Sprintf(`{ "is_virtual": false, "start_time": "%[1]s", "end_time": "%[1]s", "attack_connection": { "protocol": "tcp", "remote_ip": "%[2]s", "remote_port": %[3]d, "local_ip": "198.51.100.2", "local_port": 8728, "payload": { "md5_hash": "d41d8cd98f00b204e9800998ecf8427e", "length": 0, "data_hex": "" } }, "operation_mode": 1 },`, at.Format("2006-01-02T15:04:05Z"), ip, port)
	case "honeyd":
		return fmt.Sprintf("%s tcp(6) - %s %d 198.51.100.2 80: 44 S [Linux 2.6 ]", at.Format("2006-01-02-15:04:05.0000"), ip, port)
	case "endlessh":
		if honest {
			return fmt.Sprintf("%s CLOSE host=%s port=%d fd=4 time=20.017 bytes=20", at.Format("2006-01-02T15:04:05.000Z"), ip, port)
		}
		return fmt.Sprintf("%s ACCEPT host=%s port=%d fd=4 n=1/4096", at.Format("2006-01-02T15:04:05.000Z"), ip, port)
	case "sshesame":
		if honest {
			return fmt.Sprintf("%s [%s:%d] connection closed", at.Format("2006/01/02 15:04:05"), ip, port)
		}
		return fmt.Sprintf(`%s [%s:%d] authentication for user "root" with password "x" accepted`, at.Format("2006/01/02 15:04:05"), ip, port)
	case "traefik":
		path, status := "/tea?q=cake", 200
		if !honest {
			path, status = "/phpmyadmin/", 404
		}
		return fmt.Sprintf(`{"ClientAddr":"%[1]s:%[2]d","ClientHost":"%[1]s","ClientPort":"%[2]d","ClientUsername":"-","DownstreamContentSize":356,"DownstreamStatus":%[4]d,"Duration":215563,"OriginDuration":204708,"Overhead":10855,"RequestAddr":"www.example","RequestCount":113,"RequestHost":"www.example","RequestMethod":"GET","RequestPath":"%[3]s","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"http","RouterName":"shop@docker","StartUTC":"%[5]s","level":"info","msg":"","time":"%[5]s"}`,
			ip, port, path, status, at.Format("2006-01-02T15:04:05.000000000Z"))
	case "haproxy":
		path, status := "/tea?q=cake", 200
		if !honest {
			path, status = "/phpmyadmin/", 404
		}
		return fmt.Sprintf(`%s:%d [%s] www~ shop/a 0/0/0/12/12 %d 739 - - ---- 19/19/3/4/0 0/0 {Mozilla/5.0} "GET %s HTTP/1.1"`, ip, port, at.Format("02/Jan/2006:15:04:05.000"), status, path)
	case "iis":
		if i == 0 {
			return "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken"
		}
		path, status := "/tea q=cake", 200
		if !honest {
			path, status = "/phpmyadmin/ -", 404
		}
		return fmt.Sprintf("%s 198.51.100.2 GET %s 443 - %s Mozilla/5.0+(X11) - %d 0 0 3", at.Format("2006-01-02 15:04:05"), path, ip, status)
	case "nginx-proxy-manager":
		path, status := "/tea?q=cake", 200
		if !honest {
			path, status = "/phpmyadmin/", 404
		}
		return fmt.Sprintf(`[%s] - %d %d - GET https shop.example "%s" [Client %s] [Length 153] [Gzip -] [Sent-to 198.51.100.4] "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)" "-"`, at.Format("02/Jan/2006:15:04:05 -0700"), status, status, path, ip)
	}
	return ""
}

// TestNoAllocationsNetwork: as TestNoAllocations, for those formats.
func TestNoAllocationsNetwork(t *testing.T) {
	const head = "Nov 22 05:00:00 gate "
	for format, quiet := range map[string][]string{
		"netfilter": {
			"", "garbage", head + "sshd[700]: Server listening on 0.0.0.0 port 22.", head + "kernel: [  100.000001] usb 1-1: new device",
			head + "kernel: [UFW ALLOW] IN=eth0 OUT= MAC=02:00 SRC=203.0.113.9 DST=198.51.100.2 LEN=44 PROTO=TCP SPT=1 DPT=22 WINDOW=1 RES=0x00 SYN URGP=0",
			head + "kernel: DROP IN=eth0 OUT= MAC=02:00 SRC=2001:0db8:0000:0000:0000:0000:0000:0030 DST=2001:0db8:0000:0000:0000:0000:0000:0002 LEN=44 PROTO=TCP SPT=443 DPT=40000 WINDOW=1 RES=0x00 ACK FIN URGP=0",
			"0 0 PVEFW-HOST-IN 20/Jun/2022:13:09:14 +0200 ACCEPT: IN=vmbr0 MAC=02:00 SRC=203.0.113.9 DST=198.51.100.2 LEN=60 PROTO=TCP SPT=1 DPT=8006 WINDOW=1 SYN ",
		},
		"filterlog": {"", head + "filterlog: 53,,,1000000301,em0,match,pass,in,4,0x0,,64,420,0,none,6,tcp,460,203.0.113.9,198.51.100.2,53742,22,420,PA,29633380:29633800,3617062173,65535,,",
			head + "filterlog: 53,,,1000000301,em0,match,block,in,4,0x0,,64,420,0,none,6,tcp,460,203.0.113.9,198.51.100.2,53742,22,420,PA,29633380:29633800,3617062173,65535,,"},
		"mikrotik":   {"", head + "firewall,info accept input: in:ether1 out:(unknown 0), proto TCP (SYN), 203.0.113.9:59388->198.51.100.2:443, len 40", head + "system,info,account user admin logged in from 198.51.100.30 via ssh"},
		"cisco-asa":  {"", head + ": %ASA-6-302013: Built inbound TCP connection 1 for outside:203.0.113.9/1 (203.0.113.9/1) to inside:198.51.100.2/443", head + ": %ASA-6-106015: Deny TCP (no connection) from 203.0.113.9/443 to 198.51.100.2/50000 flags FIN ACK  on interface outside"},
		"unifi":      {"", "CEF:0|Ubiquiti|UniFi Network|9.4.19|544|Admin Accessed UniFi Network|1|UNIFIcategory=System src=10.72.1.222 UNIFIutcTime=2025-09-04T08:32:58.445Z"},
		"portsentry": {"", head + "portsentry[1]: attackalert: Host: 203.0.113.9/203.0.113.9 is already blocked Ignoring", head + "portsentry[1]: adminalert: PortSentry is now active and listening."},
		"zeek": {"", "#close\t2026-11-21-06-00-00",
			`{"ts":1795237203,"uid":"C3","id.orig_h":"203.0.113.9","id.orig_p":1,"id.resp_h":"198.51.100.2","id.resp_p":443,"proto":"tcp","conn_state":"SF","history":"ShADadfF"}`,
			`{"ts":1795237203,"note":"SSL::Invalid_Server_Cert","msg":"x \"y\" z","src":"203.0.113.9"}`},
		"cowrie":              {"", `{"eventid":"cowrie.client.version","version":"SSH-2.0-\"x","src_ip":"203.0.113.9","session":"1","timestamp":"2026-11-21T05:00:09Z"}`, "2026-11-21T05:00:08.123456Z [HoneyPotSSHTransport,12,203.0.113.9] Connection lost after 3 seconds"},
		"opencanary":          {"", `{"dst_host": "", "dst_port": -1, "local_time": "2026-11-21 05:00:01.432376", "logdata": {"msg": "x"}, "logtype": 1001, "node_id": "trap", "src_host": "", "src_port": -1, "utc_time": "2026-11-21 05:00:01.432376"}`},
		"dionaea":             {"", `{"connection": {"protocol": "mirrorc", "transport": "tcp", "type": "connect"}, "dst_ip": "203.0.113.9", "dst_port": 445, "src_ip": "198.51.100.2", "src_port": 1401, "timestamp": "2026-11-21T05:00:03.472515"},`},
		"honeytrap":           {"", `{"attacks":[`, `{ "start_time": "2026-11-21T05:00:03Z", "attack_connection": { "protocol": "ip", "remote_ip": "0.0.0.0", "remote_port": 0, "local_ip": "0.0.0.0", "local_port": 0 } },`},
		"honeyd":              {"", "2026-11-21-05:00:06.1239 udp(17) E 203.0.113.9 43569 198.51.100.2 135: 280 0", head + "honeyd[1]: Sending ICMP Echo Reply: 198.51.100.2 -> 203.0.113.9"},
		"endlessh":            {"", "2026-11-21T05:00:21.830Z CLOSE host=::ffff:203.0.113.9 port=39590 fd=4 time=20.017 bytes=20", "I1121 05:00:25.751686       1 client.go:99] CLOSE host=203.0.113.9 port=53598 time=13.00339604 bytes=199"},
		"sshesame":            {"", "2026/11/21 05:00:05 [203.0.113.9:28696] connection closed", `2026/11/21 05:00:05 [203.0.113.9:28696] authentication for user "x" without credentials rejected`},
		"traefik":             {"", `{"ClientHost":"203.0.113.9","ClientPort":"1","ClientUsername":"-","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/tea?q=\"cake","RequestProtocol":"HTTP/1.1","StartUTC":"2026-11-21T05:00:01Z"}`},
		"haproxy":             {"", `203.0.113.9:10285 [21/Nov/2026:05:00:02.088] www~ shop/a 0/0/0/1263/1264 200 20602 - - ---- 19/19/3/4/0 0/0 {Mozilla/5.0} "GET / HTTP/1.1"`, `203.0.113.9:50036 [21/Nov/2026:05:00:06.345] www/1: Connection closed during SSL handshake`},
		"iis":                 {"", "#Software: Microsoft Internet Information Services 10.0"},
		"nginx-proxy-manager": {"", `[21/Nov/2026:06:00:02 +0100] - 200 200 - GET https shop.example "/tea" [Client 203.0.113.9] [Length 153] [Gzip 2.1] [Sent-to 198.51.100.4] "Mozilla/5.0" "-"`},
	} {
		f, err := Builtin().Lookup(format)
		if err != nil {
			t.Fatal(err)
		}
		p := f.New(testClock)
		if format == "iis" {
			_, _, _ = p.Parse(text.Line{Bytes: []byte("#Fields: date time c-ip cs-method cs-uri-stem sc-status")})
			quiet = append(quiet, "2026-11-21 05:00:02 203.0.113.9 GET /tea 200")
		}
		if format == "zeek" {
			for _, s := range []string{"#separator \\x09", "#fields\tts\tid.orig_h\tconn_state"} {
				_, _, _ = p.Parse(text.Line{Bytes: []byte(s)})
			}
			quiet = append(quiet, "1795237203.5\t203.0.113.9\tSF")
		}
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

func FuzzNetfilter(f *testing.F)         { fuzzFormat(f, "netfilter") }
func FuzzFilterlog(f *testing.F)         { fuzzFormat(f, "filterlog") }
func FuzzMikrotik(f *testing.F)          { fuzzFormat(f, "mikrotik") }
func FuzzCiscoASA(f *testing.F)          { fuzzFormat(f, "cisco-asa") }
func FuzzUnifi(f *testing.F)             { fuzzFormat(f, "unifi") }
func FuzzPortsentry(f *testing.F)        { fuzzFormat(f, "portsentry") }
func FuzzZeek(f *testing.F)              { fuzzFormat(f, "zeek") }
func FuzzCowrie(f *testing.F)            { fuzzFormat(f, "cowrie") }
func FuzzOpenCanary(f *testing.F)        { fuzzFormat(f, "opencanary") }
func FuzzDionaea(f *testing.F)           { fuzzFormat(f, "dionaea") }
func FuzzHoneytrap(f *testing.F)         { fuzzFormat(f, "honeytrap") }
func FuzzHoneyd(f *testing.F)            { fuzzFormat(f, "honeyd") }
func FuzzEndlessh(f *testing.F)          { fuzzFormat(f, "endlessh") }
func FuzzSSHesame(f *testing.F)          { fuzzFormat(f, "sshesame") }
func FuzzTraefik(f *testing.F)           { fuzzFormat(f, "traefik") }
func FuzzHAProxy(f *testing.F)           { fuzzFormat(f, "haproxy") }
func FuzzIIS(f *testing.F)               { fuzzFormat(f, "iis") }
func FuzzNginxProxyManager(f *testing.F) { fuzzFormat(f, "nginx-proxy-manager") }

// BenchmarkZeekJSON is BenchmarkParse for Zeek's other form.
func BenchmarkZeekJSON(b *testing.B) {
	f, err := Builtin().Lookup("zeek")
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(mix("zeek-json", 20_000), []byte("\n")), []byte("\n"))
	b.ReportAllocs()
	start := cpuSeconds()
	for b.Loop() {
		p := f.New(text.Clock{Zone: time.UTC})
		for i, line := range lines {
			if _, _, err := p.Parse(text.Line{File: "x.log", Number: int64(i + 1), Bytes: line}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(lines))/(cpuSeconds()-start), "lines/cpu-s")
}
