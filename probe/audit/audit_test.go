package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/host"
	"github.com/komondor/komondor/probe/text"
)

// run is the SYSCALL record of a program that was run.
func run(serial int, exe string) string {
	return fmt.Sprintf("type=SYSCALL msg=audit(1795636345.000:%d): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 ppid=1 pid=%d uid=1000 comm=\"x\" exe=\"%s\" key=(null)", serial, serial, exe)
}

type reader struct {
	text.Parser
	line int64
	said []event.Event
	errs []error
}

func read(t *testing.T, rules host.Rules) *reader {
	t.Helper()
	return &reader{Parser: Format(rules).New(text.Clock{})}
}

func (r *reader) add(lines ...string) {
	for _, s := range lines {
		r.line++
		ev, ok, err := r.Parse(text.Line{File: "audit.log", Number: r.line, Bytes: []byte(s)})
		if ok {
			r.said = append(r.said, ev)
		}
		if err != nil {
			r.errs = append(r.errs, err)
		}
	}
}

// Programs whose other records never come are judged when there is no more room for
// them, oldest first, and at the log's end.
func TestLostRecords(t *testing.T) {
	r := read(t, host.Builtin())
	for i := range 10 {
		r.add(run(i, fmt.Sprint("/tmp/", i)))
	}
	if len(r.said) != 2 || r.said[0].Line != 1 || r.said[1].Line != 2 {
		t.Fatalf("%+v", r.said)
	}
	if ev, ok, err := r.Flush(); !ok || err != nil || ev.File != "audit.log" {
		t.Errorf("at the end: %+v, %v, %v", ev, ok, err)
	}
}

// A command line comes in as many records as it takes, and is looked at as far as there
// is room.
func TestLongCommandLines(t *testing.T) {
	rules, err := host.Load("test", []byte("- {name: needle, args: ['* needle*']}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		words []string
		found bool
	}{
		{"in one record", []string{`argc=2 a0="x" a1="needle"`}, true},
		{"in two", []string{`argc=3 a0="x"`, `a1="y" a2="needle"`}, true},
		{"a word in parts", []string{`argc=2 a0="x" a1_len=12 a1[0]=6E6565`, "a1[1]=646C65"}, true},
		{"its parts are no words", []string{`argc=2 a0="x" a1_len=12 a1[0]=6E65`, "a1[1]=20646C65"}, false},
		{"no digits", []string{"argc=2 a0=\"x\" a1=6E65656"}, false},
		{"within room", []string{"argc=3 a0=\"x\" a1=" + strings.Repeat("41", 4000) + " a2=\"needle\""}, true},
		{"beyond it", []string{"argc=3 a0=\"x\" a1=" + strings.Repeat("41", 5000) + " a2=\"needle\""}, false},
	} {
		r := read(t, rules)
		r.add(run(1, "/usr/bin/x"))
		for _, words := range c.words {
			r.add("type=EXECVE msg=audit(1795636345.000:1): " + words)
		}
		r.add("type=PROCTITLE msg=audit(1795636345.000:1): proctitle=78")
		if (len(r.said) == 1) != c.found || len(r.errs) > 0 {
			t.Errorf("%s: %+v, %v", c.name, r.said, r.errs)
		}
	}
}

func TestTimeAndPlace(t *testing.T) {
	r := read(t, host.Builtin())
	r.add("type=CWD msg=audit(1795636345.000:1): cwd=\"/\"", run(7, "/tmp/x"), `type=EXECVE msg=audit(1795636345.000:7): argc=1 a0="x"`)
	want := time.Unix(1795636345, 0).UTC()
	if len(r.said) != 1 || !r.said[0].Time.Equal(want) || r.said[0].Line != 2 || r.said[0].Attempt != "7" || r.said[0].Source.Addr.IsValid() {
		t.Errorf("%+v", r.said)
	}
}

func TestArchitectures(t *testing.T) {
	for _, c := range []struct {
		architecture, number string
		want                 call
	}{
		{"c000003e", "59", runs}, {"c000003e", "322", runs}, {"c000003e", "62", signals}, {"c000003e", "234", signals3}, {"c000003e", "1", nothing},
		{"40000003", "11", runs}, {"c000003e", "11", nothing}, {"c00000b7", "221", runs}, {"c00000b7", "131", signals3}, {"c00000b7", "59", nothing},
		{"", "59", nothing}, {"c000003e", "", nothing}, {"c000003e", "execve", nothing},
	} {
		if got := callOf([]byte(c.architecture), []byte(c.number)); got != c.want {
			t.Errorf("%s %s is %d, want %d", c.architecture, c.number, got, c.want)
		}
	}
}
