package federation

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func TestPolicy(t *testing.T) {
	w := newWorld(t)
	m := w.member(w.first, newDrawer(), noon)
	if m.Policy().Version != 0 || m.Salts(noon, time.Hour) != nil {
		t.Error("a policy before one has come")
	}
	change := func(p *Policy) {
		p.Quorum = 3
		p.Rules = map[string]Rule{"ssh-brute-force": {AtLeast: 30, Seconds: 600}, "mixed-scan": {Off: true}}
		p.Severities = map[event.Kind]int{event.SSHPenalty: 5, event.SSHLoginAccepted: -2}
		p.Allow = []string{"192.0.2.0/24", "monitor.example"}
		p.Share.PrivateSources = true
	}
	if effect := w.add(m, noon, w.policy(2, change)); effect != (Effect{News: true, Policy: true}) {
		t.Errorf("effect %+v", effect)
	}
	p := m.Policy()
	if p.Quorum != 3 || p.Rules["ssh-brute-force"].AtLeast != 30 || p.Severities[event.SSHPenalty] != 5 || !p.Share.PrivateSources || len(p.Allow) != 2 {
		t.Errorf("%+v", p)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"quorum":3`, `"ssh-brute-force":{"at_least":30,"seconds":600}`, `"private_sources":true`, `"ssh.penalty":5`} {
		if !strings.Contains(string(text), field) {
			t.Errorf("%s is not in %s", field, text)
		}
	}
}

func TestPolicyRefuses(t *testing.T) {
	good := Policy{Federation: theFederation, Version: 1, Seed: make([]byte, 32), Quorum: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Policy){
		"federation's name":   func(p *Policy) { p.Federation = "open" },
		"version 0":           func(p *Policy) { p.Version = 0 },
		"issued":              func(p *Policy) { p.Issued = -1 },
		"seed":                func(p *Policy) { p.Seed = p.Seed[:16] },
		"quorum of 0":         func(p *Policy) { p.Quorum = 0 },
		"quorum of 101":       func(p *Policy) { p.Quorum = 101 },
		"rule's name":         func(p *Policy) { p.Rules = map[string]Rule{"No Rule": {}} },
		"at_least of -1":      func(p *Policy) { p.Rules = map[string]Rule{"r": {AtLeast: -1}} },
		"home_at_least":       func(p *Policy) { p.Rules = map[string]Rule{"r": {HomeAtLeast: 1e7}} },
		"seconds of 59":       func(p *Policy) { p.Rules = map[string]Rule{"r": {Seconds: 59}} },
		"home_seconds of 9":   func(p *Policy) { p.Rules = map[string]Rule{"r": {HomeSeconds: 90000}} },
		"quorum of 1000":      func(p *Policy) { p.Rules = map[string]Rule{"r": {Quorum: 1000}} },
		"severity":            func(p *Policy) { p.Severities = map[event.Kind]int{"ssh.penalty": 101} },
		"printable":           func(p *Policy) { p.Severities = map[event.Kind]int{"ssh\n": 1} },
		"allow-list":          func(p *Policy) { p.Allow = []string{""} },
		"of the allow-list":   func(p *Policy) { p.Allow = make([]string, 1001) },
		"number of rules":     func(p *Policy) { p.Rules = manyRules(201) },
		"version 0: versions": func(p *Policy) { p.Version, p.Quorum = 0, 0 },
	} {
		p := good
		p.Seed = bytes.Clone(good.Seed)
		spoil(&p)
		if _, err := SignPolicy(newKey(t), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPolicyAllows(t *testing.T) {
	p := Policy{Federation: theFederation, Version: 1, Seed: make([]byte, 32), Quorum: 1}
	long := strings.Repeat("a", 63)
	for entry, good := range map[string]bool{
		"192.0.2.1": true, "192.0.2.0/24": true, "2001:db8::/32": true, "::1": true, "mirror.example.net": true, "3com.example": true, "_x.example": true,
		"host": true, long + ".example": true,
		"": false, "192.0.2.256": false, "192.0.2": false, "192.0.2.0/33": false, "192.0.2.0-9": false, "::ffff:0.0.0.0/8": false, "fe80::1%eth0": false,
		"a..b": false, "a.": false, ".a": false, "-a": false, "a-.b": false, "a b": false, "a\n": false, "münchen": false, "http://a/": false,
		"a" + long: false, strings.Repeat("a.", 127) + "a": false,
	} {
		p.Allow = []string{"192.0.2.7", entry}
		if err := p.Check(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "allow-list") {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

func manyRules(n int) map[string]Rule {
	rules := map[string]Rule{}
	for i := range n {
		rules[strings.Repeat("r", i%64+1)+string(rune('a'+i/64))] = Rule{}
	}
	return rules
}

func TestSaltsOfTwoDays(t *testing.T) {
	w := newWorld(t)
	a, b := w.fresh(), w.member(w.admit("beta", TierMember, 1), newDrawer(), noon)
	w.add(b, noon, w.documents...)
	midnight := noon.Add(12 * time.Hour)
	before, after, later := a.Salts(midnight.Add(-time.Second), time.Hour), b.Salts(midnight.Add(59*time.Minute), time.Hour), a.Salts(midnight.Add(time.Hour), time.Hour)
	if len(before) != 1 || len(after) != 2 || len(later) != 1 {
		t.Fatalf("%d, %d and %d salts, want 1, 2 and 1", len(before), len(after), len(later))
	}
	if !bytes.Equal(before[0], after[1]) || !bytes.Equal(after[0], later[0]) || bytes.Equal(after[0], after[1]) {
		t.Errorf("%x, %x, %x: members do not agree, or the day changes nothing", before, after, later)
	}
	w.add(a, noon, w.policy(2, nil))
	if bytes.Equal(a.Salts(noon, 0)[0], b.Salts(noon, 0)[0]) {
		t.Error("another seed, the same salt")
	}
}

func FuzzPolicy(f *testing.F) {
	w := newWorld(f)
	body, err := event.Encode(Policy{Federation: theFederation, Version: 1, Seed: make([]byte, 32), Quorum: 2,
		Rules: map[string]Rule{"r": {Off: true}}, Severities: map[event.Kind]int{"a": -1}, Allow: []string{"192.0.2.1"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := openPolicy(fuzzSign(policyDomain, w.root, body), w.public(), theFederation)
		if err == nil && p.Check() != nil {
			t.Errorf("taken: %+v", p.Policy)
		}
	})
}
