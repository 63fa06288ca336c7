package block

import (
	"encoding/json"
	"fmt"
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

// Blocks and wishes share the keeper's table.
const wishKey = "wish "

func (r *record) key() string { return r.Prefix.String() }
func (w *wish) key() string   { return wishKey + w.Prefix.String() }
