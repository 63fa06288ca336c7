// Package store keeps what a node must not forget, in one bbolt file: the
// archive of events with the log positions that they came from, report versions,
// alerts, blocks, the allow-list and known peers.
//
// What was acknowledged (a method returned nil) survives a killed process and a
// power cut. Records are opaque bytes except for events. All methods may be
// called by several goroutines; what is written at the same time shares one
// transaction and one fsync. Functions that walk a bucket call fn outside of any
// transaction, so that it may write.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// ErrFull is returned when a bounded table has no room for another record.
var ErrFull = errors.New("full")

// Bounds of what is kept, in records.
const (
	DefaultMaxEvents = 2_000_000 // about 550 MB
	MaxAlerts        = 10_000
	MaxPeers         = 1_000
)

// Store is an open store.
type Store struct {
	// MaxEvents bounds the archive: the oldest events make room. It may be
	// changed before the first Append.
	MaxEvents int

	Alerts *Alerts
	Blocks *Table // prefix → record
	Allow  *Table // address, prefix or name → note
	Peers  *Table // peer ID → record; at most MaxPeers: ErrFull beyond
	// Federation holds its documents and the invitations to be redeemed here.
	Federation *Table
	// Learned holds what is usual on this host, as far as it was found out.
	Learned *Table
	// Responses holds what was done against attacks, by id.
	Responses *Table
	// Kernel holds the names of the nftables tables that may be in the kernel.
	Kernel *Table

	// Opinions holds what members say of alerts.
	Opinions *Table

	path string
	db   *bbolt.DB
	// dbLock is held while db is in use, and alone while it is replaced: see undo.
	dbLock sync.RWMutex

	queueLock sync.Mutex
	queue     []*write      // guarded by queueLock
	lead      chan struct{} // holds one while somebody writes
	broken    error         // guarded by lead: a write found the file damaged
	undoing   *undoing      // guarded by lead
}

var (
	metaBucket      = []byte("meta")
	eventsBucket    = []byte("events")
	positionsBucket = []byte("positions")

	formatKey  = []byte("format")
	versionKey = []byte("version") // the next report version
	countKey   = []byte("events")  // how many there are
)

// format is the layout of the buckets; another one is refused.
const format = 1

// Open opens the store at path and creates it, readable by its owner only, if
// there is none. A store in use by another process is refused at once, and a
// damaged one with what to do about it.
func Open(path string) (*Store, error) {
	s := &Store{path: path, MaxEvents: DefaultMaxEvents, lead: make(chan struct{}, 1)}
	s.Alerts = &Alerts{s}
	s.Blocks = &Table{store: s, name: []byte("blocks")}
	s.Allow = &Table{store: s, name: []byte("allow")}
	s.Peers = &Table{store: s, name: []byte("peers"), limit: MaxPeers}
	s.Federation = &Table{store: s, name: []byte("federation")}
	s.Learned = &Table{store: s, name: []byte("learned")}
	s.Responses = &Table{store: s, name: []byte("responses")}
	s.Kernel = &Table{store: s, name: []byte("kernel")}
	s.Opinions = &Table{store: s, name: []byte("opinions")}
	err := s.create()
	if err == nil {
		err = s.connect(path)
	}
	if err == nil {
		// An earlier process may have died before it did that. A disk that fails now is no
		// reason not to start: writes will say so.
		_ = syncFolder(filepath.Dir(path))
		return s, nil
	}
	if s.db != nil {
		err = errors.Join(err, guard(s.db.Close))
	}
	return nil, fmt.Errorf("open store %q: %w", path, s.explain(err))
}

// create makes the file under another name, if there is none: a power cut leaves
// no half of one that would be refused as damaged.
func (s *Store) create() error {
	if _, err := os.Stat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	// Two processes may be here at the same time.
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := s.path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.connect(unfinished); err != nil {
		return err
	}
	if err := guard(s.db.Close); err != nil {
		return err
	}
	return errors.Join(os.Rename(unfinished, s.path), folder.Sync())
}

// connect opens the file, and prepares it.
func (s *Store) connect(path string) error {
	return guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{
			FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapSize(), NoStatistics: true,
			OpenFile: openChecked,
		})
		if err != nil {
			return err // and s.db stays: a closed one says so, where nil would panic
		}
		s.db = db
		return s.prepare()
	})
}

