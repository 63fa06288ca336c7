package anomaly

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"

	"github.com/komondor/komondor/event"
)

// state is what survives a restart: all but the counts of the running hour, which is
// not watched whole then.
type state struct {
	Watched  watched        `cbor:"1,keyasint"`
	Services []serviceState `cbor:"2,keyasint"`
	Sources  []sourceState  `cbor:"3,keyasint"`
}

type serviceState struct {
	Name    string  `cbor:"1,keyasint"`
	Since   hour    `cbor:"2,keyasint"`
	Total   profile `cbor:"3,keyasint"`
	Busiest profile `cbor:"4,keyasint"`
}

type sourceState struct {
	Service string       `cbor:"1,keyasint"`
	Source  netip.Prefix `cbor:"2,keyasint"`
	Weight  uint64       `cbor:"3,keyasint"`
	Past    profile      `cbor:"4,keyasint"`
}

// maxState is how many sources a state may hold: as many as an array that is decoded.
const maxState = 4096

// State is what was learned, to be kept over a restart: some hundred KiB.
func (d *Detector) State() ([]byte, error) {
	s := state{Watched: d.watched}
	for name, x := range d.services {
		s.Services = append(s.Services, serviceState{name, x.since, x.total, x.busiest})
	}
	for _, x := range d.sources.entries {
		if len(s.Sources) < maxState && x.past != (profile{}) {
			s.Sources = append(s.Sources, sourceState{x.subject.service, x.subject.source, x.weight, x.past})
		}
	}
	return event.Encode(s)
}

// Restore takes up what an earlier State has kept. On an error the detector is as it
// was.
func (d *Detector) Restore(kept []byte) error {
	var s state
	if err := event.Decode(kept, &s); err != nil {
		return fmt.Errorf("what was learned about rates: %w", err)
	}
	if len(s.Services) > maxServices {
		return errors.New("what was learned about rates: too many services")
	}
	services, sources := make(map[string]*service), newSummary(d.config.Sources)
	for _, x := range s.Services {
		services[x.Name] = &service{since: x.Since, total: x.Total, busiest: x.Busiest}
	}
	for _, x := range s.Sources {
		of := subject{x.Service, x.Source}
		if !x.Source.IsValid() || sources.known[of] != nil {
			return fmt.Errorf("what was learned about rates: source %q of %q", x.Source, x.Service)
		}
		if len(sources.entries) == sources.limit {
			break
		}
		e := &entry{subject: of, weight: x.Weight, past: x.Past}
		sources.known[of] = e
		heap.Push(&sources.entries, e)
	}
	d.watched, d.services, d.sources = s.Watched, services, sources
	return nil
}
