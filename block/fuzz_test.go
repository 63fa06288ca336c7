package block

import (
	"net/netip"
	"testing"
)

// FuzzHostFiles feeds the readers of this host's files, into which others can
// write (names of remote hosts, environments).
func FuzzHostFiles(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.53\nnameserver fe80::1%eth0\n"))
	f.Add([]byte("STATE=active\nREMOTE=1\nREMOTE_HOST=198.51.100.20\n"))
	f.Add([]byte("A=1\x00SSH_CONNECTION=198.51.100.30 50000 192.0.2.1 22\x00"))
	f.Add([]byte("   0: 010200C0:0016 1E6433C6:C350 01 00000000:00000000"))
	f.Add([]byte("Name:\tkomondor\nPPid:\t90\n"))
	f.Add([]byte(utmpRecord(7, 500, "198.51.100.11", "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		found := append(nameservers(data), parseLogind(data)...)
		for _, s := range parseUtmp(data) {
			found = append(found, s.addr)
		}
		for _, c := range []func() (connection, bool){
			func() (connection, bool) { return parseSSHConnection(data) },
			func() (connection, bool) { return parseTCPLine(string(data)) },
		} {
			if c, ok := c(); ok {
				found = append(found, c.remote.Addr(), c.local.Addr())
			}
		}
		parentOf(data)
		for _, addr := range found {
			if !addr.IsValid() {
				t.Errorf("an invalid address from %q", data)
			}
		}
		for _, e := range exemptions(found, "found") {
			if _, err := canonical(e.prefix); err != nil || !e.prefix.IsSingleIP() {
				t.Errorf("%v from %q", e.prefix, data)
			}
		}
	})
}

// FuzzElements feeds the reader of netlink messages.
func FuzzElements(f *testing.F) {
	entries := []Entry{{netip.MustParsePrefix("198.51.100.7/32"), 1e9}, {netip.MustParsePrefix("198.51.100.8/32"), 1e9}}
	f.Add(elementList("komondor", size{4, 32}, entries), 32)
	f.Fuzz(func(t *testing.T, data []byte, bits int) {
		found := map[netip.Prefix]Counter{}
		decodeElements(data, bits, found)
		for p := range found {
			if p.Bits() != bits {
				t.Errorf("%s, want /%d", p, bits)
			}
		}
	})
}

// FuzzSizes checks that what names a set is read back as written, and nothing else.
func FuzzSizes(f *testing.F) {
	f.Add("block4_32")
	f.Add("block6_064")
	f.Fuzz(func(t *testing.T, name string) {
		if s, ok := parseSize(name); ok && (s.set() != name || s.bits < 0 || s.bits > 128) {
			t.Errorf("%q is read as %+v", name, s)
		}
	})
}

func TestElementsReadBack(t *testing.T) {
	found := map[netip.Prefix]Counter{}
	entries := []Entry{{netip.MustParsePrefix("2001:db8:1::/48"), 0}, {netip.MustParsePrefix("2001:db8:2::/48"), 0}}
	decodeElements(elementList("komondor", size{6, 48}, entries), 48, found)
	if len(found) != 2 {
		t.Errorf("%v", found)
	}
	for _, e := range entries {
		if _, ok := found[e.Prefix]; !ok {
			t.Errorf("%s is missing in %v", e.Prefix, found)
		}
	}
}
