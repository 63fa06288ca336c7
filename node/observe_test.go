package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/probe/follow"
)

// watch runs an observer over a store in the bubble, and returns what it sends and judges;
// neighbours is how many reports on its sources' subnets it sends beside.
type watch struct {
	*observer
	member     *federation.Open
	sent       []event.Report
	judged     int
	neighbours int
	stop       func()
}

func newWatch(t *testing.T, a archive, m *federation.Open, open bool, own ...netip.Prefix) *watch {
	t.Helper()
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	return watching(t, a, m, rules, open, own...)
}

// watching is newWatch with rules of its own.
func watching(t *testing.T, a archive, m *federation.Open, rules correlate.Rules, open bool, own ...netip.Prefix) *watch {
	t.Helper()
	w := &watch{member: m}
	due := make(chan event.Key, 1024)
	w.observer = newObserver(observer{log: slog.New(slog.DiscardHandler), rules: rules, member: m, archive: a, own: own,
		counters: new(counters), started: time.Now(),
		home: func(key event.Key, _ []event.Tally) {
			if key.Selector != event.BySourceSubnet {
				w.judged++
			}
		},
		share: sharing(rules, open), waited: func(time.Duration) {}, hash: func(value string) uint32 { return event.Hash32("test", nil, value) },
		send: func(key event.Key) bool { due <- key; return true }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { done <- w.run(ctx) })
	running.Go(func() { // as the outbox does
		for {
			select {
			case key := <-due:
				switch payload, ok := w.report(ctx, key); {
				case !ok:
				case key.Selector == event.BySourceSubnet:
					w.neighbours++
				default:
					w.sent = append(w.sent, unsealed(t, payload))
				}
			case <-ctx.Done():
				return
			}
		}
	})
	w.stop = func() {
		cancel()
		running.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return w
}

func unsealed(t *testing.T, payload []byte) event.Report {
	var sealed event.Sealed
	if err := event.Decode(payload, &sealed); err != nil {
		t.Error(err)
	}
	report, err := event.DecodeReport(sealed.Body)
	if err != nil {
		t.Error(err)
	}
	return report
}

func (w *watch) sees(e event.Event) {
	w.sightings <- sighting{event: &e, source: e.File, position: fmt.Append(nil, e.Line)}
}

func failed(at time.Time, line int64) event.Event {
	return event.Event{Time: at, Kind: event.SSHUserInvalid, Source: event.Endpoint{Addr: netip.MustParseAddr(attacker), Port: uint16(line)},
		Severity: 3, Count: 1, Proof: event.Handshake, Protocol: "tcp", Attempt: fmt.Sprint(line), File: "auth.log", Line: line}
}

func TestRestartNeitherLosesNorDoublesEvidence(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, s, m, true)
		for line := range int64(3) {
			w.sees(failed(time.Now(), line+1))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		w.stop()
		before := w.sent[len(w.sent)-1]

		again := newWatch(t, s, m, true)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(again.sent) != 1 {
			t.Fatalf("%d reports after the restart, want all evidence told once again", len(again.sent))
		}
		after := again.sent[0]
		if after.Version <= before.Version {
			t.Errorf("version %d after %d: it must grow over restarts", after.Version, before.Version)
		}
		if a, b := total(after), total(before); a != 3 || b != 3 {
			t.Errorf("%d observations after the restart, %d before, want 3", a, b)
		}
		if again.judged != 0 {
			t.Error("old evidence was judged at home again")
		}
		if kept, ok, err := s.Position("auth.log"); string(kept) != "3" || !ok || err != nil {
			t.Errorf("position %q %v %v", kept, ok, err)
		}
		again.stop()
	})
}

func total(r event.Report) (n uint64) {
	for _, t := range r.Tallies {
		n += t.Count()
	}
	return n
}

