package virtual

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
)

// TestSlander has, of a hundred nodes and 25 organisations, one hostile
// organisation and fifty Sybils, which are nodes of organisations on probation,
// all swear that they have seen innocents attack. Some honest node has seen each
// innocent once, too. A second hostile organisation is what it would take, and
// takes: so the test can fail.
func TestSlander(t *testing.T) {
	inFederation(t, 2*time.Hour, long(20, 46), 22, func(t *testing.T, net *Net) {
		honest := Everyone(net)
		var hostile []*Node
		for range 4 {
			hostile = append(hostile, net.AddTo("hostile", federation.TierMember))
		}
		for i := range long(10, 50) {
			hostile = append(hostile, net.AddTo(fmt.Sprint("sybil-", i%2), federation.TierProbation))
		}
		for _, n := range hostile {
			if err := n.turn(&rogue{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(settling)

		innocents := long(40, 1000)
		var all sync.WaitGroup
		for h, n := range hostile {
			all.Go(func() {
				for i := range innocents {
					if h >= 4 && (i+h)%5 != 0 {
						continue // every fifth Sybil each: ten of fifty
					}
					if err := n.tell(seen(innocent(i), 1, math.MaxInt32)); err != nil {
						t.Errorf("%s: %v", n, err)
					}
				}
			})
		}
		for i := range innocents {
			ProbedBy(innocent(i))(honest[i%len(honest)])
		}
		all.Wait()
		time.Sleep(5 * time.Second)
		blocked := 0
		for _, n := range honest {
			blocked += n.firewall.innocents()
		}
		Figure(t, fmt.Sprintf("blocks of %d innocents, slandered by one hostile organisation and %d Sybils", innocents, len(hostile)-4), "0", blocked, blocked == 0)

		second := net.AddTo("hostile-too", federation.TierMember)
		net.Play("a second hostile organisation", Timetable{
			At(1*time.Second, Nodes(second.Number), Slander(innocent(0))),
			By(8*time.Second, func(*Net) []*Node { return honest }, Block(innocent(0))),
		})
	})
}

// innocent is the address of one of up to 65536 who do no harm.
func innocent(i int) string { return fmt.Sprintf("198.18.%d.%d", i>>8, i&255) }
