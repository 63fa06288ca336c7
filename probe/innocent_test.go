package probe

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestInnocent: in the logs of firewalls, Zeek, honeypots and proxies 192.0.2.53 is whom clients
// name in the place of themselves, or who answers, or is asked something honest.
func TestInnocent(t *testing.T) {
	named := 0
	for _, name := range []string{
		"netfilter", "filterlog", "mikrotik", "cisco-asa", "unifi", "portsentry", "zeek", "cowrie", "opencanary", "dionaea", "honeytrap",
		"honeyd", "endlessh", "sshesame", "traefik", "haproxy", "nginx-proxy-manager", "iis", "web-error",
	} {
		f, err := Builtin().Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		logs, _ := filepath.Glob(filepath.Join("testdata", name, "*.log"))
		for _, path := range logs {
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			named += bytes.Count(log, []byte("192.0.2.53"))
			for _, r := range parseAll(t, f, testClock, path, log) {
				if r.Source.Addr.String() == "192.0.2.53" {
					t.Errorf("%s:%d blames the innocent", path, r.Line)
				}
			}
		}
	}
	if named < 60 {
		t.Errorf("the logs name the innocent %d times: this test shows little", named)
	}
}
