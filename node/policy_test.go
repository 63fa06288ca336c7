package node

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/federation"
)

// A policy has the situations judged together, and levels keep their proportion to a threshold that
// it changes.
func TestSituationsOfThePolicy(t *testing.T) {
	without, err := Lawful(federation.Policy{Quorum: 2}, local(correlate.Situations())...)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := without.Named("situation-1"); !ok || !r.Local {
		t.Error("one's own situations are not judged on one's own evidence alone")
	}
	with, err := Lawful(federation.Policy{Quorum: 3, Situations: true, Rules: map[string]federation.Rule{"situation-1": {AtLeast: 50}, "situation-3-1": {Off: true}}})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := with.Named("situation-1")
	want := []correlate.Level{{Name: "warning", AtLeast: 50}, {Name: "minor", AtLeast: 100}, {Name: "critical", AtLeast: 150}}
	if !ok || r.Local || r.Federation.Quorum != 3 || !slices.Equal(r.Federation.Levels, want) || r.Home.Levels[0].AtLeast != 10 {
		t.Errorf("%+v", r)
	}
	if _, ok := with.Named("situation-3-1"); ok {
		t.Error("a situation that the policy puts off is loaded")
	}
	if home, federation := Conditions(r); home != "10 points in 10 minutes: warning 10, minor 20, critical 30" ||
		federation != "50 points in 60 minutes from 3 organisations: warning 50, minor 100, critical 150" {
		t.Errorf("%s; %s", home, federation)
	}
}

// A policy that brings a rule, or a relation, of the name of one's own is followed: one's own gives way.
func TestOwnRulesGiveWay(t *testing.T) {
	const text = "title: T\nname: %s\ncorrelation: {type: event_count, rules: [ssh.*], group-by: [source.ip], timespan: 10m, condition: {gte: %d}}\n---\n" +
		"title: T\nname: %s\nkomondor: {duplicate: {of: ids.alert.*, same: [source.ip], within: %ds}}\n"
	load := func(rule string, atLeast int, relation string, within int) ([]correlate.Rule, []correlate.Relation) {
		text := []byte(fmt.Sprintf(text, rule, atLeast, relation, within))
		rules, err := correlate.Load("own.yml", text)
		relations, errRelations := correlate.LoadRelations("own.yml", text)
		if err := errors.Join(err, errRelations); err != nil {
			t.Fatal(err)
		}
		return rules, relations
	}
	policy := federation.Policy{Quorum: 2, RuleFiles: map[string]string{"theirs.yml": fmt.Sprintf(text, "of-all", 7, "pairs", 3)}}
	agreed, err := Lawful(policy)
	if err != nil {
		t.Fatal(err)
	}
	rules, relations := load("of-all", 1, "pairs", 9)
	more, others := load("of-mine", 1, "my-pairs", 9)
	own, ownRelations, clash := beside(agreed, slices.Concat(rules, more), slices.Concat(relations, others))
	if !slices.Equal(clash, []string{"of-all", "pairs"}) || len(own) != 1 || len(ownRelations) != 1 {
		t.Errorf("%v give way, %d rules and %d relations stay", clash, len(own), len(ownRelations))
	}
	all, err := Lawful(policy, local(own)...)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = all.With(ownRelations...); err != nil {
		t.Fatal(err)
	}
	if r, _ := all.Named("of-all"); r.Federation.AtLeast != 7 {
		t.Errorf("%+v", r)
	}
	if r, ok := all.Named("of-mine"); !ok || !r.Local {
		t.Errorf("%+v", r)
	}
}
