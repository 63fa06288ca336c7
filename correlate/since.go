package correlate

import (
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// Since is what was said without what had begun by the second of at: a tally that holds both is left out.
func Since(at time.Time, said []Testimony) []Testimony {
	later := slices.Clone(said)
	for i := range later {
		later[i].Tallies = slices.DeleteFunc(slices.Clone(later[i].Tallies), func(t event.Tally) bool { return t.First <= at.Unix() })
	}
	return later
}
