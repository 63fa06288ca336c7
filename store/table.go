package store

import (
	"errors"
	"fmt"
	"io/fs"

	"go.etcd.io/bbolt"
)

// Table keeps records under keys. Keys have 1 to 32,768 bytes.
type Table struct {
	store *Store
	name  []byte
	limit int // in records; 0 is no limit
}

// Put stores a record and replaces the one with the same key. In a bounded table
// without room it fails with ErrFull.
func (t *Table) Put(key string, value []byte) error {
	return t.PutAll(map[string][]byte{key: value})
}

// PutAll is Put for many records: all or none.
func (t *Table) PutAll(records map[string][]byte) error {
	return t.store.update("write "+string(t.name), func(tx *bbolt.Tx) error {
		b := tx.Bucket(t.name)
		count := b.Sequence() // bbolt keeps this number for its users: here it is the count
		for key, value := range records {
			if b.Get([]byte(key)) == nil {
				count++
			}
			if err := b.Put([]byte(key), value); err != nil {
				return fmt.Errorf("key %.40q: %w", key, err)
			}
		}
		if t.limit > 0 && count > uint64(t.limit) {
			return fmt.Errorf("%s is %w: it holds its limit of %d records; wait until some are done", t.name, ErrFull, t.limit)
		}
		return b.SetSequence(count)
	})
}

// Delete removes records; keys that are not there are no error.
func (t *Table) Delete(keys ...string) error {
	return t.store.update("delete from "+string(t.name), func(tx *bbolt.Tx) error {
		b := tx.Bucket(t.name)
		count := b.Sequence()
		for _, key := range keys {
			if b.Get([]byte(key)) == nil {
				continue
			}
			count--
			if err := b.Delete([]byte(key)); err != nil {
				return fmt.Errorf("key %.40q: %w", key, err)
			}
		}
		return b.SetSequence(count)
	})
}

// Get returns a copy of a record and whether there is one.
func (t *Table) Get(key string) (value []byte, ok bool, err error) {
	return t.store.get(t.name, key)
}

// Len is the number of records.
func (t *Table) Len() (n int, err error) {
	err = t.store.view("count "+string(t.name), func(tx *bbolt.Tx) error {
		n = int(tx.Bucket(t.name).Sequence())
		return nil
	})
	return n, err
}

// Each calls fn with each record in the order of the keys until it returns an
// error; fs.SkipAll ends the walk without one.
func (t *Table) Each(fn func(key string, value []byte) error) error {
	return t.store.walk(t.name, nil, nil, false, func(key, value []byte) error {
		return fn(string(key), value)
	})
}

func (s *Store) get(bucket []byte, key string) (value []byte, ok bool, err error) {
	err = s.view("read "+string(bucket), func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucket).Get([]byte(key)); v != nil {
			value, ok = append([]byte{}, v...), true
		}
		return nil
	})
	return value, ok, err
}

// record is a key and a value, both copied out of the store.
type record struct{ key, value []byte }

// walk calls fn with the records of a bucket from key from on to before key to,
// or from the last one back. It reads a thousand at a time and lets go of the
// store meanwhile, so that a slow fn keeps nobody waiting.
func (s *Store) walk(bucket, from, to []byte, back bool, fn func(key, value []byte) error) error {
	for more := true; more; {
		var chunk []record
		err := s.view("read "+string(bucket), func(tx *bbolt.Tx) error {
			chunk, more = read(tx.Bucket(bucket).Cursor(), from, to, back, 1000)
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range chunk {
			if err := fn(r.key, r.value); errors.Is(err, fs.SkipAll) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if more {
			last := chunk[len(chunk)-1].key
			if back {
				to = last
			} else {
				from = append(last[:len(last):len(last)], 0) // the least key after it
			}
		}
	}
	return nil
}

func read(c *bbolt.Cursor, from, to []byte, back bool, limit int) (chunk []record, more bool) {
	key, value := c.Seek(from)
	step := c.Next
	if back {
		step = c.Prev
		key = nil
		if to != nil {
			key, _ = c.Seek(to)
		}
		if key == nil {
			key, value = c.Last()
		} else {
			key, value = c.Prev()
		}
	}
	for ; key != nil; key, value = step() {
		if !back && to != nil && string(key) >= string(to) || back && string(key) < string(from) {
			return chunk, false
		}
		if len(chunk) == limit {
			return chunk, true
		}
		chunk = append(chunk, record{append([]byte{}, key...), append([]byte{}, value...)})
	}
	return chunk, false
}
