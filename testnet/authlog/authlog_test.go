package authlog

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLinesAreRsyslogs(t *testing.T) {
	dir := t.TempDir()
	path, socket := filepath.Join(dir, "auth.log"), filepath.Join(dir, "log")
	f, err := Create(path, "node1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listening, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Receive(ctx, listening) }()

	if err := f.Add([]byte("sshd[7]: Server listening on 203.0.113.11 port 22.")); err != nil {
		t.Fatal(err)
	}
	program, err := net.Dial("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	program.Write([]byte("<38>Nov 22 05:10:13 sshd[92]: Failed password for\troot from 203.0.113.66 port 39115 ssh2\n\x00"))
	var text []byte
	for deadline := time.Now().Add(5 * time.Second); strings.Count(string(text), "\n") < 2; time.Sleep(time.Millisecond) {
		if text, err = os.ReadFile(path); err != nil || time.Now().After(deadline) {
			t.Fatalf("%q, %v", text, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d) node1 sshd\[7\]: Server listening on 203\.0\.113\.11 port 22\.
\S+ node1 sshd\[92\]: Failed password for#011root from 203\.0\.113\.66 port 39115 ssh2
$`)
	if !want.Match(text) {
		t.Errorf("wrote %q", text)
	}
}

func TestDatagramsThatAreNone(t *testing.T) {
	for _, datagram := range []string{"", "x", "<38>", "<38>sshd[92]: no time", "38>Nov 22 05:10:13 sshd[92]: no bracket"} {
		if text, err := payload([]byte(datagram)); err == nil {
			t.Errorf("%q read as %q", datagram, text)
		}
	}
}
