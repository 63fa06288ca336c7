//go:build yara

package payload

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/packet"
)

// traffic is n bytes of what connections carry: text for the most part, and bytes of no meaning.
func traffic(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("GET POST HTTP/1.1 Host: Accept: text/html image/png the of and to in is user login index.php session id= <div> </div> " +
		"function return var class href= http://www.example.net/ Content-Length: 200 OK charset=utf-8 220 250 MAIL FROM: RCPT TO: data value")
	data := make([]byte, 0, n+64<<10)
	for len(data) < n {
		for range 2000 {
			data = append(data, words[random.IntN(len(words))]...)
			data = append(data, " \r\n"[random.IntN(3)])
		}
		for range 500 {
			data = fmt.Appendf(data, "%c%c%c%c", random.IntN(256), random.IntN(128), random.IntN(128), random.IntN(128))
		}
	}
	return data[:n]
}

// manyRules writes n rules as they are published: a few strings each, of text, bytes and expressions.
func manyRules(b *testing.B, n int) (path string) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(n int) string {
		w := make([]byte, n)
		for i := range w {
			w[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[random.IntN(36)]
		}
		return string(w)
	}
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "rule r%d { strings: $a = \"%s\" $b = \"%s\" nocase $c = { %x ?? %x } $d = /%s[0-9]{1,4}%s/ condition: $a or ($b and $c) or $d }\n",
			i, word(8), word(10), word(5), word(3), word(5), word(4))
	}
	path = filepath.Join(b.TempDir(), "many.yar")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// processor is the time that who has used of it.
func processor(b *testing.B, who int) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// upload sends data in connections of 256 KiB.
func upload(k *talk, data []byte) {
	for i := 0; i < len(data); i += 256 << 10 {
		k.ends[0] = netip.AddrPortFrom(client.Addr(), uint16(1024+i>>18))
		k.handshake()
		for part := data[i : i+256<<10]; len(part) > 0; {
			p := k.packet(0, packet.ACK, k.next[0], "")
			p.Payload = part[:min(1460, len(part))]
			p.PayloadLength = len(p.Payload)
			k.scanner.Packet(p, k.emit)
			k.next[0] += uint32(p.PayloadLength)
			part = part[p.PayloadLength:]
		}
		k.close()
	}
}

// BenchmarkPeers has the same bytes looked at for the same rules: as connections of 256 KiB in packets, as
// datagrams, and by the program yara as one file. A processor's seconds count.
func BenchmarkPeers(b *testing.B) {
	data := traffic(32 << 20)
	report := func(b *testing.B, who int, run func()) {
		before := processor(b, who)
		for b.Loop() {
			run()
		}
		b.ReportMetric(float64(len(data)*b.N)/1e6/(processor(b, who)-before).Seconds(), "MB/CPU-s")
		b.ReportMetric(0, "ns/op")
	}
	for _, n := range []int{12, 1012} {
		rules := manyRules(b, n)
		b.Run(fmt.Sprintf("rules=%d/streams", n), func(b *testing.B) {
			k := newTalk(b, Config{Rules: []string{rules}})
			report(b, syscall.RUSAGE_SELF, func() { upload(k, data) })
		})
		b.Run(fmt.Sprintf("rules=%d/datagrams", n), func(b *testing.B) {
			k := newTalk(b, Config{Rules: []string{rules}})
			report(b, syscall.RUSAGE_SELF, func() {
				for i := 0; i < len(data); i += 512 {
					p := k.packet(0, 0, 0, "")
					p.Protocol, p.Payload = packet.UDP, data[i:i+512]
					k.scanner.Packet(p, k.emit)
				}
			})
		})
		b.Run(fmt.Sprintf("rules=%d/yara", n), func(b *testing.B) {
			program, err := exec.LookPath("yara")
			if err != nil {
				b.Skip("no yara to compare with: apt-get install yara")
			}
			file := filepath.Join(b.TempDir(), "data")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				b.Fatal(err)
			}
			compiled := filepath.Join(b.TempDir(), "compiled")
			if out, err := exec.Command("yarac", rules, compiled).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			report(b, syscall.RUSAGE_CHILDREN, func() {
				if out, err := exec.Command(program, "--compiled-rules", "--fast-scan", "--threads=1", compiled, file).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			})
		})
	}
}

// BenchmarkReassembly is what streams cost without anything to look for.
func BenchmarkReassembly(b *testing.B) {
	data := traffic(1 << 20)
	k := newTalk(b, Config{Builtin: true})
	k.scanner.streams.scan = func(*connection, int) {}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		upload(k, data)
	}
}

// hostile are texts that are full of what the shipped rules begin to look at.
var hostile = []string{
	"A", "a", "x", "\x90", "/", "%", "h/", "USER ", "LIST ", "HELO ", "TOP ", "GET /", "GET /.ida?N", "GET /A", "%x%x%x%x", "%1", "%1$", "%n%x%x%x%x", "%25", "%251$", "${", "${${", "${lower",
	"${lower:", "$", "\nA-", "\nAA", "\n", "\nAa: ", "nc ", "nc -e ", "sh -i ", "/bin/sh -i ", "mkfifo ", "mkfifo /bin/sh -i", "/bin/busybox ", "/bin/busybox A", "\xe8\xff\xff\xff", "\xd9\x74\x24\xf4", "\x31\xc9", "\x31\xc9\xb1",
	"\xeb\x00\x5e", "\xe2\xf0", "\xff\xff\xff\xe8", "\x64\xa1\x30\x00\x00\x00", "\x8b\x00\x0c", "\x65\x48\x8b\x04\x25", "\xffSMB\xa0", "\xffSMB3", "\xffSMB2", "\xfcSMB", "\x18\x03\x03\x00\x10\x01", "\x18\x03\x03\x00\x10\x01\x00\x00", "bin", "nc a 1 -e /bin/", "sh -i>&/dev/", "sh+-i+%3e%26", "\xfcSMB\x00\x00\x00\x00",
	"\\\x00.\x00.\x00", "MS_T120\x00", "\nContent-Type: ${", "\nContent-Type: ", "\nContent-Type: %{#_memberAccess", "jndi:", "${jndi:ldap:", "$%7bjndi%3a",
	"sock", "\x6a\x21\x58\x0f\x05\x75", "\x04", "/dev/tcp/", "sh -i /dev/tcp", "%u9090", "\x00",
}

// BenchmarkHostile is for finding rules that whoever sends something can make slow.
func BenchmarkHostile(b *testing.B) {
	k := newTalk(b, Config{Builtin: true, Timeout: time.Minute})
	for _, text := range hostile {
		b.Run(strings.ToValidUTF8(text, "."), func(b *testing.B) {
			data := []byte(strings.Repeat(text, pieceSize/len(text)))
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				for _, port := range []int{21, 25, 80, 445} {
					k.scanner.inspect(data, circumstances{port, 6})
				}
			}
			b.SetBytes(4 * int64(len(data)))
		})
	}
}