// makeFolder is os.MkdirAll for folders that survive a power cut.
func makeFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close waits for running writes and closes the file.
func (s *Store) Close() error {
	s.lead <- struct{}{}
	defer func() { <-s.lead }()
	if s.broken != nil {
		return s.broken // bbolt may hold its lock for ever; the process's end lets go of the file
	}
	if err := guard(s.db.Close); err != nil {
		return fmt.Errorf("close store %q: %w", s.path, err)
	}
	return nil
}

// prepare checks the format and creates what is missing.
func (s *Store) prepare() error {
	complete := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return nil
		}
		if got, err := number(meta, formatKey); err != nil || got != format {
			return errors.Join(fmt.Errorf("its format is %d, this komondor knows %d: use the version that wrote it, or move the file aside", got, format), err)
		}
		complete = true
		for _, name := range s.buckets() {
			complete = complete && tx.Bucket(name) != nil
		}
		return nil
	})
	if err != nil || complete {
		return err
	}
	err = guard(func() error {
		return s.db.Update(s.fill)
	})
	if errors.Is(err, errDamaged) {
		s.db = nil // it may hold its lock for ever: there is no closing it
	}
	return err
}

// fill creates the buckets and counters that are missing.
func (s *Store) fill(tx *bbolt.Tx) error {
	for _, name := range s.buckets() {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	if meta.Get(formatKey) != nil {
		return nil
	}
	// A store that replaces a lost one must not use version numbers again:
	// they begin at the time in microseconds, which no node can outrun.
	return errors.Join(
		putNumber(meta, versionKey, uint64(time.Now().UnixMicro())),
		putNumber(meta, countKey, 0),
		putNumber(meta, formatKey, format))
}

func (s *Store) buckets() [][]byte {
	return [][]byte{metaBucket, eventsBucket, positionsBucket, alertsBucket, alertTimesBucket,
		s.Blocks.name, s.Allow.name, s.Peers.name, s.Federation.name, s.Learned.name, s.Responses.name, s.Kernel.name, s.Opinions.name}
}

// mapSize is the address space to reserve: growing beyond it has to wait for
// readers.
func mapSize() int {
	if strconv.IntSize == 64 {
		return 1 << 30
	}
	return 64 << 20
}

// guard makes an error of what bbolt does on a damaged file: it trusts the pages
// that it has mapped, and panics or faults.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return fn()
}

// view reads in one transaction.
func (s *Store) view(what string, fn func(tx *bbolt.Tx) error) error {
	s.dbLock.RLock()
	defer s.dbLock.RUnlock()
	if err := guard(func() error { return s.db.View(fn) }); err != nil {
		return fmt.Errorf("%s: store %q: %w", what, s.path, s.explain(err))
	}
	return nil
}

// explain adds the remedy. bbolt passes some errors of the disk on as text only.
func (s *Store) explain(err error) error {
	is := func(errno syscall.Errno) bool {
		return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
	}
	var of *fs.PathError
	switch {
	case errors.Is(err, errInUse):
		return fmt.Errorf("%w: another komondor runs with this --data; stop it or use another --data", err)
	case errors.Is(err, errDamaged):
		return fmt.Errorf("%w: move the file aside to begin anew; lost with it are the archive of events, log positions (logs are read again from their start), alerts, blocks and the allow-list", err)
	case is(syscall.ENOSPC) || is(syscall.EDQUOT):
		return fmt.Errorf("%w: free space below %s; nothing acknowledged is lost and writing goes on by itself", err, filepath.Dir(s.path))
	case is(syscall.EIO):
		return fmt.Errorf("%w: check the disk below %s (dmesg, smartctl)", err, filepath.Dir(s.path))
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &of) && of.Op == "open" && of.Path == s.path:
		return fmt.Errorf("%w: run as the owner of the file", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name a --data below which this user may write, or run as one who may", err)
	}
	return err
}

// number reads a counter of the meta bucket.
func number(meta *bbolt.Bucket, key []byte) (uint64, error) {
	value := meta.Get(key)
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: counter %s has %d bytes, want 8", errDamaged, key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func putNumber(meta *bbolt.Bucket, key []byte, n uint64) error {
	return meta.Put(key, binary.BigEndian.AppendUint64(nil, n))
}
