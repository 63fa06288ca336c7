package block

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTimeServers(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"etc/chrony/chrony.conf":                      "# server 192.0.2.200\n! pool 192.0.2.201\nserver 192.0.2.1 iburst\nPool pool.example iburst maxsources 4\npeer 192.0.2.2\nallow 192.0.2.202\nserver\n",
		"etc/chrony.conf":                             "server 192.0.2.3",
		"etc/chrony/conf.d/a.conf":                    "\tserver 192.0.2.4\r\n",
		"etc/chrony/sources.d/a.sources":              "peer 2001:db8::5\n",
		"etc/chrony/sources.d/a.conf":                 "peer 192.0.2.203\n", // chrony does not read it either
		"run/chrony-dhcp/eth0.sources":                "server 192.0.2.6\n",
		"etc/ntp.conf":                                "server -4 192.0.2.7 prefer # 192.0.2.204\npool -6 six.example\nrestrict 192.0.2.205\n",
		"etc/ntpsec/ntp.conf":                         "server \"192.0.2.8\"\n",
		"etc/systemd/timesyncd.conf":                  "[Time]\n#NTP=192.0.2.206\nNTP=192.0.2.9 2001:db8::9 \\\n  192.0.2.10\n FallbackNTP = 192.0.2.11\nRootDistanceMaxSec=5\n",
		"etc/systemd/timesyncd.conf.d/site.conf":      "[Time]\nNTP=192.0.2.12 300.1.1.1 a..b\n",
		"etc/openntpd/ntpd.conf":                      "listen on 192.0.2.207\nserver 192.0.2.13 weight 5\nservers many.example\nconstraint from \"https://192.0.2.208\"\n",
		"etc/ntpd.conf":                               "server 192.0.2.14",
		"etc/systemd/timesyncd.conf.d/folder.conf/in": "NTP=192.0.2.209",
	})
	if err := syscall.Mkfifo(filepath.Join(root, "etc/chrony/conf.d/pipe.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	answers, broken := map[string]string{"pool.example": "198.51.100.1", "six.example": "2001:db8:6::6", "many.example": "::ffff:198.51.100.2"}, error(nil)
	n := neverFor(t, root, NeverOptions{Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
		if broken != nil {
			return nil, broken
		}
		return []netip.Addr{netip.MustParseAddr(answers[name])}, nil
	}})
	check := func(when string, want map[string]string) {
		t.Helper()
		for addr, why := range want {
			a := netip.MustParseAddr(addr)
			if got, _ := n.Check(netip.PrefixFrom(a, a.BitLen())); got != why {
				t.Errorf("%s: %s: %q, want %q", when, addr, got, why)
			}
		}
	}
	if err := n.Refresh(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"2001:db8::5": "2001:db8::5 is a time server of this host", "2001:db8::9": "2001:db8::9 is a time server of this host"}
	for i := 1; i <= 14; i++ {
		if addr := fmt.Sprintf("192.0.2.%d", i); i != 5 {
			want[addr] = addr + " is a time server of this host"
		}
	}
	for i := 200; i <= 209; i++ {
		want[fmt.Sprintf("192.0.2.%d", i)] = ""
	}
	for name, addr := range map[string]string{"pool.example": "198.51.100.1", "six.example": "2001:db8:6::6", "many.example": "198.51.100.2"} {
		want[addr] = addr + " is a time server of this host as " + name
	}
	check("first", want)

	broken = errors.New("no resolver")
	if err := n.Refresh(t.Context(), time.Now()); !errors.Is(err, broken) || !strings.Contains(err.Error(), `"pool.example"`) {
		t.Errorf("got %v", err)
	}
	check("no resolver", want)
	write(t, root, map[string]string{"etc/chrony/chrony.conf": "", "etc/ntp.conf": ""})
	if err := n.Fresh(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	check("taken out", map[string]string{"192.0.2.1": "", "198.51.100.1": "", "192.0.2.7": "", "192.0.2.3": want["192.0.2.3"], "198.51.100.2": want["198.51.100.2"]})
}

func TestTimeServersAreBounded(t *testing.T) {
	root := t.TempDir()
	var huge strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&huge, "server host%d.example\n", i)
	}
	write(t, root, map[string]string{"etc/ntp.conf": huge.String()})
	found, err := host{root: root}.timeServers()
	if err != nil || len(found) != maxTimeServers {
		t.Errorf("%d servers, %v", len(found), err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/ntp.conf"), make([]byte, 3*maxConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readConfig(filepath.Join(root, "etc/ntp.conf")); len(data) != maxConfig || err != nil {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
}

// FuzzTimeServers feeds the readers of the programs' configuration files.
func FuzzTimeServers(f *testing.F) {
	f.Add([]byte("server 192.0.2.1 iburst\npool -4 pool.example\n!\n"))
	f.Add([]byte("[Time]\nNTP=192.0.2.9 \\\n 2001:db8::9\nFallbackNTP=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, config := range timeConfigs {
			for _, server := range config.read(data) {
				if strings.ContainsFunc(server, func(r rune) bool { return r == '\n' || r == ' ' }) {
					t.Errorf("server %q", server)
				}
				e, err := parseExemption(server, timeServer)
				if err == nil && e.prefix.IsValid() == (e.name != "") {
					t.Errorf("%q is read as %+v", server, e)
				}
			}
		}
	})
}

func TestFederationsAllowList(t *testing.T) {
	n := neverFor(t, t.TempDir(), NeverOptions{Allow: []string{"203.0.113.7", "both.example"}, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("198.51.100.9")}, nil
	}})
	reasons := func() string {
		var all []string
		for _, addr := range []string{"203.0.113.7", "203.0.113.8", "198.51.100.9"} {
			why, _ := n.Check(netip.MustParsePrefix(addr + "/32"))
			all = append(all, why)
		}
		return strings.Join(all, "; ")
	}
	// The right entries hold, whatever is wrong with others.
	if err := n.SetFederation([]string{"203.0.113.8", "300.1.1.1", "both.example"}); err == nil || !strings.Contains(err.Error(), `federation's allow-list: "300.1.1.1"`) {
		t.Errorf("got %v", err)
	}
	if err := n.Refresh(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := n.SetAllow(nil); err != nil {
		t.Fatal(err)
	}
	if got, want := reasons(), "; 203.0.113.8 is on the federation's allow-list; 198.51.100.9 is on the federation's allow-list as both.example"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := n.SetFederation(nil); err != nil || reasons() != "; ; " {
		t.Errorf("%v, %q", err, reasons())
	}
	if names := n.names(); len(names) != 0 || len(n.resolved) != 0 || slices.Contains(names, "both.example") {
		t.Errorf("names %v, resolved %v stay", names, n.resolved)
	}
}
