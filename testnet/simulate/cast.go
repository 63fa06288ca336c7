package simulate

import (
	"math/rand/v2"

	"github.com/komondor/komondor/broadcast/tree"
)

// Cast is what a broadcast came to, or the mean of several.
type Cast struct {
	Loss     float64 `json:"loss"`
	Coverage float64 `json:"coverage"`        // share of the living that have it, without repair
	Messages float64 `json:"messages_a_node"` // frames sent, lost ones included, for each living node
	Depth    int     `json:"depth"`           // hops to the last, of the deepest
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

// enough is how many receivers the broadcasts of one loss have in all, at least, so
// that small networks show more than one throw of the dice.
const enough = 200_000

// Broadcasts is the mean of some broadcasts of each loss, and the depth of the
// deepest.
func (net *Net) Broadcasts(losses []float64, replicas int, seed uint64) []Cast {
	rounds := max(1, min(100, enough/len(net.places)))
	all := make([]Cast, len(losses)*rounds)
	each(len(all), func(i int) {
		all[i] = net.Broadcast(losses[i/rounds], replicas, rand.New(rand.NewPCG(seed^streamCasts<<32, uint64(i))))
	})
	casts := make([]Cast, len(losses))
	for i, one := range all {
		mean := &casts[i/rounds]
		mean.Loss, mean.Depth = one.Loss, max(mean.Depth, one.Depth)
		mean.Coverage += one.Coverage
		mean.Messages += one.Messages
		mean.MeanHops += one.MeanHops
	}
	for i := range casts {
		casts[i].Coverage /= float64(rounds)
		casts[i].Messages /= float64(rounds)
		casts[i].MeanHops /= float64(rounds)
	}
	return casts
}
