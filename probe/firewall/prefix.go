package firewall

import (
	"bytes"

	"github.com/komondor/komondor/probe/text"
)

// head reads what stands before the kernel's message: a syslog header whose tag is
// the kernel's, or UniFi's without a tag, DShield's seconds, or Proxmox' machine, level
// and chain.
func (r *netfilterRecord) head(line []byte) (message []byte, ok bool) {
	if len(line) == 0 {
		return nil, false
	}
	if line[0] >= '0' && line[0] <= '9' {
		first, rest := text.Digits(line)
		if len(rest) == 0 || rest[0] == '-' {
			return r.syslog(line)
		}
		if len(first) == 10 && rest[0] == ' ' {
			return r.dshield(first, rest[1:])
		}
		return r.proxmox(rest)
	}
	return r.syslog(line)
}

func (r *netfilterRecord) syslog(line []byte) (message []byte, ok bool) {
	if r.Split(line) {
		return r.Message, string(r.Process) == "kernel"
	}
	// "Jun 13 23:29:15 HOST [HOST] [RULE-D-10] DESCR="…" IN=…": a tag would follow the host,
	// and ends in a colon, so that no program writes a bracket there.
	rest, ok := bytes.CutPrefix(line, r.Stamp)
	if len(r.Stamp) == 0 || !ok {
		return nil, false
	}
	host, rest, ok := bytes.Cut(text.TrimBlanks(rest), []byte(" "))
	if again, behind, isTwo := text.CutByte(rest, ' '); isTwo && string(again) == string(host) {
		rest = behind
	}
	return rest, ok && len(rest) > 0 && rest[0] == '['
}

// dshield reads "EPOCH HOST kernel:[UPTIME]  PREFIX…".
func (r *netfilterRecord) dshield(seconds, b []byte) (message []byte, ok bool) {
	for _, c := range seconds {
		r.epoch = r.epoch*10 + int64(c-'0')
	}
	_, b, ok = text.CutByte(b, ' ')
	if !ok {
		return nil, false
	}
	return text.CutPrefix(b, "kernel:")
}

// proxmox reads "VMID LEVEL CHAIN 02/Jan/2006:15:04:05 -0700 ACTION: IN=…", from behind
// the machine's number.
func (r *netfilterRecord) proxmox(b []byte) (message []byte, ok bool) {
	const stamp = len("02/Jan/2006:15:04:05 -0700")
	level, chain, ok := bytes.Cut(text.TrimBlanks(b), []byte(" "))
	if _, more := text.Digits(level); !ok || len(level) == 0 || len(more) > 0 {
		return nil, false
	}
	_, rest, ok := text.CutByte(chain, ' ')
	if !ok || len(rest) < stamp || rest[2] != '/' {
		return nil, false
	}
	r.common = rest[:stamp]
	return rest[stamp:], true
}

// showsOnly tells by the prefix whether the packet was let through: a rule that refuses
// it says so, or says nothing. UniFi and VyOS name the action by a letter behind
// the rule's name.
func showsOnly(prefix []byte) bool {
	var room [maxPrefix]byte
	prefix = lower(room[:0], prefix)
	if containsAny(prefix, "accept", "audit", "pass") || bytes.Contains(prefix, []byte("allow")) && !containsAny(prefix, "disallow", "not allow") {
		return true
	}
	if name, ok := text.CutPrefix(prefix, "["); ok {
		name, _, ok = text.CutByte(name, ']')
		number, action, _ := text.CutLastByte(name, '-')
		if len(action) > 1 { // RULE-A-10
			_, action, _ = text.CutLastByte(number, '-')
		}
		return ok && string(action) == "a"
	}
	return false
}

// lower appends b in lower case, as much of it as there is room for.
func lower(to, b []byte) []byte {
	for _, c := range b[:min(len(b), cap(to))] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

func containsAny(b []byte, words ...string) bool {
	for _, w := range words {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}
