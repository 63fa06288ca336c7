package kademlia

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Keys are small here and the key asked for is 0, so that a place is a distance:
// "001 A" is near and of organisation A, "110 B leaf" is far and should not collect.
func TestPrefer(t *testing.T) {
	for _, c := range []struct {
		name    string
		members string
		want    string
	}{
		{"nearest first", "001 A, 010 B, 011 C, 100 D", "001 010 011 100"},
		{"two of one", "001 A, 010 A, 011 A, 100 B", "001 010 100 011"},
		{"not enough others", "001 A, 010 A, 011 A, 100 A", "001 010 011 100"},
		{"the crowd keeps its order", "001 A, 010 A, 011 A, 100 A, 101 B, 110 B, 111 B", "001 010 101 110 011 100 111"},
		{"each its own", "001 , 010 , 011 , 100 A", "001 010 011 100"},
		{"who should not collect", "001 A leaf, 010 B, 011 C", "010 011 001"},
		{"rather crowded than not collecting", "001 A, 010 A, 011 A, 100 B leaf", "001 010 011 100"},
		{"nobody should collect", "001 A leaf, 010 A leaf, 011 A leaf, 100 B leaf", "001 010 100 011"},
		{"leaves of the crowded", "001 A leaf, 010 A, 011 A, 100 B leaf", "010 011 100 001"},
		{"alone", "101 A", "101"},
		{"nobody", "", ""},
	} {
		got := Prefer(parseMembers(t, c.members))
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func parseMembers(t *testing.T, text string) (near []Member[string]) {
	t.Helper()
	for _, one := range strings.Split(text, ", ") {
		if one == "" {
			continue
		}
		at, rest, _ := strings.Cut(one, " ")
		if _, err := strconv.ParseUint(at, 2, 8); err != nil {
			t.Fatal(err)
		}
		organisation, leaf := strings.CutSuffix(rest, " leaf")
		near = append(near, Member[string]{at, organisation, !leaf})
	}
	if !slices.IsSortedFunc(near, func(a, b Member[string]) int { return strings.Compare(a.ID, b.ID) }) {
		t.Fatalf("%q is not by distance", text)
	}
	return near
}

// Whoever is beyond the window does not change who is chosen inside.
func TestPreferLooksNoFurtherThanItsWindow(t *testing.T) {
	var near []Member[string]
	for i := range Window + 5 {
		near = append(near, Member[string]{fmt.Sprintf("%02d", i), "A", true})
	}
	near[Window].Organisation = "B"
	for i, p := range Prefer(near) {
		if p != near[i].ID {
			t.Fatalf("place %d: %s", i, p)
		}
	}
	near[Window-1].Organisation = "B"
	if got := Prefer(near)[MaxOfOne]; got != near[Window-1].ID {
		t.Errorf("the last in the window is passed over for %s", got)
	}
}

// The properties that placement promises, for random memberships: always r where
// there are r, at most two of one where there are enough, and the first of a
// longer choice are the shorter one.
func TestPreferOnRandomMemberships(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		near := make([]Member[string], rnd.IntN(Window+1))
		of, collecting := map[string]int{}, 0
		for i := range near {
			near[i] = Member[string]{fmt.Sprint(i), string(rune('A' + rnd.IntN(6))), rnd.IntN(4) > 0}
			if near[i].Collects {
				of[near[i].Organisation]++
				collecting++
			}
		}
		places := 0 // that collecting members can fill without a third of one
		for _, n := range of {
			places += min(n, MaxOfOne)
		}
		order := Prefer(near)
		byID := map[string]Member[string]{}
		for _, m := range near {
			byID[m.ID] = m
		}
		if sorted := slices.Sorted(slices.Values(order)); len(slices.Compact(sorted)) != len(near) {
			t.Fatalf("seed %d: %d members became %v", seed, len(near), order)
		}
		got := map[string]int{}
		for i, p := range order {
			m := byID[p]
			if i < collecting != m.Collects {
				t.Errorf("seed %d: place %d of %d collecting is %+v", seed, i, collecting, m)
			}
			if got[m.Organisation]++; i < places && got[m.Organisation] > MaxOfOne {
				t.Errorf("seed %d: %s has %d of the first %d", seed, m.Organisation, got[m.Organisation], i+1)
			}
		}
	}
}
