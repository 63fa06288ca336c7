package node

import (
	"testing"
	"time"
)

// play lets time pass, a look a second, in which what is seen waits so long and so
// many reports are judged at a time; it returns when shedding began or ended.
func (l *load) play(at *time.Time, d, waited time.Duration, judging float64) (changes []time.Duration) {
	for passed := time.Duration(0); passed < d; passed += lookEvery {
		*at = at.Add(lookEvery)
		l.waitedFor(waited)
		l.judgedFor(time.Duration(judging * float64(lookEvery)))
		if l.look(*at, 0) {
			changes = append(changes, passed+lookEvery)
		}
	}
	return changes
}

func TestLoadShedsAndRecovers(t *testing.T) {
	for _, c := range []struct {
		name    string
		waited  time.Duration
		judging float64 // of two cores
		sheds   bool
	}{
		{"idle", 0, 0, false},
		{"busy", 400 * time.Millisecond, 2.5, false},
		{"events wait", 600 * time.Millisecond, 0, true},
		{"reports wait", 0, 3.5, true},
	} {
		l, now := load{cores: 2}, time.Unix(1e9, 0)
		got := l.play(&now, time.Minute, c.waited, c.judging)
		if c.sheds != (len(got) == 1 && l.sheds()) {
			t.Errorf("%s: changed after %v, sheds: %v", c.name, got, l.sheds())
		}
		if _, _, reason, figure := l.now(); (reason != "") != c.sheds || c.sheds != (figure >= 1) {
			t.Errorf("%s: load %.2f, reason %q", c.name, figure, reason)
		}
		if c.sheds {
			if got := l.play(&now, time.Minute, 0, 0); len(got) != 1 || got[0] != calmFor+lookEvery || l.sheds() {
				t.Errorf("%s: when it is over, collects again after %v", c.name, got)
			}
		}
	}
}

// Neither a burst begins it nor a lull ends it, and it lasts as long as the others
// leave this node alone for it.
func TestLoadHasHysteresis(t *testing.T) {
	l, now := load{cores: 2}, time.Unix(1e9, 0)
	for range 10 {
		if got := append(l.play(&now, 2*time.Second, time.Minute, 0), l.play(&now, time.Second, 0, 0)...); got != nil {
			t.Fatalf("a burst of two seconds: changed after %v", got)
		}
	}
	l.play(&now, 10*time.Second, time.Minute, 0)
	for range 10 {
		if got := append(l.play(&now, 8*time.Second, 0, 0), l.play(&now, time.Second, tooLate/2, 0)...); got != nil || !l.sheds() {
			t.Fatalf("a lull of eight seconds: changed after %v", got)
		}
	}
}

// Who must shed again and again does so for longer: what it gives up has to be told
// to it anew each time.
func TestLoadThatComesBackIsShedForLonger(t *testing.T) {
	l, now := load{cores: 2}, time.Unix(1e9, 0)
	want := shedFirst
	for range 8 {
		l.play(&now, overloadedFor+2*lookEvery, time.Minute, 0)
		if !l.sheds() {
			t.Fatal("does not shed")
		}
		_, began, _, _ := l.now()
		for l.sheds() {
			l.play(&now, lookEvery, 0, 0)
		}
		if took := now.Sub(began); took < want || took > want+calmFor+2*lookEvery {
			t.Errorf("shed for %s, want %s", took, want)
		}
		want = min(2*want, shedLast)
	}
	l.play(&now, 2*shedAgain, 0, 0)
	l.play(&now, 10*time.Second, time.Minute, 0)
	if l.atLeast != shedFirst {
		t.Errorf("after a long rest it sheds for %s", l.atLeast)
	}
}

// Who works on one thing for long gives no sign of how long the next one waits.
func TestLoadSeesStandstill(t *testing.T) {
	l, now := load{cores: 2}, time.Unix(1e9, 0)
	for i := range 10 {
		now = now.Add(lookEvery)
		if i%3 == 0 {
			l.waitedFor(tooLate * time.Duration(i+1))
		}
		if l.look(now, 5); l.sheds() {
			return
		}
	}
	t.Error("does not shed though everything waits for seconds")
}
