package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/store"
)

const (
	// opinionLife is how long an opinion holds. Its author says it anew each opinionAgain while
	// the attack goes on, so that those hear of it who were away, and none outlives its alert.
	opinionLife  = 2 * time.Hour
	opinionAgain = 30 * time.Minute
	// What one member may say, and all others together: where there is no more room, the
	// organisation that has said most gives up its oldest.
	opinionsOfOne = 64
	opinionsKept  = 4096
	// How often an organisation may say something.
	opinionsPerSecond = 1
	opinionsAtOnce    = opinionsOfOne
)

// stance is an opinion with the signature that proves it.
type stance struct {
	event.Opinion
	sealed       event.Sealed
	organisation string
	own          bool // this node's
}

func (s stance) at() attackKey { return attackKey{s.Rule, s.Key} }

// opinions are what members say of attacks, of each member on each attack the newest. It is
// safe for concurrent use, and has no clock.
type opinions struct {
	mu      sync.Mutex
	on      map[attackKey]map[string]stance // by member
	count   map[string]int                  // by member
	held    map[string]int                  // by organisation
	all     int
	unkept  map[string][]byte // by storeKey; nil: to delete
	keeping sync.Mutex        // held while writing to the store
}

// take enters an opinion, and reports whether it is news. An error says that there is no room.
func (o *opinions) take(s stance) (news bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	old, known := o.on[s.at()][s.Member]
	switch {
	case known && old.Said >= s.Said:
		return false, nil
	case !known && o.count[s.Member] >= opinionsOfOne:
		return false, fmt.Errorf("opinion of %s: it has said %d that hold: wait until some attacks have ended", s.Member, opinionsOfOne)
	case !known && !s.own && o.all >= opinionsKept && !o.makeRoom(s.organisation):
		return false, errors.New("opinions: there is no room for another one now")
	}
	if o.on == nil {
		o.on, o.count, o.held, o.unkept = map[attackKey]map[string]stance{}, map[string]int{}, map[string]int{}, map[string][]byte{}
	}
	if o.on[s.at()] == nil {
		o.on[s.at()] = map[string]stance{}
	}
	o.on[s.at()][s.Member] = s
	if !known {
		o.count[s.Member]++
		o.held[s.organisation]++
		o.all++
	}
	o.unkept[storeKey(s)], err = event.Encode(s.sealed)
	return true, err
}

// makeRoom has the organisation that holds most give up its oldest opinion, unless that one asks for room itself:
// whatever many nodes of one organisation say, it takes nothing from others. This node's own is not given up.
func (o *opinions) makeRoom(organisation string) bool {
	var largest string
	for name, n := range o.held {
		if most := o.held[largest]; n > most || n == most && name < largest {
			largest = name
		}
	}
	if o.held[organisation] >= o.held[largest] {
		return false
	}
	var oldest stance
	for _, by := range o.on {
		for _, s := range by {
			if s.organisation == largest && !s.own && (oldest.Member == "" || s.Said < oldest.Said) {
				oldest = s
			}
		}
	}
	if oldest.Member == "" {
		return false
	}
	o.forget(oldest)
	return true
}

// forget drops an opinion; o.mu is held.
func (o *opinions) forget(s stance) {
	by := o.on[s.at()]
	if delete(by, s.Member); len(by) == 0 {
		delete(o.on, s.at())
	}
	if o.count[s.Member]--; o.count[s.Member] == 0 {
		delete(o.count, s.Member)
	}
	if o.held[s.organisation]--; o.held[s.organisation] == 0 {
		delete(o.held, s.organisation)
	}
	o.all--
	o.unkept[storeKey(s)] = nil
}

// about are the opinions on an attack, by member.
func (o *opinions) about(at attackKey) []stance {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]stance, 0, len(o.on[at]))
	for _, s := range o.on[at] {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b stance) int { return cmp.Compare(a.Member, b.Member) })
	return all
}

// sweep forgets the opinions for which holds is false, and returns what they were on.
func (o *opinions) sweep(holds func(stance) bool) (changed []attackKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for at, by := range o.on {
		for _, s := range by {
			if holds(s) {
				continue
			}
			o.forget(s)
			if !slices.Contains(changed, at) {
				changed = append(changed, at)
			}
		}
	}
	return changed
}

// each calls fn with every opinion.
func (o *opinions) each(fn func(stance)) {
	o.mu.Lock()
	var all []stance
	for _, by := range o.on {
		for _, s := range by {
			all = append(all, s)
		}
	}
	o.mu.Unlock()
	for _, s := range all {
		fn(s)
	}
}

// storeKey is what an opinion is kept under.
func storeKey(s stance) string {
	return event.Alert{Federation: s.Federation, Rule: s.Rule, Key: s.Key}.ID() + s.Member
}

// keep writes what has changed.
func (o *opinions) keep(into *store.Table) error {
	o.keeping.Lock()
	defer o.keeping.Unlock()
	o.mu.Lock()
	changed := o.unkept
	if len(changed) > 0 {
		o.unkept = map[string][]byte{}
	}
	o.mu.Unlock()
	put, gone := map[string][]byte{}, []string(nil)
	for key, sealed := range changed {
		if sealed == nil {
			gone = append(gone, key)
		} else {
			put[key] = sealed
		}
	}
	var err error
	if len(put) > 0 {
		err = into.PutAll(put)
	}
	if len(gone) > 0 {
		err = errors.Join(err, into.Delete(gone...))
	}
	if err != nil { // again the next time
		o.mu.Lock()
		defer o.mu.Unlock()
		for key, sealed := range changed {
			if _, newer := o.unkept[key]; !newer {
				o.unkept[key] = sealed
			}
		}
	}
	return err
}
