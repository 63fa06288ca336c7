package anomaly

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

var start = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// world feeds a detector by the minute.
type world struct {
	*Detector
	now    time.Time
	random *rand.Rand
	said   []event.Event
}

func newWorld() *world {
	return &world{Detector: New(Config{}), now: start, random: rand.New(rand.NewPCG(3, 4))}
}

func (w *world) see(kind event.Kind, source string, n int, proof event.Proof) {
	w.Add(event.Event{Time: w.now, Kind: kind, Source: event.Endpoint{Addr: netip.MustParseAddr(source)}, Count: n, Proof: proof})
}

// minute ends a minute.
func (w *world) minute() {
	w.now = w.now.Add(time.Minute)
	w.Tick(w.now, func(e event.Event) { w.said = append(w.said, e) })
}

// usual is what is seen on every day: much at daytime and little at night, of sources that come
// and go, and a monitor that tries a wrong password each minute.
func (w *world) usual(d time.Duration, shift int) {
	w.Tick(w.now, func(event.Event) {})
	for end := w.now.Add(d); w.now.Before(end); {
		a := 2
		if h := (w.now.Hour() + shift) % 24; h >= 8 && h < 20 {
			a = 12
		}
		for range w.random.IntN(a) {
			w.see(event.SSHLoginFailed, fmt.Sprintf("203.0.113.%d", 1+w.random.IntN(200)), 1, event.Handshake)
		}
		w.see(event.HTTPScan, "198.51.100.7", 2, event.Handshake)
		w.minute()
	}
}

func TestUsualDaysSayNothing(t *testing.T) {
	w := newWorld()
	w.usual(14*24*time.Hour, 0)
	w.usual(5*24*time.Hour, 1) // clocks have changed
	if len(w.said) > 0 {
		t.Errorf("%d anomalies in nineteen usual days, the first at %s: %s", len(w.said), w.said[0].Time, w.said[0].Detail)
	}
}

func TestBurst(t *testing.T) {
	for _, c := range []struct {
		name  string
		learn time.Duration
		proof event.Proof
		kind  event.Kind
		want  bool
	}{
		{"after a week", 7 * 24 * time.Hour, event.Handshake, event.SSHUserInvalid, true},
		{"with packets that could be anybody's", 7 * 24 * time.Hour, event.Spoofable, event.SSHUserInvalid, true},
		{"before there is anything learned", 2 * 24 * time.Hour, event.Handshake, event.SSHUserInvalid, false},
		{"of a service that nobody has seen before", 7 * 24 * time.Hour, event.Handshake, event.FTPLoginFailed, false},
		{"of logins that succeed", 7 * 24 * time.Hour, event.Handshake, event.SSHLoginAccepted, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.usual(c.learn+3*time.Hour, 0)
			w.see(c.kind, "203.0.113.250", 1, event.Handshake)
			for range 20 {
				w.see(c.kind, "203.0.113.250", 20, c.proof)
				w.minute()
			}
			var source, service int
			for _, e := range w.said {
				if e.Kind != event.AnomalyRate || e.Severity != 1 || e.Count != 1 || !strings.HasPrefix(e.Detail, "ssh: ") {
					t.Errorf("%+v", e)
				}
				if e.Source.Addr.IsValid() {
					source++
					if e.Source.Addr.String() != "203.0.113.250" || e.Proof != c.proof {
						t.Errorf("%s by %s", e.Source.Addr, e.Proof)
					}
				} else {
					service++
				}
			}
			if (source > 0) != c.want || (service > 0) != c.want || len(w.said) > 10 {
				t.Errorf("%d times about the source, %d about the service; want any: %v", source, service, c.want)
			}
		})
	}
}

// What a source does on every day is usual for it, and for no other.
func TestRegularSources(t *testing.T) {
	w := newWorld()
	w.usual(7*24*time.Hour+12*time.Hour, 0)
	for range 30 {
		w.see(event.HTTPScan, "198.51.100.7", 2, event.Handshake)
		w.see(event.HTTPScan, "198.51.100.8", 3, event.Handshake)
		w.minute()
	}
	about := map[string]bool{}
	for _, e := range w.said {
		if e.Source.Addr.IsValid() {
			about[e.Source.Addr.String()] = true
		}
	}
	if about["198.51.100.7"] || !about["198.51.100.8"] {
		t.Errorf("anomalies of %v, want of the new one alone", about)
	}
}

