package paper

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/correlate"
)

const realData = "../../../shared/data"

func builtin(t *testing.T) correlate.Rules {
	t.Helper()
	rules, err := productRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestEventsAreAttempts(t *testing.T) {
	log, err := Parse(t.Context(), "by hand", strings.NewReader(`2026-01-01T00:00:00.000000+00:00 h sshd[7]: Invalid user bob from 203.0.113.9 port 1024
2026-01-01T00:00:01.000000+00:00 h sshd[7]: Failed password for invalid user bob from 203.0.113.9 port 1024 ssh2
2026-01-01T00:00:02.000000+00:00 h sshd[8]: Failed password for root from 203.0.113.9 port 1025 ssh2
2026-01-01T00:00:02.500000+00:00 h sshd[8]: error: maximum authentication attempts exceeded for root from 203.0.113.9 port 1025 ssh2 [preauth]
2026-01-01T00:00:03.000000+00:00 h sshd[9]: Failed password for root from 2001:db8::1 port 1025 ssh2
2026-01-01T00:00:04.000000+00:00 h sshd[10]: Accepted password for root from 203.0.113.9 port 1026 ssh2
`))
	if err != nil {
		t.Fatal(err)
	}
	attackers, v6 := Attackers(builtin(t), []Log{log, log})
	if v6 != 2 || len(attackers) != 1 {
		t.Fatalf("%+v and %d events of IPv6", attackers, v6)
	}
	if a := attackers[0]; a.Events != 4 || a.Probes != 2 || a.Lookups != 2 || a.Reports != 8 {
		t.Errorf("two probes saw two attempts each; the second line tells nothing new, the fourth exchanges what the third said, and what changes is told once: %+v", a)
	}
}

// Whole nodes sent 13 reports on 10,000 events in 100 s after one lookup, and looked
// up three times in 20 minutes (docs/measurements.md, Messages). Without a network the
// first reports do not wait for the lookup and become one: three more.
func TestManyEventsAreFewReports(t *testing.T) {
	for _, c := range []struct {
		events int
		pause  time.Duration
		want   Traffic
	}{
		{1, time.Second, Traffic{Events: 1, Reports: 1, Lookups: 1}},
		{10_000, 10 * time.Millisecond, Traffic{Events: 10_000, Reports: 16, Lookups: 1}},
		{10_000, 120 * time.Millisecond, Traffic{Events: 10_000, Reports: 31, Lookups: 3}},
	} {
		for _, traffic := range Watch(builtin(t), guesser(c.events, c.pause)) {
			if traffic != c.want {
				t.Errorf("an event each %v: %+v, want %+v", c.pause, traffic, c.want)
			}
		}
	}
}

func TestNotOurFormat(t *testing.T) {
	if _, err := Parse(t.Context(), "", strings.NewReader("once upon a time\n")); !errors.Is(err, errFormat) {
		t.Errorf("a fairy tale: %v", err)
	}
}

func TestThePapersShape(t *testing.T) {
	sizes := wholePaper.sizes()
	ones := 0
	for _, n := range sizes {
		if n == 1 {
			ones++
		}
	}
	if len(sizes) != 17_088 || sizes[0] != 80_000 || slices.Min(sizes) != 1 {
		t.Errorf("%d attacks of %d to %d events", len(sizes), sizes[0], slices.Min(sizes))
	}
	if share := float64(ones) / float64(len(sizes)); share < 0.40 || share > 0.46 { // 450 of 1,100, the paper's figure 6
		t.Errorf("%.2f of the attacks have one event", share)
	}
	of := make(map[string]int)
	for _, addr := range wholePaper.attackers(rand.New(rand.NewPCG(1, 8))) {
		of[addr.String()]++
		if !addr.Is4() || addr.IsPrivate() || !addr.IsGlobalUnicast() {
			t.Errorf("%s is no public address", addr)
		}
	}
	most, all := 0, 0
	for _, n := range of {
		most, all = max(most, n), all+n
	}
	if most != 811 || all != 17_088 {
		t.Errorf("%d attacks, %d of one address", all, most)
	}
}

func TestGeneratedLogIsTheShape(t *testing.T) {
	shape := Shape{Attacks: 300, Most: 1000, Busiest: 1}
	logs, err := Generate(t.Context(), shape, rand.New(rand.NewPCG(1, 9)))
	if err != nil {
		t.Fatal(err)
	}
	attackers, _ := Attackers(builtin(t), logs)
	var got []int
	for _, a := range attackers {
		got = append(got, a.Events)
	}
	slices.SortFunc(got, func(a, b int) int { return b - a })
	if want := shape.sizes(); !slices.Equal(got, want) {
		t.Errorf("attackers of %v events, want %v", got, want)
	}
	again, err := Generate(t.Context(), shape, rand.New(rand.NewPCG(1, 9)))
	if err != nil || !reflect.DeepEqual(logs, again) {
		t.Errorf("the same seed gives another log (%v)", err)
	}
}

func readReal(t *testing.T, name string) []Log {
	t.Helper()
	if _, err := os.Stat(realData); err != nil {
		t.Skipf("the real logs are not here: %v", err)
	}
	for _, d := range Real() {
		if d.Name == name {
			logs, _, err := d.Read(context.Background(), realData)
			if err != nil {
				t.Fatal(err)
			}
			return logs
		}
	}
	t.Fatalf("no data %q", name)
	return nil
}

// The log that was dealt to four probes holds what the whole one does.
func TestDealtLogsHaveTheSameEvents(t *testing.T) {
	whole, _ := Attackers(builtin(t), readReal(t, "ec2"))
	dealt, _ := Attackers(builtin(t), readReal(t, "ec2-4"))
	if len(whole) < 20 || len(whole) != len(dealt) {
		t.Fatalf("%d attackers, and %d where they are dealt", len(whole), len(dealt))
	}
	several := 0
	for i, a := range whole {
		if a.Addr != dealt[i].Addr || a.Events != dealt[i].Events {
			t.Errorf("%s: %d events, and %s: %d", a.Addr, a.Events, dealt[i].Addr, dealt[i].Events)
		}
		several += min(dealt[i].Probes-1, 1)
	}
	if several == 0 {
		t.Error("no attacker was seen by more than one probe")
	}
}
