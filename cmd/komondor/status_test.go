package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/node"
)

// What a source loses stands in its line.
func TestStatusOfSources(t *testing.T) {
	s := control.Status{Sources: []control.Source{
		{Format: "sshd", Path: "/var/log/auth.log", State: control.Waiting},
		{Format: "live", Path: "eth0", State: control.Reading, Lines: 2000, Events: 7, LastEvent: time.Now().Add(-90 * time.Second), Lost: 11,
			Dropped: 1, Unread: 2, Forgotten: 3, Withheld: 4, Unscanned: 5000, GivenUp: 6, Notice: "it is back"},
		{Format: "web-error", Path: "error.log", State: control.Reading, Lines: 2000},
		{Format: "web-error", Path: "access.log", State: control.Reading, Lines: 2000, Doubtful: true},
		{Format: "pcap", Path: "-", State: control.Failed, Malformed: 9, Examples: []string{"line 8: cut off"}, Notice: "not read any more: it is cut off"},
	}}
	var printed strings.Builder
	if err := printStatus(&printed, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^SOURCE +FORMAT +STATE +READ +EVENTS +LAST EVENT +MALFORMED +LOST +NOTE$`,
		`(?m)^/var/log/auth.log +sshd +waiting +0 +0 +- +0 +0 *$`,
		`(?m)^eth0 +live +reading +2000 +7 +\d+m\d\ds ago +0 +11 +1 events were dropped.*; 2 packets .* not read; 3 connections .*; 4 refused .*; 5 KiB .*; 6 scans .*; it is back$`,
		`(?m)^error.log +web-error +reading +2000 +0 +- +0 +0 *$`,
		`(?m)^access.log +web-error +reading +2000 +0 +- +0 +0 +no evidence in any line: is it really web-error\?$`,
		`(?m)^- +pcap +failed +0 +0 +- +9 +0 +line 8: cut off; not read any more: it is cut off$`,
	} {
		if !regexp.MustCompile(want).MatchString(printed.String()) {
			t.Errorf("no match for %s in\n%s", want, printed.String())
		}
	}
}

// What ends in some days unless somebody acts is a warning.
func TestStatusOfCertificates(t *testing.T) {
	var printed strings.Builder
	if err := printStatus(&printed, control.Status{Federation: control.Federation{Unrenewed: "another key since: join again"}}); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^WARNING +certificates are not renewed: another key since: join again$`).MatchString(printed.String()) {
		t.Error(printed.String())
	}
}

// What is only shown is not called blocked.
func TestStatusOfBlocks(t *testing.T) {
	for want, b := range map[string]control.Blocking{
		`(?m)^blocked now +2, 1 new [^\n]*\nflows blocked +4\nobserved +3, which others' evidence asks for: komondor blocks$`: {Mode: "nft", Live: 2, Observed: 3, Flows: 4, LastHour: 1},
		`(?m)^observed now +3, 1 new [^\n]*\nflows observed +4\nresponds by`:                                                  {Mode: "observe", Observed: 3, Flows: 4, LastHour: 1},
	} {
		var printed strings.Builder
		if err := printStatus(&printed, control.Status{Block: b}); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).MatchString(printed.String()) {
			t.Errorf("no match for %s in\n%s", want, printed.String())
		}
	}
}

// What a capture holds and nobody looked at is said after it was read.
func TestSummaryOfACapture(t *testing.T) {
	var printed strings.Builder
	cmd := newParse()
	cmd.SetErr(&printed)
	summary(cmd, control.Source{Format: node.Pcap, Path: "wifi.pcap", Lines: 9, Unread: 9})
	want := `wifi.pcap (pcap): 9 packets, 0 events, 0 malformed, 0 cut
  no evidence in any packet
  9 packets are of a kind of link that is not read
`
	if printed.String() != want {
		t.Errorf("printed %q, want %q", printed.String(), want)
	}
}
