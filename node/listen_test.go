package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/anomaly"
	"github.com/komondor/komondor/probe/follow"
)

// A sensor whose clock is an hour ahead is corrected after a while, and said so once.
func TestClockIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []event.Event
		var arrived []time.Time
		s := newSource(Source{Format: "sshd", Path: "auth.log", Follow: func(_ context.Context, _ follow.Position, handle func(follow.Line) error) error {
			for i := range 30 {
				stamp := time.Now().Add(time.Hour).Format(time.RFC3339)
				if err := handle(follow.Line{Number: int64(i + 1), Bytes: fmt.Appendf(nil, "%s gate sshd[%d]: Invalid user a from 203.0.113.9 port 22", stamp, i)}); err != nil {
					return err
				}
				time.Sleep(time.Minute)
			}
			return nil
		}}, slog.New(slog.DiscardHandler), func(_ context.Context, s sighting, _ bool) error {
			if s.event != nil {
				seen, arrived = append(seen, *s.event), append(arrived, time.Now())
			}
			return nil
		})
		if err := s.run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		told, right := 0, 0
		for i, e := range seen {
			switch {
			case e.Kind == event.ProbeClock:
				told++
			case e.Time.Sub(arrived[i]).Abs() < time.Minute:
				right++
			}
		}
		state := s.status()
		if told != 1 || right < 15 || len(seen) != 31 || state.ClockOffset != 3600 || state.Notice == "" {
			t.Errorf("told %d times, %d of %d times right, offset %d s, notice %q", told, right, len(seen), state.ClockOffset, state.Notice)
		}
	})
}

// What was written before it is read tells nothing of a clock.
func TestOldLinesTellNoClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	if err := os.WriteFile(path, []byte("a log\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := reading{source: newSource(Source{Format: "sshd", Path: path}, slog.New(slog.DiscardHandler), nil)}
	r.backlog = r.size()
	old, written := time.Now().Add(-3*time.Hour), follow.Line{End: follow.Position{Offset: 6}}
	for range 100 {
		e := failed(old, 1)
		if err := r.correct(t.Context(), written, &e); err != nil || !e.Time.Equal(old) || r.backlog != 6 {
			t.Fatalf("%v: %s became %s", err, old, e.Time)
		}
	}
	written.End.Offset = 12
	e := failed(old, 1)
	if err := r.correct(t.Context(), written, &e); err != nil || r.backlog != -1 {
		t.Errorf("%v: what is written now is taken for old", err)
	}
}

// A source that stops is an event and shown, and what is usual outlasts a restart.
func TestSilentSource(t *testing.T) {
	st := newStore(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		lines := func(s *source, n int) {
			for range n {
				s.account(follow.Line{}, event.Event{}, false, nil)
				time.Sleep(time.Minute)
			}
		}
		begin := func() (*Node, *source, func()) {
			n := &Node{store: st, config: Config{Log: slog.New(slog.DiscardHandler)}}
			n.observer = newObserver(observer{log: n.config.Log, archive: st})
			s := newSource(Source{Format: "sshd", Path: "auth.log"}, n.config.Log, n.observer.take)
			n.sources = []*source{s}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = n.listen(ctx) })
			running.Go(func() { // as the observer does, at rest
				for {
					select {
					case ask := <-n.observer.questions:
						ask(n.observer)
					case <-ctx.Done():
						return
					}
				}
			})
			return n, s, func() { cancel(); running.Wait() }
		}
		_, s, stop := begin()
		lines(s, 5*24*60)
		stop()
		n, s, stop := begin()
		lines(s, 10)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		since := s.status().SilentSince
		if len(n.observer.sightings) != 1 || time.Since(since) < 2*time.Hour {
			t.Fatalf("%d events, silent since %s", len(n.observer.sightings), since)
		}
		if e := (<-n.observer.sightings).event; e.Kind != event.ProbeSilent || e.File != "auth.log" {
			t.Errorf("%+v", e)
		}
		lines(s, 2)
		synctest.Wait()
		if state := s.status(); !state.SilentSince.IsZero() || state.Notice == "" {
			t.Errorf("heard again: silent since %s, notice %q", state.SilentSince, state.Notice)
		}
		stop()
	})
}

// What is unusual is archived and counted with what else is seen of the source.
func TestUnusualRates(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		usual := anomaly.New(anomaly.Config{})
		for at := time.Now().Add(-5 * 24 * time.Hour); at.Before(time.Now()); at = at.Add(time.Minute) {
			usual.Tick(at, func(e event.Event) { t.Errorf("%+v", e) })
			usual.Add(failed(at, 1))
		}
		state, err := usual.State()
		if err != nil {
			t.Fatal(err)
		}
		w := newWatch(t, s, m, true)
		if ended := w.ask(t.Context(), func(o *observer) { err = o.rates.Restore(state) }); ended != nil || err != nil {
			t.Fatal(ended, err)
		}
		time.Sleep(2 * time.Minute)
		for line := range int64(200) {
			e := failed(time.Now(), 100+line)
			e.Kind, e.Severity = event.SSHPreauthClosed, 1
			w.sees(e)
		}
		time.Sleep(2 * time.Minute)
		w.stop()
		unusual := 0
		for _, tally := range w.ledger.Tallies(event.Key{Selector: event.BySource, Value: attacker}) {
			if tally.Kind == event.AnomalyRate {
				unusual += int(tally.Proven)
			}
		}
		if n, err := s.CountEvents(); unusual != 1 || n != 202 || err != nil {
			t.Errorf("%d times unusual, %d events archived (%v); want one about the source and one about the service", unusual, n, err)
		}
	})
}

// What happens on this host is archived, and accuses nobody.
func TestEventsOfThisHost(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t, s, m, true)
		w.sees(event.Event{Time: time.Now(), Kind: event.ProcessExec, Severity: 5, Count: 1, User: "www-data", Detail: "a shell", Sensor: "auditd", File: "audit.log"})
		time.Sleep(time.Second)
		w.stop()
		var kept []event.Event
		err := s.Events(context.Background(), time.Now().Add(-time.Hour), time.Now(), func(e event.Event) error { kept = append(kept, e); return nil })
		if err != nil || len(kept) != 1 || kept[0].Source.Addr.IsValid() || kept[0].Detail != "a shell" || len(w.sent)+w.judged != 0 {
			t.Errorf("kept %+v (%v), %d reports, judged %d times", kept, err, len(w.sent), w.judged)
		}
	})
}

func TestExplainEventOfThisHost(t *testing.T) {
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	const record = `type=SYSCALL msg=audit(1795636345.508:15): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 ppid=8 pid=9 uid=0 comm="x" exe="/tmp/x" key=(null)
type=EXECVE msg=audit(1795636345.508:15): argc=1 a0="x"
`
	x, err := ExplainLine(rules, probe.Builtin(), "auto", []byte(record), time.Unix(1795636400, 0))
	if err != nil || x.Format != "auditd" || x.Event == nil || len(x.Keys) != 0 || !strings.Contains(x.Why, "of this host itself") {
		t.Errorf("%+v, %v", x, err)
	}
}
