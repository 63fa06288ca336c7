package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// three is a scenario whose partial ones are easily listed: a and b are linked by c only, and c is nothing
// without both.
const three = `scenario three "T"
action a(X, Y) { post: p(X, Y) binds: flood.syn {X: source.ip, Y: target.ip} }
action b(X, Z) { post: q(X, Z) binds: flood.udp {X: source.ip, Z: target.ip} }
action c(X, Y, Z) { pre: p(X, Y), q(X, Z) post: end(X) follows: flood.icmp {X: source.ip, Y: target.ip, Z: name} }
objective o(X) { state: end(X) }`

// part is what was seen of an action of three: "" is not known.
type part struct {
	action  string
	x, y, z string
}

func (p part) observation(id int) Observation {
	o := observe(fmt.Sprint(id), 0, event.FloodSYN, p.x, p.y)
	switch p.action {
	case "b":
		o = observe(o.ID, 0, event.FloodUDP, p.x, p.z)
	case "c":
		o.Kind, o.Name = event.FloodICMP, p.z
	}
	return o
}

// agree tells whether parts may be one partial scenario, reached from the first of them by
// what each says that is known already.
func agree(parts []part) bool {
	if len(parts) > 1 && parts[0].action != "c" && parts[1].action != "c" {
		return false // a and b have nothing to do with one another but by c
	}
	var x, y, z string
	for i, p := range parts {
		shares := p.x != "" && p.x == x || p.y != "" && p.y == y || p.z != "" && p.z == z
		if i > 0 && !shares {
			return false
		}
		for _, v := range []struct{ known, says *string }{{&x, &p.x}, {&y, &p.y}, {&z, &p.z}} {
			if *v.known != "" && *v.says != "" && *v.known != *v.says {
				return false
			}
			if *v.says != "" {
				*v.known = *v.says
			}
		}
	}
	return true
}

// listed are, by trying all, the most complete partial scenarios.
func listed(parts []part) (all []string) {
	of := func(action string) []part {
		found := []part{{}}
		for _, p := range parts {
			if p.action == action {
				found = append(found, p)
			}
		}
		return found
	}
	var sets [][]part
	for _, a := range of("a") {
		for _, b := range of("b") {
			for _, c := range of("c") {
				var set []part
				for _, p := range []part{a, b, c} {
					if p.action != "" {
						set = append(set, p)
					}
				}
				if c.action != "" && len(set) < 3 || len(set) == 0 {
					continue // c follows both
				}
				for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
					var in []part
					for _, i := range order {
						if i < len(set) {
							in = append(in, set[i])
						}
					}
					if agree(in) {
						sets = append(sets, set)
						break
					}
				}
			}
		}
	}
	for _, set := range sets {
		if !slices.ContainsFunc(sets, func(other []part) bool {
			return len(other) > len(set) && !slices.ContainsFunc(set, func(p part) bool { return !slices.Contains(other, p) })
		}) {
			all = append(all, fmt.Sprint(set))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestAllPartialScenarios compares what is put together with all that there is, over random sightings.
func TestAllPartialScenarios(t *testing.T) {
	s := parse(t, three)
	values := []string{"192.0.2.1", "192.0.2.2", ""}
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 1))
		pick := func() string { return values[random.IntN(len(values))] }
		var parts []part
		e := engine(t, Limits{Steps: 64, Seen: 64}, s)
		for range 2 + random.IntN(6) {
			p := part{action: string("abc"[random.IntN(3)]), x: pick()}
			switch p.action {
			case "a":
				p.y = pick()
			case "b":
				p.z = pick()
			case "c":
				p.y, p.z = pick(), pick()
			}
			if !slices.Contains(parts, p) {
				e.Observe(start.Add(time.Second), p.observation(len(parts)))
				parts = append(parts, p)
			}
		}
		var got []string
		for _, partial := range e.Partials(start.Add(time.Second), 1000) {
			var set []part
			for _, s := range partial.Steps {
				i, err := strconv.Atoi(s.Because[0]) // ids are places in the list
				if err != nil {
					t.Fatal(err)
				}
				set = append(set, parts[i])
			}
			slices.SortFunc(set, func(a, b part) int { return strings.Compare(a.action, b.action) })
			got = append(got, fmt.Sprint(set))
		}
		slices.Sort(got)
		if want := listed(parts); !slices.Equal(slices.Compact(got), want) {
			t.Fatalf("seed %d: of %v\n got %v\nwant %v", seed, parts, got, want)
		}
	}
}
