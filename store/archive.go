package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/komondor/komondor/event"
)

// Append archives events together with the positions in the logs that they were
// read from: after a crash both are there or neither. Either may be nil. When the archive is over MaxEvents its oldest go.
func (s *Store) Append(events []event.Event, positions map[string][]byte) error {
	if len(events) == 0 && len(positions) == 0 {
		return nil
	}
	values := make([][]byte, len(events))
	for i, e := range events {
		value, err := event.Encode(e)
		if err != nil {
			return fmt.Errorf("archive event of %s, line %d: %w", e.File, e.Line, err)
		}
		values[i] = value
	}
	return s.update("archive events", func(tx *bbolt.Tx) error {
		b, meta := tx.Bucket(eventsBucket), tx.Bucket(metaBucket)
		b.FillPercent = 0.9 // keys come nearly in order
		count, err := number(meta, countKey)
		if err != nil {
			return err
		}
		for i, value := range values {
			sequence, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(binary.BigEndian.AppendUint64(timeKey(events[i].Time), sequence), value); err != nil {
				return err
			}
		}
		if count += uint64(len(values)); count > uint64(s.MaxEvents) {
			n, err := deleteOldest(b, nil, min(int(count)-s.MaxEvents, pruneChunk+len(values)))
			if err != nil {
				return err
			}
			count -= uint64(n)
		}
		for path, position := range positions {
			if err := tx.Bucket(positionsBucket).Put([]byte(path), position); err != nil {
				return fmt.Errorf("position of %.100q: %w", path, err)
			}
		}
		return putNumber(meta, countKey, count)
	})
}

// Position returns what Append stored last for the log, and whether it did.
func (s *Store) Position(path string) (position []byte, ok bool, err error) {
	return s.get(positionsBucket, path)
}

// Events calls fn with the events from the time from on to before the time to,
// oldest first; a zero to is without end. fn may return fs.SkipAll to end early.
func (s *Store) Events(ctx context.Context, from, to time.Time, fn func(event.Event) error) error {
	var end []byte
	if !to.IsZero() {
		end = timeKey(to)
	}
	return s.walk(eventsBucket, timeKey(from), end, false, func(_, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var e event.Event
		if err := event.Decode(value, &e); err != nil {
			return fmt.Errorf("read events: store %q: %w: %w", s.path, errDamaged, err)
		}
		return fn(e)
	})
}

// CountEvents is how many events the archive holds.
func (s *Store) CountEvents() (n int, err error) {
	err = s.view("count events", func(tx *bbolt.Tx) error {
		count, err := number(tx.Bucket(metaBucket), countKey)
		n = int(count)
		return err
	})
	return n, err
}

// pruneChunk is how many events go in one transaction, so that other writers
// wait for milliseconds only.
const pruneChunk = 10_000

// Prune deletes the events before a time and says how many they were. The file
// does not shrink; new records take the room.
func (s *Store) Prune(before time.Time) (pruned int, err error) {
	for n := pruneChunk; n == pruneChunk; pruned += n {
		err := s.update("prune events", func(tx *bbolt.Tx) (err error) {
			meta := tx.Bucket(metaBucket)
			count, err := number(meta, countKey)
			if err != nil {
				return err
			}
			if n, err = deleteOldest(tx.Bucket(eventsBucket), timeKey(before), pruneChunk); err != nil {
				return err
			}
			return putNumber(meta, countKey, count-uint64(n))
		})
		if err != nil {
			return pruned, err
		}
	}
	return pruned, nil
}

// deleteOldest deletes up to n records, and none from key end on unless that is
// nil. The keys are collected first: a cursor loses its place when it deletes.
func deleteOldest(b *bbolt.Bucket, end []byte, n int) (int, error) {
	oldest, _ := read(b.Cursor(), nil, end, false, n)
	for _, r := range oldest {
		if err := b.Delete(r.key); err != nil {
			return 0, err
		}
	}
	return len(oldest), nil
}

// NextVersions reserves n report version numbers, first to first+n-1, which no
// later call returns again, after a crash neither.
func (s *Store) NextVersions(n uint64) (first uint64, err error) {
	err = s.update("reserve versions", func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if first, err = number(meta, versionKey); err != nil {
			return err
		}
		if n > math.MaxUint64-first {
			return fmt.Errorf("no %d versions are left after %d", n, first)
		}
		return putNumber(meta, versionKey, first+n)
	})
	return first, err
}

// timeKey sorts like the time: big-endian Unix nanoseconds with the sign bit
// turned. Times before 1678 and after 2261 count as these bounds.
func timeKey(t time.Time) []byte {
	nanos := t.UnixNano()
	if t.Year() < 1678 {
		nanos = math.MinInt64
	} else if t.Year() > 2261 {
		nanos = math.MaxInt64
	}
	return binary.BigEndian.AppendUint64(nil, uint64(nanos)^1<<63)
}

func keyTime(key []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key)^1<<63)).UTC()
}
