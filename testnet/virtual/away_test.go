package virtual

import (
	"fmt"
	"testing"
	"time"
)

// TestAway has a node be away while others are attacked, for five minutes: once with
// its process ended, once crashed. Ten seconds after it is back it has blocked what
// the others block, by what its neighbours kept. Who has heard of everything and
// begins anew has missed nothing.
func TestAway(t *testing.T) {
	for name, leave := range map[string]Action{"stopped": Stop, "crashed": Crash} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2*time.Hour, long(16, 100), func(t *testing.T, net *Net) {
				const away, informed = 3, 4
				var attackers []string
				for i := range long(3, 40) {
					attackers = append(attackers, fmt.Sprint("203.0.113.", 100+i))
				}
				table := Timetable{
					At(1*time.Second, Nodes(away), leave),
					At(5*time.Minute, Nodes(away), Start),
					At(6*time.Minute, Nodes(informed), Stop),
					At(6*time.Minute+time.Second, Nodes(informed), Start),
				}
				for i, attacker := range attackers {
					when := 10*time.Second + time.Duration(i)*time.Second
					table = append(table,
						At(when, Nodes(10, 11, 12), AttackedBy(attacker, 3)),
						By(when+2*time.Second, Everyone, Block(attacker)),
						By(5*time.Minute+10*time.Second, Nodes(away), Block(attacker)),
						By(6*time.Minute+30*time.Second, Everyone, Block(attacker)))
				}
				net.Play("a node is away for five minutes, and another one for a second", table)
				if c := net.nodes[away].Status().Counters; c.AlertsRepaired != uint64(len(attackers)) {
					t.Errorf("%d alerts were fetched, of %d that were missed", c.AlertsRepaired, len(attackers))
				}
				if c := net.nodes[informed].Status().Counters; c.AlertsRepaired > 0 {
					t.Errorf("%d alerts were news that the last run had", c.AlertsRepaired)
				}
				healthy(t, net)
			})
		})
	}
}
