package health

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

var start = time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC) // a Monday

// ward is a monitor with one source, in minutes.
type ward struct {
	Monitor
	now  time.Time
	said []event.Event
	back []time.Duration
}

func (w *ward) run(d time.Duration, speaks func(at time.Time) bool) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(time.Minute) {
		if speaks(w.now) {
			if silent := w.Heard("auth.log", w.now); silent > 0 {
				w.back = append(w.back, silent)
			}
		}
		w.Tick(w.now, func(e event.Event) { w.said = append(w.said, e) })
	}
}

func never(time.Time) bool { return false }

func TestSilence(t *testing.T) {
	const day = 24 * time.Hour
	random := rand.New(rand.NewPCG(7, 8))
	busy := func(at time.Time) bool { return at.Hour() >= 7 || random.IntN(20) == 0 }
	byDay := func(at time.Time) bool { return at.Hour() >= 4 && at.Hour() < 22 && random.IntN(3) == 0 }
	rare := func(time.Time) bool { return random.IntN(24*60) < 5 }
	office := func(at time.Time) bool {
		return at.Weekday() >= 1 && at.Weekday() <= 5 && at.Hour() >= 8 && at.Hour() < 18
	}
	for _, c := range []struct {
		name    string
		learned time.Duration
		speaks  func(time.Time) bool
		silence time.Duration // after that
		want    bool
	}{
		{"busy", 10 * day, busy, 6 * time.Hour, true},
		{"busy, for a short while", 10 * day, busy, 5 * time.Minute, false},
		{"just begun", 2 * day, busy, day, false},
		{"asleep at night", 10*day + 12*time.Hour, byDay, day, true},
		{"asleep at night, as ever", 30 * day, byDay, 0, false},
		{"rare", 60 * day, rare, 5 * day, false},
		{"in office hours only", 60 * day, office, 3 * day, false},
		{"never heard", 10 * day, never, day, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &ward{now: start}
			w.Watch("auth.log")
			w.run(c.learned, c.speaks)
			if len(w.said) > 0 {
				t.Fatalf("while nothing was wrong: %s: %s", w.said[0].Time, w.said[0].Detail)
			}
			w.run(c.silence, never)
			if len(w.said) > 1 || (len(w.said) == 1) != c.want || w.Silent("auth.log").IsZero() == c.want {
				t.Fatalf("reported %d times, silent since %s, want it: %v", len(w.said), w.Silent("auth.log"), c.want)
			}
			if !c.want {
				return
			}
			if e := w.said[0]; e.Kind != event.ProbeSilent || e.Severity != 0 || e.Count != 1 || e.File != "auth.log" || e.Source.Addr.IsValid() || e.Detail == "" {
				t.Errorf("%+v", e)
			}
			w.run(time.Minute, func(time.Time) bool { return true })
			if len(w.back) != 1 || (w.back[0]-c.silence).Abs() > time.Hour || !w.Silent("auth.log").IsZero() {
				t.Errorf("back after %v, silent since %s", w.back, w.Silent("auth.log"))
			}
		})
	}
}

// A host that slept has heard nobody, and nobody is to blame.
func TestSleep(t *testing.T) {
	w := &ward{now: start}
	always := func(time.Time) bool { return true }
	w.run(5*24*time.Hour, always)
	w.now = w.now.Add(8 * time.Hour)
	w.run(5*time.Minute, never)
	w.run(time.Hour, always)
	if len(w.said) > 0 {
		t.Errorf("%s", w.said[0].Detail)
	}
	if usual, _ := w.sources["auth.log"].usual(w.now); usual > time.Minute {
		t.Errorf("the sleep was learned: %s", usual)
	}
}

func TestRestart(t *testing.T) {
	w := &ward{now: start}
	w.run(5*24*time.Hour, func(time.Time) bool { return true })
	kept, err := w.State()
	if err != nil {
		t.Fatal(err)
	}
	again := &ward{now: w.now.Add(time.Hour)}
	again.Watch("auth.log")
	if err := again.Restore(kept); err != nil {
		t.Fatal(err)
	}
	again.run(time.Hour, never)
	if len(again.said) != 1 {
		t.Errorf("reported %d times, of a source that is gone since the restart", len(again.said))
	}
	if again.Restore([]byte("no state")) == nil {
		t.Error("no state was taken for one")
	}
	if err := new(Monitor).Restore(kept); err != nil {
		t.Errorf("a source that is read no more: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	w := &ward{now: start}
	w.run(time.Hour, func(time.Time) bool { return true })
	kept, err := w.State()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Fuzz(func(_ *testing.T, kept []byte) {
		w := &ward{now: start}
		w.Watch("auth.log")
		if w.Restore(kept) == nil {
			w.run(20*time.Minute, never)
		}
	})
}