func TestEventsOutOfTimeAreArchivedAndDoNotCount(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, s, m, true)
		w.sees(failed(time.Now().Add(-2*time.Hour), 1))
		w.sees(failed(time.Now().Add(time.Hour), 2))
		w.sees(failed(time.Now().Add(time.Minute), 3)) // within the skew
		time.Sleep(time.Second)
		w.stop()
		if len(w.sent) != 1 || w.judged != 1 {
			t.Errorf("%d reports, judged %d times, want the third event alone", len(w.sent), w.judged)
		}
		if old, future := w.counters.eventsOld.Load(), w.counters.eventsFuture.Load(); old != 1 || future != 1 {
			t.Errorf("%d old, %d from the future", old, future)
		}
		if n, err := s.CountEvents(); n != 3 || err != nil {
			t.Errorf("%d archived, %v", n, err)
		}
	})
}

func TestPrivateSourcesLeaveOnlyOpenLabs(t *testing.T) {
	for _, open := range []bool{true, false} {
		s, m := newStore(t, t.TempDir()), newMember(t)
		synctest.Test(t, func(t *testing.T) {
			w := newWatch(t, s, m, open)
			e := failed(time.Now(), 1)
			e.Source.Addr = netip.MustParseAddr("192.168.1.7")
			w.sees(e)
			time.Sleep(time.Second)
			w.stop()
			if told := len(w.sent) > 0; told != open || w.judged != 1 {
				t.Errorf("open %v: told %v, judged at home %d times", open, told, w.judged)
			}
		})
	}
}

func TestTenThousandEventsCostFewReports(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, s, m, true)
		for line := range int64(10_000) {
			w.sees(failed(time.Now(), line+1))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		w.stop()
		if n, beside := len(w.sent), w.neighbours; n > 20 || beside > 20 {
			t.Errorf("%d reports, %d on the subnet", n, beside)
		} else {
			t.Logf("%d reports, %d on the subnet", n, beside)
		}
		if got := total(w.sent[len(w.sent)-1]); got != 10_000 {
			t.Errorf("the last report counts %d", got)
		}
	})
}

// failing is an archive that can be broken.
type failing struct {
	archive
	broken atomic.Bool
}

func (f *failing) Append(events []event.Event, positions map[string][]byte) error {
	if f.broken.Load() {
		return errors.New("no space left on device")
	}
	return f.archive.Append(events, positions)
}

func TestDetectionGoesOnWhileTheArchiveFails(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		f := &failing{archive: s}
		f.broken.Store(true)
		w := newWatch(t, f, m, true)
		w.sees(failed(time.Now(), 1))
		time.Sleep(time.Second)
		synctest.Wait()
		if w.judged != 1 || w.counters.storeFailures.Load() == 0 {
			t.Errorf("judged %d, failures %d", w.judged, w.counters.storeFailures.Load())
		}
		if _, ok, _ := s.Position("auth.log"); ok {
			t.Error("a position was kept without its events")
		}
		f.broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if n, err := s.CountEvents(); n != 1 || err != nil {
			t.Errorf("%d archived after relief, %v", n, err)
		}
		w.stop()
	})
}

// A file waits while the observer has no room; packets cannot, and are counted.
func TestSourcesWaitOrDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const extra = 10
		o := observer{sightings: make(chan sighting, 1024)}
		ctx, stop := context.WithCancel(t.Context())
		packets := newSource(Source{Format: Live, Path: "eth0"}, slog.New(slog.DiscardHandler), o.take)
		for range cap(o.sightings) + extra {
			packets.sighted(ctx, event.Event{})
		}
		if s := packets.status(); s.Dropped != extra || s.Events != uint64(cap(o.sightings)+extra) {
			t.Errorf("of %d packets %d were dropped, want %d", s.Events, s.Dropped, extra)
		}
		for len(o.sightings) > 0 {
			<-o.sightings
		}
		read := 0
		file := newSource(Source{Format: "sshd", Path: "auth.log",
			Follow: func(_ context.Context, _ follow.Position, handle func(follow.Line) error) error {
				for i := range cap(o.sightings) + extra {
					text := fmt.Appendf(nil, "Nov 25 12:00:00 host sshd[1]: Failed password for root from 203.0.113.%d port 22 ssh2", i%250)
					if err := handle(follow.Line{Bytes: text}); err != nil {
						return err
					}
					read++
				}
				return nil
			}}, slog.New(slog.DiscardHandler), o.take)
		var running sync.WaitGroup
		running.Go(func() { file.run(ctx, nil) })
		synctest.Wait()
		if s := file.status(); s.Dropped != 0 || read != cap(o.sightings) {
			t.Errorf("of a file %d lines were read and %d dropped, want it to wait after %d", read, s.Dropped, cap(o.sightings))
		}
		stop()
		running.Wait()
	})
}

