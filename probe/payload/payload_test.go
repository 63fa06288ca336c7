package payload

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// slideAndCode is a slide of no-operations, and code that runs a shell (Linux on x86).
var slideAndCode = strings.Repeat("\x90", 100) +
	"\x31\xc0\x50\x68//sh\x68/bin\x89\xe3\x50\x53\x89\xe1\xb0\x0b\xcd\x80" + strings.Repeat("\xbf\xff\xf1\x40", 20)

func TestOverflow(t *testing.T) {
	random := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{7}).Read(random)
	tests := []struct {
		name, data string
		want       *class
	}{
		{"slide and code", slideAndCode, slideClass},
		{"in the middle", strings.Repeat("USER ", 100) + slideAndCode + strings.Repeat("x", 5000), slideClass},
		{"other no-operations", strings.Repeat("\x90\x97\xf8\x9b\x98\xfc", 10) + "\xeb\x1f\x5e\x89", slideClass},
		{"just long enough", strings.Repeat("\x90", slideLength) + "\xd9\x74\x24\xf4", slideClass},
		{"too short", strings.Repeat("\x90", slideLength-1) + "\xd9\x74\x24\xf4", nil},
		{"a second slide", strings.Repeat("\x90", 100) + strings.Repeat("\x00", 200) + strings.Repeat("\x90", 100) + "\x33\xc9", slideClass},
		{"code too far away", strings.Repeat("\x90", 100) + strings.Repeat("\x00", entryLength) + "\x33\xc9", nil},
		{"a grey picture", strings.Repeat("\x90", 5000) + strings.Repeat("\x80", 5000), nil},
		{"a shell without a slide", "\x6a\x0b\x58\x99\x52\x68//sh\x68/bin\x89\xe3\xcd\x80", shellClass},
		{"the same, divided otherwise", "\x31\xc0\x50\x68n/sh\x68//bi\x89\xe3\xcd\x80", shellClass},
		{"a shell of 64 bits", "\x48\x31\xf6\x56\x48\xbf/bin//sh\x57\x54\x5f\x6a\x3b\x58\x99\x0f\x05", shellClass},
		{"a shell's name at the beginning", "/bin//sh", nil},
		{"a script", "#!/bin/sh\nexec /bin//sh /usr/bin/bash\n", nil},
		{"random bytes", string(random), nil},
		{"nothing", "", nil},
	}
	for _, test := range tests {
		if got := overflow([]byte(test.data)); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
	for lead := range 2 * slideLength { // wherever the search looks first
		if overflow([]byte(strings.Repeat("A", lead)+strings.Repeat("\x90", slideLength)+"\x31\xc0")) != slideClass {
			t.Errorf("not found behind %d bytes", lead)
		}
	}
}

