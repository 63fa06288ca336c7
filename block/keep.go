package block

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Keeper remembers blocks over restarts. The Manager never makes two calls at
// once, nor one while it calls back.
type Keeper interface {
	Put(map[string][]byte) error
	Delete(keys ...string) error
	Each(func(key string, value []byte) error) error
}

// Keep writes what has changed since the last time to the disk, in one batch.
// Nobody who proposes waits for it: the kernel has the blocks already, and what
// a crash takes from the disk is found there (Reconcile), without its reason.
// What could not be written is tried again by the next Keep.
func (m *Manager) Keep() error {
	// Held to the end, so that the disk never gets something older after
	// something newer.
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	batch := m.unkept
	m.unkept = map[string]any{}
	m.mu.Unlock()
	err := m.write(batch)
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		for key, value := range batch {
			if _, newer := m.unkept[key]; !newer {
				m.unkept[key] = value
			}
		}
	}
	return err
}

// write puts values under their keys, and deletes the keys without one.
func (m *Manager) write(batch map[string]any) error {
	records := make(map[string][]byte, len(batch))
	var forgotten []string
	for key, value := range batch {
		if value == nil {
			forgotten = append(forgotten, key)
			continue
		}
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("keep %s: %w", key, err)
		}
		records[key] = data
	}
	var err error
	if len(records) > 0 {
		err = m.keeper.Put(records)
	}
	if err == nil && len(forgotten) > 0 {
		err = m.keeper.Delete(forgotten...)
	}
	if err != nil {
		return fmt.Errorf("keep %d changes of blocks, which stand but would not survive a restart: %w", len(batch), err)
	}
	return nil
}

// changed has a copy of a record or wish written by the next Keep, or what is
// under the key deleted where the value is nil.
func (m *Manager) changed(key string, value any) { m.unkept[key] = value }

// Blocks, wishes and flows share the keeper's table.
const wishKey = "wish "

func (r *record) key() string { return r.Prefix.String() }
func (w *wish) key() string   { return wishKey + w.Prefix.String() }

// kept reads what Manager.Keep wrote: a record, a wish or a flow, or none where
// that is not what it is.
func kept(key string, value []byte) (*record, *wish, *flowRecord) {
	sound := func(b Block, key string) bool {
		p, err := canonical(b.Prefix)
		return err == nil && p == b.Prefix && p.String() == key && b.Repeats >= 0
	}
	if prefix, ok := strings.CutPrefix(key, wishKey); ok {
		var w wish
		if json.Unmarshal(value, &w) == nil && sound(w.Block, prefix) && (w.State == Waiting || w.State == Observed) {
			return nil, &w, nil
		}
		return nil, nil, nil
	}
	if strings.HasPrefix(key, flowKey) {
		var f flowRecord
		if json.Unmarshal(value, &f) != nil {
			return nil, nil, nil
		}
		if flow, err := f.Flow.canonical(); err == nil && flow == f.Flow && f.key() == key {
			return nil, nil, &f
		}
		return nil, nil, nil
	}
	var r record
	if json.Unmarshal(value, &r) == nil && sound(r.Block, key) {
		return &r, nil, nil
	}
	return nil, nil, nil
}

// EndKept ends the live blocks that a keeper holds and rejects what waits, as
// Manager.Flush does, where no Manager runs: a restart will not bring them back.
// It returns how many blocks there were.
func EndKept(k Keeper, now time.Time) (ended int, err error) {
	batch := make(map[string][]byte)
	var flows []string
	err = k.Each(func(key string, value []byte) error {
		var changed any
		switch r, w, f := kept(key, value); {
		case f != nil:
			flows = append(flows, key)
			if f.live(now) {
				ended++
			}
			return nil
		case w != nil && w.open(now):
			w.Rejected = now.UTC()
			changed = w
		case r != nil && r.live(now):
			ended++
			r.Until, r.Removed = now.UTC(), true
			changed = r
		default:
			return nil // what cannot be read is counted by Restore
		}
		data, err := json.Marshal(changed)
		batch[key] = data
		return err
	})
	if err == nil && len(batch) > 0 {
		err = k.Put(batch)
	}
	if err == nil && len(flows) > 0 {
		err = k.Delete(flows...)
	}
	return ended, err
}
