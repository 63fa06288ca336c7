package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// write is one caller's part of a transaction.
type write struct {
	fn   func(tx *bbolt.Tx) error
	done chan error
}

// update runs fn in a transaction, together with all that came while the one
// before was written. fn may run more than once and must change nothing but the
// transaction. Unlike bbolt's Batch, this waits for nobody when nobody writes,
// and a panic of the commit stays here.
func (s *Store) update(what string, fn func(tx *bbolt.Tx) error) error {
	w := &write{fn, make(chan error, 1)}
	s.queueLock.Lock()
	s.queue = append(s.queue, w)
	s.queueLock.Unlock()

	var err error
	select {
	case err = <-w.done:
	case s.lead <- struct{}{}: // whoever leads writes for all that wait
		s.queueLock.Lock()
		batch := s.queue
		s.queue = nil
		s.queueLock.Unlock()
		s.write(batch)
		<-s.lead
		err = <-w.done
	}
	if err != nil {
		return fmt.Errorf("%s: store %q: %w", what, s.path, s.explain(err))
	}
	return nil
}

// write commits the batch. A write that fails by itself leaves it, and the
// others are tried without.
func (s *Store) write(batch []*write) {
	for len(batch) > 0 {
		failed := -1
		err := s.broken
		if err == nil {
			err = guard(func() error {
				return s.db.Update(func(tx *bbolt.Tx) error {
					for i, w := range batch {
						if err := w.fn(tx); err != nil {
							failed = i
							return err
						}
					}
					return nil
				})
			})
		}
		if errors.Is(err, errDamaged) && failed < 0 {
			s.broken = err
		}
		if err != nil && failed >= 0 {
			batch[failed].done <- err
			batch = append(batch[:failed:failed], batch[failed+1:]...)
			continue
		}
		for _, w := range batch {
			w.done <- err
		}
		return
	}
}
