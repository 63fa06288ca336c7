package paper

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// tries is a probe's log of failed passwords, at so many minutes after midnight.
func tries(t *testing.T, probe string, minutes ...int) Log {
	t.Helper()
	var lines strings.Builder
	for i, m := range minutes {
		fmt.Fprintf(&lines, "2026-01-01T%02d:%02d:00+00:00 h sshd[%d]: Failed password for root from 203.0.113.9 port %d ssh2\n", m/60, m%60, 100+i, 1024+i)
	}
	log, err := Parse(context.Background(), probe, strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestAttacks(t *testing.T) {
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return midnight.Add(time.Duration(minutes) * time.Minute) }
	attacker := netip.MustParseAddr("203.0.113.9")
	password := ways()[3]
	// The first probe has 10 points by the fifth minute; then the second one is tried; after
	// more than an hour another attack begins, of which nobody is warned.
	logs := []Log{tries(t, "a", 1, 2, 3, 4, 5), tries(t, "b", 8, 9, 70, 200)}
	together, err := Together(builtin(t), logs)
	if err != nil {
		t.Fatal(err)
	}
	if alarms := together.alarms[attacker]; len(alarms) == 0 || !alarms[0].at.Equal(at(5)) || alarms[0].by != "a" {
		t.Errorf("alarms %+v, want the first at %v by a", alarms, at(5))
	}
	got := Attacks(password, logs, together.alarms)
	want := []Attack{
		{Source: attacker, First: at(1), Last: at(9), Events: 7, Probes: 2, Protected: true},
		{Source: attacker, First: at(70), Last: at(70), Events: 1, Probes: 1},
		{Source: attacker, First: at(200), Last: at(200), Events: 1, Probes: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if alone := Attacks(password, logs[:1], together.alarms); len(alone) != 1 || alone[0].Protected {
		t.Errorf("nobody else was attacked: %+v", alone)
	}
}

func TestDetect(t *testing.T) {
	// Neither site has 10 points in ten minutes, and together they have 20 in an hour.
	sites := []Log{tries(t, "a", 0, 12, 24, 36, 48), tries(t, "b", 1, 13, 25, 37, 49)}
	found, err := Detect(builtin(t), sites)
	if err != nil {
		t.Fatal(err)
	}
	if differ := found.differences(); len(differ) > 0 {
		t.Errorf("%q", differ)
	}
	l := labels{attackers: map[netip.Addr]bool{netip.MustParseAddr("203.0.113.9"): true}, innocents: map[netip.Addr]bool{netip.MustParseAddr("198.51.100.1"): true}}
	want := []string{"d", "", "2", "10", "1", "0 %", "0 %", "100 %", "100 %", "0 of 1", "0 of 1", "0 of 1", "0", "1", "1", "10"}
	if row := found.row(Labelled{Name: "d"}, l); !reflect.DeepEqual(row, want) {
		t.Errorf("%q, want %q", row, want)
	}
	delete(found.together.scopes, "ssh-brute-force source.ip=203.0.113.9")
	if differ := found.differences(); len(differ) != 1 {
		t.Errorf("what only one place finds: %q", differ)
	}
}
