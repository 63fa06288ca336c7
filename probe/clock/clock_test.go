package clock

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 10, 20, 12, 0, 0, 0, time.UTC)

// feed adds a record every so often for a while; written says by how much its time is
// ahead of its arrival.
func feed(e *Estimator, from time.Time, d, pause time.Duration, written func(i int, at time.Time) time.Duration) (end time.Time, changes int) {
	for i := 0; d > 0; i++ {
		if e.Add(from.Add(written(i, from)), from) {
			changes++
		}
		from, d = from.Add(pause), d-pause
	}
	return from, changes
}

func constant(d time.Duration) func(int, time.Time) time.Duration {
	return func(int, time.Time) time.Duration { return d }
}

func TestEstimate(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		name    string
		d       time.Duration
		pause   time.Duration
		written func(i int, at time.Time) time.Duration
		want    time.Duration
	}{
		{"a clock that is right", time.Hour, time.Minute, constant(-time.Second), 0},
		{"a minute off", time.Hour, time.Minute, constant(time.Minute), 0},
		{"five minutes ahead", time.Hour, time.Minute, constant(5 * time.Minute), 5 * time.Minute},
		{"five minutes behind", time.Hour, time.Minute, constant(-5 * time.Minute), -5 * time.Minute},
		{"with jitter", time.Hour, time.Minute, func(int, time.Time) time.Duration {
			return 5*time.Minute - time.Duration(random.IntN(20))*time.Second
		}, 5 * time.Minute},
		{"with an odd record now and then", 2 * time.Hour, time.Minute, func(i int, _ time.Time) time.Duration {
			if i%20 == 7 {
				return -time.Hour
			}
			return 5 * time.Minute
		}, 5 * time.Minute},
		{"a wrong zone", time.Hour, time.Minute, constant(time.Hour - 2*time.Second), time.Hour},
		{"too short a while", 9 * time.Minute, 30 * time.Second, constant(time.Hour), 0},
		{"a burst", 7 * time.Minute, time.Millisecond * 100, constant(time.Hour), 0},
		{"too few", time.Hour, 10 * time.Minute, constant(time.Hour), 0},
		{"rare, but as many", 3 * time.Hour, 10 * time.Minute, constant(5 * time.Minute), 5 * time.Minute},
		{"lines that are written an hour's worth at a time", 8 * time.Hour, 10 * time.Second, func(i int, _ time.Time) time.Duration {
			return -time.Duration(360-i%360) * 10 * time.Second
		}, 0},
		{"an old file", time.Hour, 10 * time.Second, func(i int, _ time.Time) time.Duration {
			return -time.Duration(3000-i) * time.Hour
		}, 0},
		{"two hosts, one of them ahead", time.Hour, 11 * time.Second, func(i int, _ time.Time) time.Duration {
			return time.Duration(i%2) * time.Hour
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Estimator
			_, changes := feed(&e, start, c.d, c.pause, c.written)
			if (e.Offset()-c.want).Abs() > jitter/2 || changes > 1 || c.want == 0 && changes > 0 {
				t.Errorf("%s after %d changes, want %s", e.Offset(), changes, c.want)
			}
			if len(e.samples) > samplesKept {
				t.Errorf("%d samples", len(e.samples))
			}
		})
	}
}

// An hour that comes twice is read as the first one of the two.
func TestSummerTimeEnds(t *testing.T) {
	var e Estimator
	at, changes := feed(&e, start, 3*time.Hour, time.Minute, constant(-time.Second))
	at, more := feed(&e, at, time.Hour, time.Minute, constant(-time.Hour))
	_, last := feed(&e, at, 3*time.Hour, time.Minute, constant(-time.Second))
	if changes+more+last > 0 || e.Offset() != 0 {
		t.Errorf("%s after %d changes", e.Offset(), changes+more+last)
	}
}

// A clock that is put wrong, or right again, is noticed once each.
func TestClockIsSet(t *testing.T) {
	var e Estimator
	at, _ := feed(&e, start, 3*time.Hour, time.Minute, constant(0))
	at, changes := feed(&e, at, 3*time.Hour, time.Minute, constant(20*time.Minute))
	if changes != 1 || e.Offset() != 20*time.Minute {
		t.Errorf("%s after %d changes", e.Offset(), changes)
	}
	at, changes = feed(&e, at, 3*time.Hour, time.Minute, constant(20*time.Minute+2*time.Hour))
	if changes != 1 || e.Offset() != 20*time.Minute+2*time.Hour {
		t.Errorf("%s after %d changes", e.Offset(), changes)
	}
	_, changes = feed(&e, at, 3*time.Hour, time.Minute, constant(0))
	if changes != 1 || e.Offset() != 0 {
		t.Errorf("%s after %d changes", e.Offset(), changes)
	}
}

func TestCorrect(t *testing.T) {
	e := Estimator{offset: time.Hour}
	for _, c := range []struct {
		name         string
		record, want time.Duration // ahead of the arrival
	}{
		{"ahead", time.Hour - time.Second, -time.Second},
		{"set right meanwhile, or of another host", 0, 0},
		{"old", -3 * time.Hour, -3 * time.Hour},
	} {
		if got := e.Correct(start.Add(c.record), start).Sub(start); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if right := (&Estimator{}).Correct(start.Add(time.Hour), start); !right.Equal(start.Add(time.Hour)) {
		t.Errorf("%s by a clock that is right", right)
	}
}

func TestNote(t *testing.T) {
	for offset, want := range map[time.Duration]string{
		0:                         "the clock of sshd is right again",
		time.Hour - 3*time.Second: "the clock of sshd is 59m57s ahead: corrected; is its time zone wrong by 1 h?",
		-2 * time.Hour:            "the clock of sshd is 2h0m0s behind: corrected; is its time zone wrong by 2 h?",
		17 * time.Minute:          "the clock of sshd is 17m0s ahead: corrected",
		-26 * time.Minute:         "the clock of sshd is 26m0s behind: corrected",
	} {
		e := Estimator{offset: offset}
		if got := e.Note("sshd"); !strings.EqualFold(got, want) {
			t.Errorf("%s: %q, want %q", offset, got, want)
		}
	}
}
