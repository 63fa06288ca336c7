package simulate

import (
	"math/rand/v2"

	"github.com/komondor/komondor/broadcast/tree"
)

// Cast is what one broadcast came to.
type Cast struct {
	Loss     float64 `json:"loss"`
	Coverage float64 `json:"coverage"`        // share of the living that have it, without repair
	Messages float64 `json:"messages_a_node"` // frames sent, lost ones included, for each living node
	Depth    int     `json:"depth"`           // hops to the last
	MeanHops float64 `json:"hops_mean"`
}

type frame struct {
	node  int32
	depth uint8
}

// Broadcast tells a payload to all. Each frame is lost with the probability loss,
// and each acknowledgement; the sender then turns to the next contact, as it does
// when one is dead. Hops take equally long.
func (net *Net) Broadcast(loss float64, replicas int, chance *rand.Rand) Cast {
	n := len(net.places)
	shares, has := make([]tree.Share, n), make([]bool, n)
	origin := int32(chance.IntN(n))
	for net.dead[origin] {
		origin = (origin + 1) % int32(n)
	}
	has[origin] = true
	reached, hops, messages := 1, 0, 0
	cast := Cast{Loss: loss}
	now, next := []frame{{node: origin}}, []frame(nil)
	room := make([]int32, 0, 64)
	for level := 1; len(now) > 0; level++ {
		for _, f := range now {
			from, to, _ := shares[f.node].Claim(int(f.depth))
			if from >= to {
				continue
			}
			net.buckets(f.node, room, func(bucket int, contacts []int32) {
				if bucket < from || bucket >= to {
					return
				}
				left := contacts
				for range tree.Delegates(chance, contacts, replicas) {
					for taken := false; !taken && len(left) > 0; left = left[1:] {
						messages++
						if p := left[0]; !net.dead[p] && chance.Float64() >= loss {
							next = append(next, frame{p, uint8(tree.Below(bucket))})
							if !has[p] {
								has[p] = true
								reached++
								hops += level
								cast.Depth = level
							}
							taken = chance.Float64() >= loss
						}
					}
				}
			})
		}
		now, next = next, now[:0]
	}
	cast.Coverage = float64(reached) / float64(net.living)
	cast.Messages = float64(messages) / float64(net.living)
	cast.MeanHops = float64(hops) / float64(max(reached-1, 1))
	return cast
}

// Broadcasts is one of each loss, as many at a time as there are cores.
func (net *Net) Broadcasts(losses []float64, replicas int, seed uint64) []Cast {
	casts := make([]Cast, len(losses))
	each(len(losses), func(i int) {
		casts[i] = net.Broadcast(losses[i], replicas, rand.New(rand.NewPCG(seed^streamCasts<<32, uint64(i))))
	})
	return casts
}
