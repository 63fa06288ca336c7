package probe

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/komondor/komondor/probe/text"
)

// fuzzFormat feeds a parser hostile logs: nothing may panic, and every event must
// be one that the rest of the program can rely on (checkEvent in parseAll).
func fuzzFormat(f *testing.F, name string) {
	format, err := Builtin().Lookup(name)
	if err != nil {
		f.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join("testdata", name, "*.log"))
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(log[:min(len(log), 4<<10)])
		for line := range bytes.Lines(log[:min(len(log), 8<<10)]) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		format.Recognise(log)
		parseAll(t, format, testClock, "fuzz.log", log)
	})
}

func FuzzSSHD(f *testing.F)      { fuzzFormat(f, "sshd") }
func FuzzJournald(f *testing.F)  { fuzzFormat(f, "journald") }
func FuzzSnortFast(f *testing.F) { fuzzFormat(f, "snort-fast") }
func FuzzSnortFull(f *testing.F) { fuzzFormat(f, "snort-full") }
func FuzzSnortJSON(f *testing.F) { fuzzFormat(f, "snort3-json") }
func FuzzSuricata(f *testing.F)  { fuzzFormat(f, "suricata") }
func FuzzWebAccess(f *testing.F) { fuzzFormat(f, "web-access") }
func FuzzWebError(f *testing.F)  { fuzzFormat(f, "web-error") }
func FuzzVsftpd(f *testing.F)    { fuzzFormat(f, "vsftpd") }
func FuzzAuditd(f *testing.F)    { fuzzFormat(f, "auditd") }

// FuzzSSHMessage has the fuzzer write sshd's message and nothing else, where the
// parser does most of its work.
func FuzzSSHMessage(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m))
	}
	log, err := os.ReadFile("testdata/sshd/hostile-names.log")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(log) {
		if h := (text.Header{}); h.Split(line) {
			f.Add(h.Message)
		}
	}
	format, _ := Builtin().Lookup("sshd")
	f.Fuzz(func(t *testing.T, message []byte) {
		line := append([]byte("2026-11-22T05:00:00Z gate sshd[700]: "), message...)
		parseAll(t, format, testClock, "fuzz.log", line)
	})
}
