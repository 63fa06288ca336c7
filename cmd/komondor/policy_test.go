package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

func TestPolicyTerms(t *testing.T) {
	present := federation.Policy{Federation: lab, Version: 4, Seed: make([]byte, 32), Quorum: 2}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	read := func(text string) (federation.Policy, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return readTerms(path, present)
	}
	for text, says := range map[string]string{
		"quorom: 3": `"quorom"`,
		"quorum: 3\nrules:\n  ssh-brute-force: {atleast: 30}": `"atleast"`,
		"quorum: 3\nshare: {privatesources: true}":            `"privatesources"`,
		"quorum: 3\nversion: 9":                               `"version"`,
		"allow: [192.0.2.1]":                                  "at present that is quorum: 2",
		"quorum: 0":                                           "quorum of 0: want 1 to 100",
		"quorum: three":                                       "quorum",
		"quorum: 3\nallow: [192.0.2.256]":                     "192.0.2.256",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", text, err, says)
		}
	}
	want := present
	want.Version, want.Quorum, want.Severities, want.Allow = 5, 3, map[event.Kind]int{event.SSHPenalty: 4}, []string{"mirror.example.net"}
	want.Rules, want.Share.PrivateSources, want.Situations = map[string]federation.Rule{"vertical-scan": {Off: true}, "situation-1": {AtLeast: 40}}, true, true
	var text strings.Builder
	shown := terms{want.Quorum, want.Rules, want.Severities, want.Share, want.Allow, nil, true}
	if err := shown.write(&text); err != nil {
		t.Fatal(err)
	}
	got, err := read(text.String()) // what show prints, sign takes
	want.Issued = got.Issued
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v of\n%s", got, err, want, text.String())
	}
}

func TestQuorumThatCannotBeMet(t *testing.T) {
	p := federation.Policy{Quorum: 4, Rules: map[string]federation.Rule{"worm": {Quorum: 9}, "ssh-brute-force": {AtLeast: 30}, "flood": {Quorum: 5}}}
	for voting, want := range map[int]string{9: "", 8: "Rule worm", 4: "Rule flood, Rule worm", 3: "The policy, Rule flood, Rule worm"} {
		var got []string
		for _, warning := range unmet(p, voting) {
			what, _, _ := strings.Cut(warning, " asks for ")
			got = append(got, what)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("with %d votes: %q, want %q", voting, got, want)
		}
	}
}
