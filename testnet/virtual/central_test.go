package virtual

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

// TestDistributedIsCentral deals made-up evidence to twenty members at random, of single sources and of
// crowds. What each of them has concluded in the end is what all of it at one place would have had concluded.
func TestDistributedIsCentral(t *testing.T) {
	inBubble(t, 2*time.Hour, 20, func(t *testing.T, net *Net) { distributedIsCentral(t, net, 40) })
}

func TestDistributedIsCentralLarge(t *testing.T) {
	needsLarge(t)
	for range 2 {
		inBubble(t, 2*time.Hour, 60, func(t *testing.T, net *Net) { distributedIsCentral(t, net, 300) })
	}
}

func distributedIsCentral(t *testing.T, net *Net, attackers int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	crowds := happen(net, rand.New(rand.NewPCG(seed, 0)), attackers)
	time.Sleep(2 * time.Minute) // what decides nothing is told within a minute

	rules, err := node.Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	found := node.Correlate(rules, net.sensors())
	central, explained := conclude(found), explain(crowds, found)
	scopes := map[string]int{}
	for _, c := range central {
		scopes[c.scope]++
	}
	t.Logf("concluded of all events at one place: %v, and %d crowds of %d", scopes, len(explained), len(crowds))
	if scopes["federation"] < attackers/5 || scopes["home"] == 0 || len(explained) < len(crowds)/2 {
		t.Errorf("the evidence is too thin to show anything")
	}
	for _, n := range Everyone(net) {
		alerts, err := n.Alerts()
		if err != nil {
			t.Fatal(err)
		}
		if own := conclude(alerts); !maps.Equal(own, central) {
			for at := range central {
				if own[at] != central[at] {
					t.Errorf("%s: %v: concluded %v, and at one place %v", n, at, own[at], central[at])
				}
			}
			for at := range own {
				if _, known := central[at]; !known {
					t.Errorf("%s: %v: concluded %v, and at one place nothing", n, at, own[at])
				}
			}
		}
		own := explain(crowds, alerts)
		for _, c := range crowds {
			if !own[c.subnet].agrees(explained[c.subnet], c.decided) {
				t.Errorf("%s: crowd of %s, decided %v: concluded %v, and at one place %v", n, c.subnet, c.decided, own[c.subnet], explained[c.subnet])
			}
		}
	}
	for _, c := range crowds {
		_, crosses := explained[c.subnet]
		collectors := 0
		for _, n := range Everyone(net) {
			s, collects := n.standing(c)
			if !collects {
				continue
			}
			if collectors++; s.Score != c.points || s.Crossed != crosses {
				t.Errorf("%s has gathered %+v of the crowd of %s, of which there are %d points", n, s, c.subnet, c.points)
			}
		}
		if collectors == 0 {
			t.Errorf("nobody has gathered anything of the crowd of %s", c.subnet)
		}
	}
}

// lasts is how long it all takes.
const lasts = 8 * time.Minute

// act is what happens at a time since it all began.
type act struct {
	when time.Duration
	do   func()
}

// happen has sources attack for eight minutes, which is within every rule's timespan: each comes
// to some of the nodes, as often as chance has it. A third of them guess, a third try a password
// here and there, and the others set off an IDS. Beside them there are crowds.
func happen(net *Net, chance *rand.Rand, attackers int) []crowd {
	var acts []act
	all := Everyone(net)
	for i := range attackers {
		source := fmt.Sprintf("203.0.%d.%d", 113+i/200, 1+i%200)
		some := chance.Perm(len(all))[:1+chance.IntN(6)]
		for range 1 + chance.IntN(14) {
			at := all[some[chance.IntN(len(some))]]
			do := func() { AttackedBy(source, 1)(at) }
			switch i % 3 {
			case 1:
				do = func() { ProbedBy(source)(at) }
				if i%2 == 0 {
					do = func() { MistypedBy(source, "alice", 1)(at) }
				}
			case 2:
				port, target, priority := 445+i%4, 1+chance.IntN(40), 1+chance.IntN(3)
				do = func() {
					at.snort.write(fmt.Sprintf("%s  [**] [1:20%d:1] a scan [**] [Priority: %d] {TCP} %s:4242 -> 198.51.100.%d:%d",
						time.Now().Format("01/02/2006-15:04:05.000000"), port, priority, source, target, port))
				}
			}
			acts = append(acts, act{time.Duration(chance.Int64N(int64(lasts))), do})
		}
	}
	var crowds []crowd
	for i := range 1 + attackers/4 {
		c, tries := deal(chance, all, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), 0}), 24))
		crowds, acts = append(crowds, c), append(acts, tries...)
	}
	slices.SortFunc(acts, func(a, b act) int { return int(a.when - b.when) })
	began := time.Now()
	for _, a := range acts {
		time.Sleep(time.Until(began.Add(a.when)))
		a.do()
	}
	return crowds
}

// sensors are the events of all nodes, read from their logs by the product's parsers.
func (net *Net) sensors() (sensors []node.Sensor) {
	for _, n := range Everyone(net) {
		s := node.Sensor{Name: n.String()}
		for format, l := range map[string]*log{"sshd": &n.log, "snort-fast": &n.snort} {
			lines, _ := l.after(0)
			path := filepath.Join(net.t.TempDir(), format)
			if err := os.WriteFile(path, []byte(strings.Join(append(lines, ""), "\n")), 0o600); err != nil {
				net.t.Fatal(err)
			}
			if _, err := node.Read(net.t.Context(), node.Source{Format: format, Path: path}, func(e event.Event) error {
				s.Events = append(s.Events, e)
				return nil
			}); err != nil {
				net.t.Fatal(err)
			}
		}
		sensors = append(sensors, s)
	}
	return sensors
}

// conclusion is what alerts of one rule on one key say together.
type conclusion struct {
	scope     string // the widest
	offenders string
}

// conclude leaves out crowds, which explain is for: those that happened to be among the attackers have loud
// sources, of which more evidence can mean less. A replay puts no scenarios together.
func conclude(alerts []control.Alert) map[string]conclusion {
	offenders, scopes := map[string][]netip.Prefix{}, map[string]string{}
	for _, a := range alerts {
		if a.Key.Selector == event.BySourceSubnet || a.Key.Selector == scenario.ByScenario {
			continue
		}
		at := a.Rule + " " + a.Key.String()
		offenders[at] = append(offenders[at], a.Offenders...)
		if scopes[at] != string(correlate.Federation) {
			scopes[at] = a.Scope
		}
	}
	all := map[string]conclusion{}
	for at, scope := range scopes {
		slices.SortFunc(offenders[at], netip.Prefix.Compare)
		all[at] = conclusion{scope, fmt.Sprint(slices.Compact(offenders[at]))}
	}
	return all
}
