package paper

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

// labelledAlerts is a scenario of AIT-ADS (Landauer, Skopik, Wurzenberger 2024): alerts of Wazuh,
// Suricata and AMiner on the hosts of one network, each labelled with the phase of the attack
// that has set it off.
const labelledAlerts = "labelled-alerts/ait-russellmitchell.csv.gz"

// quietly is the label of an alert that no attack has set off.
const quietly = "-"

// labelledAlert is an alert of that set.
type labelledAlert struct {
	event.Event
	phase string
}

// readAlerts reads the set. It says of each alert which host it is about and not who attacked, and
// gives no severities: so the host stands for the source, and each alert counts as one of low severity.
func readAlerts(below fs.FS) (all []labelledAlert, err error) {
	file, err := below.Open(labelledAlerts)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	rows := csv.NewReader(unpacked)
	rows.FieldsPerRecord, rows.ReuseRecord = 7, true
	for number := int64(1); ; number++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if number == 1 {
			continue // the names of the columns
		}
		at, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		host, err := netip.ParseAddr(row[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, labelledAlert{event.Event{
			Time: time.Unix(at, 0).UTC(), Kind: event.IDSLow, Severity: event.IDSLow.Severity(), Count: 1, Proof: event.Handshake,
			Source: event.Endpoint{Addr: host}, Vulnerability: strings.Clone(row[4]), File: strings.Clone(row[3]), Line: number,
		}, strings.Clone(row[6])})
	}
}

// hosts are the alerts of each host, by its name.
func hosts(all []labelledAlert) (sites []Log) {
	by := map[string]*Log{}
	for _, a := range all {
		if by[a.File] == nil {
			by[a.File] = &Log{Name: a.File}
		}
		by[a.File].Events = append(by[a.File].Events, a.Event)
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		sites = append(sites, *by[name])
	}
	return sites
}

// phases tells how many of the labelled alerts of each phase lie in an attack that was found on their
// host, and how many of the attacks found have none.
func (p *page) phases() error {
	all, err := readAlerts(os.DirFS(p.Data))
	if errors.Is(err, fs.ErrNotExist) {
		p.say("Not below %s: %s.", p.Data, labelledAlerts)
		return p.err
	}
	if err != nil {
		return fmt.Errorf("read %s below %s: %w", labelledAlerts, p.Data, err)
	}
	sites := hosts(all)
	var sensors []node.Sensor
	for _, site := range sites {
		sensors = append(sensors, node.Sensor(site))
	}
	attacks := node.Correlate(p.rules, sensors)
	ways, err := Detect(p.rules, sites)
	if err != nil {
		return err
	}
	alone := 0
	for _, own := range ways.alone {
		alone += own.alerts
	}
	rows, falsely := phaseRows(all, attacks)
	p.say("Alerts of Wazuh, Suricata and AMiner on %d hosts (AIT-ADS, russellmitchell), each labelled with the phase of one attack. Who attacked is not "+
		"in the labels, and no host sees what another one is alerted about: members have nothing to add to one another. %s alerts become %s with each "+
		"host alone, %s together and %s at one place, %s to one; %d of these hold no labelled alert: false alarms. Together and at one place "+
		"differ in %d.",
		len(sensors), integer(len(all)), integer(alone), integer(ways.together.alerts), integer(len(attacks)), integer(len(all)/max(1, len(attacks))), falsely,
		len(ways.differences()))
	p.table(1, []string{"phase", "labelled alerts", "in an attack that was found"}, rows)
	return p.err
}

func phaseRows(all []labelledAlert, attacks []control.Alert) (rows [][]string, falsely int) {
	of := map[netip.Addr][]control.Alert{}
	for _, a := range attacks {
		if source, err := a.Key.Source(); err == nil {
			of[source.Addr()] = append(of[source.Addr()], a)
		}
	}
	labelled, found := map[string]int{}, map[string]int{}
	right := map[string]bool{} // attacks that hold a labelled alert
	name := func(a control.Alert) string { return a.Key.String() + a.First.String() }
	for _, a := range all {
		if a.phase == quietly {
			continue
		}
		labelled[a.phase]++
		i := slices.IndexFunc(of[a.Source.Addr], func(attack control.Alert) bool { return !a.Time.Before(attack.First) && !a.Time.After(attack.Last) })
		if i >= 0 {
			found[a.phase]++
			right[name(of[a.Source.Addr][i])] = true
		}
	}
	phases := slices.SortedFunc(maps.Keys(labelled), func(a, b string) int {
		return cmp.Or(cmp.Compare(labelled[b], labelled[a]), cmp.Compare(a, b))
	})
	for _, phase := range phases {
		rows = append(rows, []string{phase, integer(labelled[phase]), integer(found[phase])})
	}
	for _, a := range attacks {
		if !right[name(a)] {
			falsely++
		}
	}
	return rows, falsely
}
