package probe

import (
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Builtin() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if seen[name] {
				t.Errorf("two formats are named %s", name)
			}
			seen[name] = true
			if got, err := Builtin().Lookup(strings.ToUpper(name)); err != nil || got.Name != f.Name {
				t.Errorf("Lookup(%s) gives %q, %v", name, got.Name, err)
			}
		}
		if f.About == "" || f.Recognise(nil) > 0 {
			t.Errorf("format %s: no description, or it recognises an empty log", f.Name)
		}
	}
	if _, err := Builtin().Lookup("gopher"); err == nil || !strings.Contains(err.Error(), "sshd, journald") {
		t.Errorf("Lookup of an unknown format gives %v", err)
	}
	for _, sample := range []string{"", "\n\n", "hello\nworld\n", "#Fields: date time c-ip cs-method\n", "\x1f\x8b\x08\x00"} {
		if f, err := Builtin().Detect([]byte(sample)); err == nil || !strings.Contains(err.Error(), "--format") {
			t.Errorf("Detect(%q) gives %q, %v", sample, f.Name, err)
		}
	}
}

// TestCRLF: line endings of Windows do no harm.
func TestCRLF(t *testing.T) {
	f, _ := Builtin().Lookup("sshd")
	got := parseAll(t, f, testClock, "auth.log", []byte("Nov 22 05:00:00 gate sshd[7]: Invalid user a from 203.0.113.9 port 1\r\nNov 22 05:00:00 gate sshd[7]: Connection closed by invalid user a 203.0.113.9 port 1 [preauth]\r\n"))
	if len(got) != 2 || got[0].User != "a" || got[1].Attempt != "7" {
		t.Errorf("CRLF: %+v", got)
	}
}
