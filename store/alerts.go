package store

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Alerts keeps the latest MaxAlerts alerts, each under its ID.
type Alerts struct{ store *Store }

var (
	alertsBucket     = []byte("alerts")      // time and ID → record
	alertTimesBucket = []byte("alert times") // ID → time
)

// Alert is an alert's record with what it is found by.
type Alert struct {
	ID     string
	Raised time.Time
	Record []byte
}

// Put stores alerts in one transaction; each replaces the one with the same ID.
// When there are too many, those raised first go.
func (a *Alerts) Put(all ...Alert) error {
	return a.store.update("write alerts", func(tx *bbolt.Tx) error {
		for _, alert := range all {
			if err := putAlert(tx, alert); err != nil {
				return err
			}
		}
		return nil
	})
}

func putAlert(tx *bbolt.Tx, a Alert) error {
	alerts, times := tx.Bucket(alertsBucket), tx.Bucket(alertTimesBucket)
	count := alerts.Sequence() // as in a Table
	if old := times.Get([]byte(a.ID)); old != nil {
		if err := alerts.Delete(append(bytes.Clone(old), a.ID...)); err != nil {
			return err
		}
		count--
	}
	key := timeKey(a.Raised)
	if err := times.Put([]byte(a.ID), key); err != nil {
		return fmt.Errorf("alert %.40q: %w", a.ID, err)
	}
	if err := alerts.Put(append(bytes.Clone(key), a.ID...), a.Record); err != nil {
		return fmt.Errorf("alert %.40q: %w", a.ID, err)
	}
	for count++; count > MaxAlerts; count-- {
		oldest, _ := alerts.Cursor().First()
		if len(oldest) < 8 {
			return fmt.Errorf("%w: an alert's key has %d bytes", errDamaged, len(oldest))
		}
		oldest = bytes.Clone(oldest)
		if err := times.Delete(oldest[8:]); err != nil {
			return err
		}
		if err := alerts.Delete(oldest); err != nil {
			return err
		}
	}
	return alerts.SetSequence(count)
}

// Get returns the alert with that ID, and whether there is one.
func (a *Alerts) Get(id string) (raised time.Time, record []byte, ok bool, err error) {
	err = a.store.view("read alert", func(tx *bbolt.Tx) error {
		key := tx.Bucket(alertTimesBucket).Get([]byte(id))
		if len(key) != 8 {
			return nil
		}
		raised, ok = keyTime(key), true
		record = append([]byte{}, tx.Bucket(alertsBucket).Get(append(bytes.Clone(key), id...))...)
		return nil
	})
	return raised, record, ok, err
}

// Newest calls fn with each alert, newest first. fn may return fs.SkipAll to end
// early.
func (a *Alerts) Newest(fn func(id string, raised time.Time, record []byte) error) error {
	return a.walk(true, fn)
}

// Oldest is Newest the other way round.
func (a *Alerts) Oldest(fn func(id string, raised time.Time, record []byte) error) error {
	return a.walk(false, fn)
}

func (a *Alerts) walk(back bool, fn func(id string, raised time.Time, record []byte) error) error {
	return a.store.walk(alertsBucket, nil, nil, back, func(key, record []byte) error {
		if len(key) < 8 {
			return fmt.Errorf("read alerts: store %q: %w: a key has %d bytes", a.store.path, errDamaged, len(key))
		}
		return fn(string(key[8:]), keyTime(key), record)
	})
}
