package store

import (
	"errors"
	"fmt"
	"os"

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
// others are tried without. None of those that it fails has been written.
func (s *Store) write(batch []*write) {
	for len(batch) > 0 {
		failed := -1
		err := s.broken
		if err == nil {
			err = s.undo()
		}
		if err == nil {
			err = s.commit(func(tx *bbolt.Tx) error {
				for i, w := range batch {
					if err := w.fn(tx); err != nil {
						failed = i
						return err
					}
				}
				return nil
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

// commit runs one transaction.
func (s *Store) commit(fn func(tx *bbolt.Tx) error) error {
	id, pageSize := 0, 0
	err := guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			id, pageSize = tx.ID(), s.db.Info().PageSize
			return fn(tx)
		})
	})
	if err == nil || id == 0 || errors.Is(err, errDamaged) { // 0: it did not begin
		return err
	}
	newest := 0
	seen := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { newest = tx.ID(); return nil })
	})
	if seen == nil && newest != id {
		return err
	}
	s.undoing = &undoing{id, pageSize}
	return errors.Join(err, s.undo())
}

// undoing is a transaction that could not be synchronised after its meta page had
// been written. It shows, and may or may not be on the disk; who asked for it was
// told that it failed, and will ask again.
type undoing struct{ id, pageSize int }

// undo takes back what failed so, and has to succeed before anything else is
// written: a later transaction uses the same pages, and half of it would be found
// under the meta page of this one. bbolt's list of free pages is of the wrong
// transaction then, so the file is opened anew.
func (s *Store) undo() error {
	u := s.undoing
	if u == nil {
		return nil
	}
	file, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	// Transactions take the two meta pages in turn; one with a wrong checksum, which is
	// its last field (see readMeta), does not count.
	_, err = file.WriteAt(make([]byte, 8), int64(u.id%2*u.pageSize+headerSize+56))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	s.dbLock.Lock()
	defer s.dbLock.Unlock()
	if err := errors.Join(guard(s.db.Close), s.connect(s.path)); err != nil {
		return err
	}
	s.undoing = nil
	return nil
}
