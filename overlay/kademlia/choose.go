package kademlia

const (
	// Window is how many members around a key are considered as its collectors.
	// An answer to a lookup names so many, so that everybody near the key knows
	// the same; with a wider one, two members would choose by what each of them
	// happens to know of the far side of the network.
	Window = K
	// MaxOfOne is how many of the collectors belong to one organisation, where
	// there are enough others in the window.
	MaxOfOne = 2
)

// Member is a peer as placement sees it.
type Member[ID comparable] struct {
	ID           ID
	Organisation string // empty: one of its own
	Collects     bool   // what belongs to the key in question
}

// Prefer puts members, given by their distance from a key, in the order in which
// they are wanted as its collectors; the r collectors are the first r of it.
//
// First come those that collect, the nearest first but two of an organisation at
// most, then those that this rule passed over; then those that do not collect,
// in the same way, and last whoever is beyond the window. A member that should
// not collect is slow, or new and perhaps here for this very key; a third of one
// organisation is merely one more who may fail with the others: so whether it
// collects comes before whose it is.
func Prefer[ID comparable](near []Member[ID]) []ID {
	return appendPreferred(make([]ID, 0, len(near)), near)
}

func appendPreferred[ID comparable](order []ID, near []Member[ID]) []ID {
	inside, beyond := near[:min(Window, len(near))], near[min(Window, len(near)):]
	for _, collects := range [...]bool{true, false} {
		for _, crowd := range [...]bool{false, true} {
			for i, m := range inside {
				if m.Collects == collects && crowded(inside, i) == crowd {
					order = append(order, m.ID)
				}
			}
		}
	}
	for _, m := range beyond {
		order = append(order, m.ID)
	}
	return order
}

// crowded says whether as many of the member's organisation as may be are wanted
// before it. It looks through the window, which is cheaper than a map of it.
func crowded[ID comparable](inside []Member[ID], i int) bool {
	of, before := inside[i], 0
	if of.Organisation == "" {
		return false
	}
	for j, m := range inside {
		if m.Organisation == of.Organisation && (m.Collects && !of.Collects || m.Collects == of.Collects && j < i) {
			before++
		}
	}
	return before >= MaxOfOne
}
