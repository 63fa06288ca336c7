package node

import (
	"context"
	"fmt"
	"maps"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/store"
)

// follow calls fn for each alert from now on, until ctx ends or fn fails.
func (a *actor) follow(ctx context.Context, fn func(control.Alert) error) error {
	alerts := make(chan control.Alert, 64)
	a.mu.Lock()
	if a.followers == nil {
		a.followers = make(map[chan control.Alert]bool)
	}
	a.followers[alerts] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.followers, alerts)
	}()
	for {
		select {
		case alert := <-alerts:
			if err := fn(alert); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell keeps an alert, and tells it to who follows if it is time to.
func (a *actor) tell(alert control.Alert, people bool) {
	if people {
		a.log.Info("alert", "rule", alert.Rule, "key", alert.Key.String(), "scope", alert.Scope, "level", alert.Level, "id", alert.ID, "updates", alert.Updates,
			"score", alert.Score, "members", len(alert.Sensors), "action", alert.Action)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unkept == nil {
		a.unkept = make(map[string]control.Alert)
	}
	if len(a.unkept) < store.MaxAlerts { // a store that fails does not fill the memory
		a.unkept[alert.ID] = alert
	}
	if !people {
		return
	}
	alert.State = a.stateAt(alert, alert.Raised)
	for follower := range a.followers {
		select {
		case follower <- alert:
		default: // a reader that does not keep up misses some; `alerts` has them all
		}
	}
}

// recorded is an alert as it was told last; a.mu is held.
func (a *actor) recorded(id string) (control.Alert, bool) {
	for _, alerts := range []map[string]control.Alert{a.unkept, a.keeping} {
		if alert, ok := alerts[id]; ok {
			return alert, true
		}
	}
	return a.kept(id)
}

// notKept is what was told and is not in the store yet.
func (a *actor) notKept() map[string]control.Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]control.Alert{}
	maps.Copy(all, a.keeping)
	maps.Copy(all, a.unkept) // which are newer
	return all
}

// keep puts what was told into the store, in one transaction: an attack by many
// sources raises many alerts at once, and blocks must not wait for the disk.
func (a *actor) keep(into *store.Alerts) error {
	a.mu.Lock()
	told := a.unkept
	a.unkept, a.keeping = nil, told
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.keeping = nil
	}()
	if len(told) == 0 {
		return nil
	}
	var records []store.Alert
	for id, alert := range told {
		record, err := event.Encode(alert)
		if err != nil {
			return fmt.Errorf("encode alert %s: %w", id, err)
		}
		records = append(records, store.Alert{ID: id, Raised: alert.Raised, Record: record})
	}
	err := into.Put(records...)
	if err != nil {
		a.counters.storeFailures.Add(1)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.unkept == nil {
			a.unkept = make(map[string]control.Alert)
		}
		for id, alert := range told {
			if _, newer := a.unkept[id]; !newer && len(a.unkept) < store.MaxAlerts {
				a.unkept[id] = alert
			}
		}
	}
	return err
}