// nowhere is an archive that keeps nothing.
type nowhere struct{}

func (nowhere) Append([]event.Event, map[string][]byte) error { return nil }
func (nowhere) Events(context.Context, time.Time, time.Time, func(event.Event) error) error {
	return nil
}
func (nowhere) NextVersions(n uint64) (uint64, error) { return 0, nil }

// However fast an attacker makes up sources, no more is remembered of what is to be told of them than
// there is evidence, and that needs no sweep.
func TestReportsOnLostKeysAreForgotten(t *testing.T) {
	m := newMember(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, nowhere{}, m, true)
		w.send = func(event.Key) bool { return false } // an outbox that is full
		address := netip.MustParseAddr("100.64.0.0")
		for range talliesKept / 1000 * 2 {
			for range 1000 {
				address = address.Next()
				w.sees(event.Event{Time: time.Now(), Kind: event.FloodSYN, Source: event.Endpoint{Addr: address},
					Target: event.Endpoint{Addr: netip.MustParseAddr("198.51.100.1"), Port: 80}, Severity: 3, Count: 1, Proof: event.Spoofable})
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Second)
		w.stop()
		if lost := w.ledger.Evicted(); lost < talliesKept/2 || len(w.later) > talliesKept+talliesKept/4 {
			t.Errorf("%d keys are lost, and %d wait to be told", lost, len(w.later))
		}
	})
}

// A report that finds no room in the outbox is sent later: the evidence is kept.
func TestReportsWaitForRoom(t *testing.T) {
	full, asked := true, 0
	o := observer{later: map[event.Key]time.Time{}, send: func(event.Key) bool { asked++; return !full }}
	key, now := event.Key{Value: "203.0.113.9"}, time.Unix(1e9, 0)
	o.dispatch(now, key)
	o.tell(now)
	if asked != 1 || len(o.later) != 1 {
		t.Fatalf("asked %d times, %d wait", asked, len(o.later))
	}
	full = false
	o.tell(now.Add(time.Second))
	if asked != 2 || len(o.later) != 0 {
		t.Errorf("asked %d times, %d wait", asked, len(o.later))
	}
}

// A store that takes nothing stops no reports for long, and no number is used twice.
func TestVersionsOutlastAFullDisk(t *testing.T) {
	full, reserved := false, uint64(0)
	v := versions{reserve: func(n uint64) (uint64, error) {
		if full {
			return 0, errors.New("full")
		}
		reserved += n
		return reserved - n, nil
	}}
	last := -1
	next := func() error {
		n, err := v.next()
		if err == nil && int(n) <= last {
			t.Fatalf("%d after %d", n, last)
		}
		if err == nil {
			last = int(n)
		}
		return err
	}
	for range versionsAhead * 3 / 4 { // the first are renewed before they end
		if err := next(); err != nil {
			t.Fatal(err)
		}
	}
	full = true
	made := 0
	for next() == nil {
		made++
	}
	if made < versionsAhead/2 {
		t.Errorf("%d reports on a full disk, want %d", made, versionsAhead/2)
	}
	full = false
	if err := next(); err != nil || reserved < uint64(last) {
		t.Errorf("%d is used, and %d were reserved (%v)", last, reserved, err)
	}
}
