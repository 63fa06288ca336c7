package probe

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/text"
)

// TestDaemonsBlameNobody has an attacker log in as every ending of every line that his
// victim would have caused, and of that line in quotes, brackets and parentheses.
func TestDaemonsBlameNobody(t *testing.T) {
	const attacker, victim = "203.0.113.9", "192.0.2.53"
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, f := range Builtin() {
		blamed, cases := 0, 0
		for _, i := range []int{0, 2, 4, 6} {
			theirs := strings.TrimSpace(daemonLine(f.Name, i, at, victim, 53))
			for _, user := range []string{"root", "admin", "test", "info@mail.example"} {
				ours := daemonLine(f.Name, i, at, attacker, 40000)
				if !strings.Contains(ours, user) {
					continue
				}
				for from := range theirs {
					for _, hostile := range []string{theirs[from:], "x" + theirs[from:] + "x", "'" + theirs[from:] + "'", "[" + theirs[from:] + "]", "(" + theirs[from:] + ") [" + victim + "]"} {
						if strings.HasPrefix(ours, "{") {
							escaped, _ := json.Marshal(hostile)
							hostile = string(escaped[1 : len(escaped)-1])
						}
						line := strings.ReplaceAll(ours, user, hostile)
						p := f.New(testClock)
						if f.Name == "postgresql" {
							p.Parse(text.Line{File: "x.log", Number: 1, Bytes: []byte(daemonLine(f.Name, i+399, at, attacker, 40000))})
						}
						ev, ok, _ := p.Parse(text.Line{File: "x.log", Number: 1, Bytes: []byte(line)})
						cases++
						if !ok {
							continue
						}
						blamed++
						if ev.Source.Addr.String() != attacker {
							t.Fatalf("%s: %s\nblames %v", f.Name, line, ev.Source.Addr)
						}
					}
				}
			}
		}
		if cases > 0 {
			t.Logf("%s: %d lines, %d of them evidence against the attacker", f.Name, cases, blamed)
		}
	}
}
