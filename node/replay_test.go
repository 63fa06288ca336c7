package node

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// printed is what `komondor replay --json` would print.
func printed(t *testing.T, rules correlate.Rules, sensors []Sensor) (lines []string) {
	t.Helper()
	for _, a := range Correlate(rules, sensors) {
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// shuffled are the same sensors and events in another order.
func shuffled(chance *rand.Rand, sensors []Sensor) []Sensor {
	sensors = slices.Clone(sensors)
	for i, s := range sensors {
		events := slices.Clone(s.Events)
		chance.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		sensors[i].Events = events
	}
	chance.Shuffle(len(sensors), func(i, j int) { sensors[i], sensors[j] = sensors[j], sensors[i] })
	return sensors
}

// happenings are events that a chance has made up for a few sensors, in whole seconds: many
// happen at one time, and lines of one login attempt are among them.
func happenings(chance *rand.Rand) (sensors []Sensor) {
	kinds := []event.Kind{event.SSHLoginFailed, event.SSHUserInvalid, event.SSHPreauthClosed, event.SSHTriesExceeded, event.SSHLoginAccepted,
		event.HTTPScan, event.ScanPort, event.IDSHigh, event.AnomalyRate, event.HoneypotContact, event.FTPLoginFailed}
	span := 1 + chance.IntN(3*3600)
	for i := range 1 + chance.IntN(4) {
		s := Sensor{Name: fmt.Sprint("sensor", i)}
		for range chance.IntN(120) {
			k := kinds[chance.IntN(len(kinds))]
			e := event.Event{
				Time: time.Unix(int64(1_700_000_000+chance.IntN(span)), 0).UTC(), Kind: k, Severity: k.Severity(), Count: 1 + chance.IntN(2),
				Source: event.Endpoint{Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(chance.IntN(4))})}, Proof: event.Proof(chance.IntN(2)),
				Target: event.Endpoint{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(chance.IntN(30))}), Port: uint16(chance.IntN(3))}, Protocol: "tcp",
				User: []string{"", "root", "bob"}[chance.IntN(3)], File: s.Name, Line: int64(chance.IntN(50)),
			}
			if k.Matches("ssh.*") && chance.IntN(2) == 0 {
				e.Attempt = fmt.Sprint(chance.IntN(20))
			}
			s.Events = append(s.Events, e)
		}
		sensors = append(sensors, s)
	}
	return sensors
}

// A replay prints the same bytes in whatever order its input comes: made-up evidence, and the real
// logs where they are.
func TestReplayDoesNotDependOnOrder(t *testing.T) {
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	check := func(name string, sensors []Sensor, orders int) int {
		t.Helper()
		want := printed(t, rules, sensors)
		for range orders {
			if got := printed(t, rules, shuffled(chance, sensors)); !slices.Equal(got, want) {
				t.Fatalf("seed %d, %s: printed\n%q\nand in another order\n%q", seed, name, want, got)
			}
		}
		return len(want)
	}
	alerts := 0
	for round := range 25 {
		alerts += check(fmt.Sprint("round ", round), happenings(chance), 2)
	}
	if alerts < 60 {
		t.Errorf("%d alerts: the evidence is too thin to show anything", alerts)
	}
	for _, glob := range []string{"auth-4probes/*.log", "lab/probe*/auth.log", "lab/probe*/vsftpd.log", "suricata/suricata4-mixed-scan-probe*.eve.json", "firewall/psad-*.log"} {
		names, _ := filepath.Glob(filepath.Join("../../shared/data", glob))
		if len(names) == 0 {
			t.Logf("not here: %s", glob)
			continue
		}
		if alerts := check(glob, sensorsOf(t, names), 2); alerts == 0 {
			t.Errorf("no alert of %s", glob)
		}
	}
}

// sensorsOf reads a log each.
func sensorsOf(t *testing.T, names []string) (sensors []Sensor) {
	t.Helper()
	for _, name := range names {
		s := Sensor{Name: name}
		if _, err := Read(t.Context(), Source{Format: "auto", Path: name}, func(e event.Event) error {
			s.Events = append(s.Events, e)
			return nil
		}); err != nil && !os.IsNotExist(err) {
			t.Logf("left out: %v", err)
			continue
		}
		sensors = append(sensors, s)
	}
	return sensors
}

// Sensors of one name are one organisation, however often they are named.
func TestSensorsOfOneNameAreOne(t *testing.T) {
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(7, 5))
	for range 20 {
		whole := happenings(chance)
		var halves []Sensor
		for _, s := range whole {
			n := len(s.Events) / 2
			halves = append(halves, Sensor{s.Name, s.Events[n:]}, Sensor{s.Name, s.Events[:n]})
		}
		if got, want := printed(t, rules, halves), printed(t, rules, whole); !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}