// Who is blamed, for what, and how surely.
func TestBlame(t *testing.T) {
	mailServer, dataPort := netip.AddrPortFrom(server.Addr(), 25), netip.AddrPortFrom(client.Addr(), 20)
	const answered, middle = " (in what the server answered)", " (in a connection whose beginning was not seen)"
	tests := []struct {
		name   string
		play   func(k *talk)
		source netip.AddrPort
		kind   event.Kind
		proof  event.Proof
		detail string
	}{
		{"the client, who was answered", func(k *talk) {
			k.handshake()
			k.say(0, slideAndCode)
		}, client, event.PayloadOverflow, event.Handshake, ""},
		{"the server", func(k *talk) {
			k.handshake()
			k.say(0, "GET / HTTP/1.0\r\n\r\n")
			k.say(1, slideAndCode)
		}, server, event.PayloadLow, event.Handshake, answered},
		{"a client whose answers were not seen", func(k *talk) {
			k.at(0, 0, slideAndCode)
		}, client, event.PayloadLow, event.Spoofable, middle},
		{"the middle of a connection", func(k *talk) {
			k.say(1, "220 ready\r\n")
			k.say(0, slideAndCode)
		}, client, event.PayloadLow, event.Handshake, middle},
		{"one who never heard the answer", func(k *talk) { // his source is another's, and he guesses
			k.next[0]++
			k.send(k.packet(1, packet.SYN|packet.ACK, k.next[1], ""))
			k.at(0, 0, slideAndCode) // acknowledges one byte too little
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"one who writes both sides", func(k *talk) {
			k.mac[1] = k.mac[0]
			k.handshake()
			k.say(0, slideAndCode)
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"a mail server, which may carry it for another", func(k *talk) {
			k.ends[1] = mailServer
			k.handshake()
			k.say(0, slideAndCode)
		}, client, event.PayloadLow, event.Handshake, " (in mail, which is handed on)"},
		{"a file server that connects to its client", func(k *talk) {
			k.ends[0] = dataPort
			k.handshake()
			k.say(0, slideAndCode)
		}, dataPort, event.PayloadLow, event.Handshake, " (in a file server's data connection)"},
		{"the sender of a SYN with data", func(k *talk) {
			k.send(k.packet(0, packet.SYN, 0, slideAndCode))
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"links without addresses", func(k *talk) {
			k.mac = [2][6]byte{}
			k.handshake()
			k.say(0, slideAndCode)
		}, client, event.PayloadOverflow, event.Handshake, ""},
		{"one behind a tunnel", func(k *talk) {
			k.handshake()
			p := k.packet(0, packet.ACK, k.next[0], slideAndCode)
			p.Tunnel = true
			k.send(p)
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"one whose numbers jumped", func(k *talk) {
			k.handshake()
			k.next[0] += 1 << 30
			for range straysFor {
				k.at(0, 0, slideAndCode)
			}
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"a datagram's sender", func(k *talk) {
			p := k.packet(0, 0, 0, slideAndCode)
			p.Protocol = packet.UDP
			k.send(p)
		}, client, event.PayloadOverflow, event.Spoofable, ""},
		{"nobody for a fragment", func(k *talk) {
			p := k.packet(0, 0, 0, slideAndCode)
			p.Protocol, p.Fragment = packet.UDP, true
			k.send(p)
		}, netip.AddrPort{}, "", 0, ""},
		{"nobody for what others write into his connection", func(k *talk) {
			k.handshake()
			k.say(0, "hello")
			p := k.packet(0, packet.ACK, k.next[0], slideAndCode)
			p.Ack += 1 << 20
			k.send(p)
			p = k.packet(0, packet.ACK, k.next[0]+1<<20, slideAndCode)
			k.send(p)
		}, netip.AddrPort{}, "", 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := newTalk(t, Config{Builtin: true})
			test.play(k)
			k.scanner.Flush(k.emit)
			if !test.source.IsValid() {
				if len(k.events) != 0 {
					t.Errorf("events %+v", k.events)
				}
				return
			}
			if len(k.events) == 0 {
				t.Fatal("no event")
			}
			e := k.events[0]
			target := k.ends[1]
			if test.source == server {
				target = k.ends[0]
			}
			if e.Source != endpoint(test.source) || e.Target != endpoint(target) || e.Kind != test.kind || e.Proof != test.proof {
				t.Errorf("event %+v", e)
			}
			if e.Detail != slideClass.detail+test.detail {
				t.Errorf("detail %q", e.Detail)
			}
			if e.Severity != e.Kind.Severity() || e.Count != 1 || e.Sensor != "payload" || e.Line == 0 || e.Attempt == "" || e.Protocol == "" ||
				e.Time.Before(k.now.Add(-time.Minute)) || e.Time.After(k.now) {
				t.Errorf("incomplete event %+v", e)
			}
		})
	}
}

// What was reported of a stream is not reported again, and what lies across two pieces is seen once.
func TestReportedOnce(t *testing.T) {
	k := newTalk(t, Config{Builtin: true})
	k.handshake()
	filler := strings.Repeat("a", pieceSize-60)
	k.say(0, filler)
	k.say(0, slideAndCode)
	k.now = k.now.Add(3 * time.Second)
	k.scanner.Advance(k.now, k.emit)
	k.say(0, slideAndCode)
	k.scanner.Flush(k.emit)
	if len(k.events) != 1 || k.events[0].Kind != event.PayloadOverflow {
		t.Errorf("events %+v", k.events)
	}
}

func TestShareOfTime(t *testing.T) {
	k := newTalk(t, Config{Builtin: true, Share: 1e-9})
	k.handshake()
	k.say(0, slideAndCode)
	k.scanner.budget.ReserveN(time.Now(), k.scanner.budget.Burst()) // as if a second had been scanned
	k.scanner.Flush(k.emit)
	if s := k.scanner.Stats(); len(k.events) != 0 || s.Skipped != int64(len(slideAndCode)) || s.Scans != 0 {
		t.Errorf("events %+v, stats %+v", k.events, s)
	}
}

func TestConfig(t *testing.T) {
	empty := t.TempDir()
	binary := filepath.Join(t.TempDir(), "rules.yar")
	if err := os.WriteFile(binary, []byte("YARA\x00\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		config Config
		want   string
	}{
		{Config{}, "nothing to look for"},
		{Config{Builtin: true, Share: 2}, "share of 2"},
		{Config{Builtin: true, MemoryMiB: -1}, "-1 MiB"},
		{Config{Builtin: true, Rules: []string{filepath.Join(empty, "none.yar")}}, "none.yar: no such file"},
		{Config{Rules: []string{empty}}, "no file that ends in .yar"},
		{Config{Rules: []string{binary}}, "zero byte at 4"},
	}
	for _, test := range tests {
		if s, err := New(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: scanner %v, error %v, want %q", test.config, s, err, test.want)
		}
	}
}

func TestClassify(t *testing.T) {
	tests := []struct {
		meta map[string]any
		want class
		err  string
	}{
		{nil, class{event.PayloadMedium, "yara:r", "r"}, ""},
		{map[string]any{"author": "somebody", "score": 75, "description": "what it is"}, class{event.PayloadMedium, "yara:r", "r: what it is"}, ""},
		{map[string]any{"severity": "High"}, class{event.PayloadHigh, "yara:r", "r"}, ""},
		{map[string]any{"severity": "low", "kind": "worm.payload", "cve": "cve-2002-0649"}, class{event.Worm, "CVE-2002-0649", "r"}, ""},
		{map[string]any{"kind": "payload.overflow", "vulnerability": "MS02-039"}, class{event.PayloadOverflow, "MS02-039", "r"}, ""},
		{map[string]any{"severity": "urgent"}, class{}, `rule r: meta severity is urgent, want "high", "medium" or "low"`},
		{map[string]any{"severity": 100}, class{}, "rule r: meta severity is 100"},
		{map[string]any{"kind": "ssh.login.failed"}, class{}, "rule r: meta kind is ssh.login.failed, want one of"},
		{map[string]any{"kind": true}, class{}, "rule r: meta kind is true"},
		{map[string]any{"cve": "2017-0144"}, class{}, "rule r: meta cve is 2017-0144, want one CVE"},
		{map[string]any{"vulnerability": strings.Repeat("x", 65)}, class{}, "at most 64 bytes"},
	}
	for _, test := range tests {
		got, err := classify("r", func(yield func(string, any) bool) {
			for k, v := range test.meta {
				if !yield(k, v) {
					return
				}
			}
		})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v: error %v, want %q", test.meta, err, test.err)
			}
		} else if err != nil || *got != test.want {
			t.Errorf("%v: %+v, %v", test.meta, got, err)
		}
	}
	long, err := classify("r", func(yield func(string, any) bool) { yield("description", strings.Repeat("ä", 300)) })
	if err != nil || len(long.detail) > longestDetail+2 || strings.ToValidUTF8(long.detail, "") == "" {
		t.Errorf("%+v, %v", long, err)
	}
}