// A week with two odd days in it is no new usage.
func TestOddDays(t *testing.T) {
	w := newWorld()
	w.usual(5*24*time.Hour, 0)
	for range 2 {
		for range 24 * 60 {
			w.see(event.SSHLoginFailed, "203.0.113.250", 50, event.Handshake)
			w.minute()
		}
	}
	w.said = nil
	for range 30 {
		w.see(event.SSHLoginFailed, "203.0.113.251", 50, event.Handshake)
		w.minute()
	}
	if len(w.said) == 0 {
		t.Error("nothing is unusual after two odd days in a week")
	}
}

// Sources that are made up drive out the rare ones; nobody is accused of more than was
// seen of him, and memory is bounded.
func TestMadeUpSources(t *testing.T) {
	w := newWorld()
	w.usual(4*24*time.Hour, 0)
	for i := range 200_000 {
		a := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		w.Add(event.Event{Time: w.now, Kind: event.ScanPort, Source: event.Endpoint{Addr: a}, Proof: event.Spoofable})
	}
	for range 5 {
		w.minute()
	}
	if n := len(w.sources.entries); n != w.config.Sources || len(w.sources.known) != n {
		t.Errorf("%d sources are kept, %d found", n, len(w.sources.known))
	}
	for _, e := range w.said {
		if e.Source.Addr.IsValid() {
			t.Errorf("%s is accused: %s", e.Source.Addr, e.Detail)
		}
	}
}

func TestRestart(t *testing.T) {
	w := newWorld()
	w.usual(7*24*time.Hour, 0)
	kept, err := w.State()
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld()
	if err := again.Restore(kept); err != nil {
		t.Fatal(err)
	}
	again.now = w.now.Add(30 * time.Minute) // in the middle of an hour, which is not learned from
	again.Tick(again.now, func(e event.Event) { t.Errorf("at once: %s", e.Detail) })
	for range 20 {
		again.see(event.SSHLoginFailed, "203.0.113.250", 20, event.Handshake)
		again.minute()
	}
	if len(again.said) == 0 {
		t.Error("nothing was learned before the restart")
	}
	for range 10 {
		if again.minute(); again.watched[hourOf(w.now).cell()] == hourOf(w.now) {
			t.Error("an hour that was not seen whole was learned from")
		}
	}
	if before := len(kept); before > 600<<10 {
		t.Errorf("a state of %d bytes", before)
	}
}

// Hours in which nobody listened are not hours without events.
func TestPause(t *testing.T) {
	w := newWorld()
	w.usual(7*24*time.Hour, 0)
	w.now = w.now.Add(4 * 24 * time.Hour)
	w.usual(24*time.Hour, 0)
	if len(w.said) > 0 {
		t.Errorf("after a pause: %s", w.said[0].Detail)
	}
}

func FuzzRestore(f *testing.F) {
	w := newWorld()
	w.usual(4*time.Hour, 0)
	kept, err := w.State()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, kept []byte) {
		w := newWorld()
		if w.Restore(kept) == nil {
			w.usual(2*time.Hour, 0)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	w := newWorld()
	w.usual(2*time.Hour, 0)
	var events []event.Event
	for i := range 1 << 14 {
		a := netip.AddrFrom4([4]byte{100, 1, byte(w.random.IntN(40)), byte(i)})
		events = append(events, event.Event{Time: w.now, Kind: event.SSHLoginFailed, Source: event.Endpoint{Addr: a}, Count: 1})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Add(events[i%len(events)])
	}
}

func BenchmarkTick(b *testing.B) {
	w := newWorld()
	w.usual(4*24*time.Hour, 0)
	for i := range 1024 {
		w.see(event.SSHLoginFailed, fmt.Sprintf("100.1.%d.%d", i/256, i%256), 40, event.Handshake)
	}
	for b.Loop() {
		w.Tick(w.now, func(event.Event) {})
	}
}
