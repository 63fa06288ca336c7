package paper

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"

	"github.com/komondor/komondor/node"
)

// The set is read as its catalogue has it, and what hosts find together in it is what one place finds.
func TestLabelledAlerts(t *testing.T) {
	below := os.DirFS(realData)
	all, err := readAlerts(below)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the labelled alerts are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Alerts int
		Phases map[string]int `json:"event_label"`
		Hosts  map[string]int `json:"per_host"`
	}
	if err := truth(below, labelledAlerts+".truth.json", &want); err != nil {
		t.Fatal(err)
	}
	phases := map[string]int{}
	for _, a := range all {
		phases[a.phase]++
	}
	if len(all) != want.Alerts || !maps.Equal(phases, want.Phases) {
		t.Errorf("%d alerts of %v, want %d of %v", len(all), phases, want.Alerts, want.Phases)
	}
	sites := hosts(all)
	var sensors []node.Sensor
	for _, site := range sites {
		sensors = append(sensors, node.Sensor(site))
		if len(site.Events) != want.Hosts[site.Name] {
			t.Errorf("%d alerts of %s, want %d", len(site.Events), site.Name, want.Hosts[site.Name])
		}
	}
	found, err := Detect(builtin(t), sites)
	if err != nil {
		t.Fatal(err)
	}
	if differ := found.differences(); len(differ) > 0 || found.together.alerts == 0 {
		t.Errorf("%d alerts together, and %q", found.together.alerts, differ)
	}
	rows, falsely := phaseRows(all, node.Correlate(builtin(t), sensors))
	if len(rows) != len(want.Phases)-1 || falsely >= found.central.alerts {
		t.Errorf("%q, and %d false alarms of %d", rows, falsely, found.central.alerts)
	}
}
