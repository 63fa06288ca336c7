package event

import (
	"net/netip"
	"testing"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct{ addr, source, value, subnet string }{
		{"203.0.113.9", "203.0.113.9/32", "203.0.113.9", "203.0.113.0/24"},
		{"::ffff:203.0.113.9", "203.0.113.9/32", "203.0.113.9", "203.0.113.0/24"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"fe80::1%eth0", "fe80::/64", "fe80::/64", "fe80::/48"},
	} {
		addr := netip.MustParseAddr(c.addr)
		source := SourcePrefix(addr)
		if source.String() != c.source || SourceValue(source) != c.value {
			t.Errorf("%s: source %s, value %s", addr, source, SourceValue(source))
		}
		if got := SubnetPrefix(addr).String(); got != c.subnet {
			t.Errorf("%s: subnet %s", addr, got)
		}
		if got, err := (Key{BySource, c.value}).Source(); err != nil || got != source {
			t.Errorf("the key of %s names %s (%v)", addr, got, err)
		}
	}
	if SourcePrefix(netip.Addr{}).IsValid() || SubnetPrefix(netip.Addr{}).IsValid() {
		t.Error("no address has a prefix")
	}
}

// A source has one key: what is spelled otherwise names nobody.
func TestKeySourceRefuses(t *testing.T) {
	for _, k := range []Key{
		{ByPort, "tcp/22"}, {BySubnet, "203.0.113.0/24"}, {BySource, ""}, {BySource, "example.org"},
		{BySource, "203.0.113.9/32"}, {BySource, "203.0.113.0/24"}, {BySource, "203.0.113.009"}, {BySource, "::ffff:203.0.113.9"},
		{BySource, "2001:db8::1"}, {BySource, "2001:db8::1/64"}, {BySource, "2001:db8::/48"}, {BySource, "2001:DB8::/64"},
		{BySource, "fe80::1%eth0"}, {BySource, "203.0.113.9 "},
	} {
		if p, err := k.Source(); err == nil {
			t.Errorf("%s names %s", k, p)
		}
	}
}

// A subnet has one key, too.
func TestKeySourceSubnet(t *testing.T) {
	for value, want := range map[string]string{"203.0.113.0/24": "203.0.113.0/24", "2001:db8:1::/48": "2001:db8:1::/48"} {
		if p, err := (Key{BySourceSubnet, value}).SourceSubnet(); err != nil || p.String() != want {
			t.Errorf("%s names %s (%v)", value, p, err)
		}
	}
	for _, k := range []Key{
		{BySource, "203.0.113.9"}, {BySubnet, "203.0.113.0/24"}, {BySourceSubnet, ""}, {BySourceSubnet, "203.0.113.0"},
		{BySourceSubnet, "203.0.113.9/24"}, {BySourceSubnet, "203.0.113.0/25"}, {BySourceSubnet, "203.0.112.0/23"}, {BySourceSubnet, "0.0.0.0/0"},
		{BySourceSubnet, "::ffff:203.0.113.0/120"}, {BySourceSubnet, "2001:db8:1::/64"}, {BySourceSubnet, "2001:DB8:1::/48"},
	} {
		if p, err := k.SourceSubnet(); err == nil {
			t.Errorf("%s names %s", k, p)
		}
	}
}

// However the parts are cut, other parts give another hash.
func TestHashTellsPartsApart(t *testing.T) {
	type parts struct {
		federation, salt string
		key              Key
	}
	seen := map[[32]byte]parts{}
	for _, p := range []parts{
		{"ab", "c", Key{"d", "e"}}, {"a", "bc", Key{"d", "e"}}, {"ab", "cd", Key{"", "e"}}, {"ab", "c", Key{"de", ""}},
		{"ab", "c", Key{"", "de"}}, {"", "abc", Key{"d", "e"}}, {"abcde", "", Key{}}, {"", "", Key{"abcde", ""}}, {"", "", Key{}},
		{"ab\x00", "c", Key{"d", "e"}}, {"ab", "\x00c", Key{"d", "e"}},
	} {
		hash := p.key.Hash(p.federation, []byte(p.salt))
		if other, ok := seen[hash]; ok {
			t.Errorf("%v and %v have one hash", p, other)
		}
		seen[hash] = p
		if hash != p.key.Hash(p.federation, []byte(p.salt)) {
			t.Errorf("%v has two hashes", p)
		}
	}
}

func TestAlertID(t *testing.T) {
	a := Alert{Federation: "f", Rule: "r", Key: Key{BySource, "203.0.113.9"}, Episode: 7}
	same := a
	same.Evidence = []Sealed{{Signer: "somebody"}}
	if len(a.ID()) != 32 || same.ID() != a.ID() {
		t.Errorf("ids %s and %s: want 32 digits, whatever the evidence", a.ID(), same.ID())
	}
	for _, other := range []Alert{
		{"g", "r", a.Key, 7, nil, ""}, {"f", "q", a.Key, 7, nil, ""}, {"f", "r", Key{BySource, "203.0.113.8"}, 7, nil, ""},
		{"f", "r", a.Key, 8, nil, ""}, {"f", "r", a.Key, 7, nil, "o"},
	} {
		if other.ID() == a.ID() {
			t.Errorf("%+v has the id of another attack", other)
		}
	}
}

// Keys of several parts: the parts' order does not matter, and no value can be read as another.
func TestSelectorsOfParts(t *testing.T) {
	by, err := NewSelector(ByKind, BySource, BySubnet)
	if err != nil || by != "source.ip,target.subnet,kind" {
		t.Fatalf("%s, %v", by, err)
	}
	for _, wrong := range [][]Selector{nil, {"shoe"}, {BySource, BySource}, {BySource, "source.ip,kind"}} {
		if got, err := NewSelector(wrong...); err == nil {
			t.Errorf("%q gives %s", wrong, got)
		}
	}
	if !by.Has(BySource) || by.Has(ByPort) || BySource.Has(by) || !BySource.Has(BySource) || by.Has("") {
		t.Error("parts")
	}
	key := Key{by, JoinValue("203.0.113.9", "a|b%7C", "ssh.login.failed")}
	for part, want := range map[Selector]string{BySource: "203.0.113.9", ByKind: "ssh.login.failed"} {
		if got, ok := key.Part(part); !ok || got != want {
			t.Errorf("%s is %q, %v", part, got, ok)
		}
	}
	if p, err := key.Source(); err != nil || p.String() != "203.0.113.9/32" {
		t.Errorf("source %s, %v", p, err)
	}
	if _, ok := (Key{by, "203.0.113.9"}).Part(ByKind); ok {
		t.Error("a value without the part has it")
	}
	odd := Key{"source.ip,kind", JoinValue("a|b%7C%25", "x")}
	if got, _ := odd.Part(BySource); got != "a|b%7C%25" {
		t.Errorf("read as %s", got)
	}
	if JoinValue("a|b", "c") == JoinValue("a", "b|c") || JoinValue("a|b") != "a|b" {
		t.Error("values are mixed up")
	}
}

func TestSelectedKinds(t *testing.T) {
	k := SSHLoginFailed.Selected("root")
	if k.Plain() != SSHLoginFailed || SSHLoginFailed.Plain() != SSHLoginFailed {
		t.Errorf("%s", k)
	}
	for pattern, want := range map[string]bool{"=root": true, "=oot": false, "=": false, "ssh.*": false, string(SSHLoginFailed): false, "=user": false} {
		if k.Matches(pattern) != want {
			t.Errorf("%s matches %s: %v", k, pattern, !want)
		}
	}
	if SSHLoginFailed.Matches("=root") {
		t.Error("a plain kind is selected")
	}
}
