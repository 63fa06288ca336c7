package correlate

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/komondor/komondor/event"
)

// line is one line of the login attempt that a process served.
func line(pid, user string, port uint16, kind event.Kind, seconds int) event.Event {
	e := seen(kind, seconds)
	e.File, e.Attempt, e.User, e.Source.Port = "auth.log", pid, user, port
	return e
}

// sumOf is what all changes add up to.
func sumOf(a *Attempts, lines ...event.Event) (points, counted int) {
	for _, e := range lines {
		for _, c := range a.Add(e) {
			points += c.Delta * c.Event.Severity * c.Event.Count
			counted += c.Delta
		}
	}
	return points, counted
}

func TestAttempts(t *testing.T) {
	other := func(e event.Event) event.Event { e.Source.Addr = netip.MustParseAddr("203.0.113.8"); return e }
	elsewhere := func(e event.Event) event.Event { e.File = "other.log"; return e }
	repeated := func(n int, e event.Event) event.Event { e.Count, e.Attempt = n, ""; return e }
	const failed, invalid, closed, exceeded, accepted = event.SSHLoginFailed, event.SSHUserInvalid, event.SSHPreauthClosed, event.SSHTriesExceeded, event.SSHLoginAccepted
	for _, c := range []struct {
		name            string
		lines           []event.Event
		points, counted int
	}{
		{"one line", []event.Event{line("1", "root", 4000, failed, 0)}, 2, 1},
		{"lines of one attempt count once, at the highest", []event.Event{
			line("1", "bob", 4000, invalid, 0), line("1", "bob", 4000, failed, 1), line("1", "bob", 4000, failed, 3),
			line("1", "bob", 4000, closed, 4), line("1", "bob", 4000, exceeded, 5)}, 5, 1},
		{"a line without a port belongs to the attempt", []event.Event{
			line("1", "bob", 0, failed, 0), line("1", "bob", 4000, invalid, 1), line("1", "", 0, failed, 2)}, 3, 1},
		{"a process id used again: another port", []event.Event{
			line("1", "bob", 4000, failed, 0), line("1", "bob", 4001, failed, 1)}, 4, 2},
		{"the port is learned from the lesser line too", []event.Event{
			line("1", "bob", 0, invalid, 0), line("1", "bob", 4000, failed, 1), line("1", "bob", 4001, failed, 2)}, 5, 2},
		{"a process id used again: much later", []event.Event{
			line("1", "bob", 0, failed, 0), line("1", "bob", 0, failed, 3600)}, 4, 2},
		{"the same process id in another file", []event.Event{
			line("1", "bob", 4000, failed, 0), elsewhere(line("1", "bob", 4000, failed, 0))}, 4, 2},
		{"the same process id, another source", []event.Event{
			line("1", "bob", 4000, failed, 0), other(line("1", "bob", 4000, failed, 0))}, 4, 2},
		{"lines of no attempt count each", []event.Event{
			line("", "bob", 4000, failed, 0), line("", "bob", 4000, failed, 0)}, 4, 2},
		{"a repeated line counts as often as it says", []event.Event{repeated(3, line("", "", 4000, failed, 0))}, 6, 1},
		{"but no more than anybody believes", []event.Event{repeated(1<<62, line("", "", 4000, failed, 0))}, 2 << 20, 1},
		{"and at least once", []event.Event{repeated(-5, line("", "", 4000, failed, 0))}, 2, 1},

		{"a login forgives", []event.Event{
			line("1", "bob", 4000, failed, 0), line("1", "bob", 4000, accepted, 5)}, 0, 0},
		{"up to five points, the latest first", []event.Event{
			line("1", "bob", 4000, failed, 0), line("2", "bob", 4001, failed, 1), line("3", "bob", 4002, failed, 2),
			line("3", "bob", 4002, accepted, 5)}, 2, 1},
		{"no part of a failure", []event.Event{
			line("1", "bob", 4000, invalid, 0), line("2", "bob", 4001, invalid, 1), line("3", "bob", 4002, accepted, 5)}, 3, 1},
		{"not another user's failures", []event.Event{
			line("1", "root", 4000, failed, 0), line("2", "bob", 4001, accepted, 5)}, 2, 1},
		{"not another source's", []event.Event{
			other(line("1", "bob", 4000, failed, 0)), line("2", "bob", 4001, accepted, 5)}, 2, 1},
		{"not nobody's", []event.Event{line("1", "", 4000, failed, 0), line("2", "", 4001, accepted, 5)}, 2, 1},
		{"not what is long ago", []event.Event{line("1", "bob", 4000, failed, 0), line("2", "bob", 4001, accepted, 3601)}, 2, 1},
		{"not what comes later", []event.Event{line("1", "bob", 4000, accepted, 0), line("2", "bob", 4001, failed, 5)}, 2, 1},
		{"nothing twice", []event.Event{
			line("1", "bob", 4000, failed, 0), line("1", "bob", 4000, accepted, 5), line("2", "bob", 4001, accepted, 6)}, 0, 0},
		{"nor by what the forgiven process writes on", []event.Event{
			line("1", "bob", 4000, failed, 0), line("1", "bob", 4000, accepted, 5), line("1", "bob", 4000, exceeded, 6)}, 0, 0},
		{"a worse line without the user", []event.Event{
			line("1", "bob", 4000, failed, 0), line("1", "", 4000, invalid, 1), line("1", "bob", 4000, accepted, 5)}, 0, 0},
		{"a lesser line with the user", []event.Event{
			line("1", "", 4000, invalid, 0), line("1", "bob", 4000, failed, 1), line("1", "bob", 4000, accepted, 5)}, 0, 0},
	} {
		if points, counted := sumOf(new(Attempts), c.lines...); points != c.points || counted != c.counted {
			t.Errorf("%s: %d points of %d attempts, want %d of %d", c.name, points, counted, c.points, c.counted)
		}
	}
}

func TestAttemptsAnyOrder(t *testing.T) {
	lines := []event.Event{
		line("1", "", 0, event.SSHLoginFailed, 0), line("1", "bob", 4000, event.SSHUserInvalid, 1),
		line("1", "bob", 4000, event.SSHLoginFailed, 2), line("1", "bob", 4000, event.SSHPreauthClosed, 3),
	}
	for _, order := range permutations(len(lines)) {
		a := new(Attempts)
		var shuffled []event.Event
		for _, i := range order {
			shuffled = append(shuffled, lines[i])
		}
		if points, counted := sumOf(a, shuffled...); points != 3 || counted != 1 {
			t.Errorf("order %v: %d points of %d attempts, want 3 of 1", order, points, counted)
		}
		if points, counted := sumOf(a, line("2", "bob", 4001, event.SSHLoginAccepted, 9)); points != -3 || counted != -1 {
			t.Errorf("order %v: %d points of %d attempts forgiven, want all", order, points, counted)
		}
	}
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), i, n-1))
		}
	}
	return all
}

// What a change takes out is what was put in, for every key of it.
func TestAttemptsTakeOutWhatWasPutIn(t *testing.T) {
	var a Attempts
	in := map[string]int{}
	for i := range 500 {
		kinds := []event.Kind{event.SSHLoginFailed, event.SSHUserInvalid, event.SSHPreauthClosed, event.SSHTriesExceeded, event.SSHLoginAccepted}
		for _, c := range a.Add(line(strconv.Itoa(i*i%7), strconv.Itoa(i%3), uint16(i%2*4000), kinds[i*i*i%5], i*10)) {
			what := fmt.Sprint(c.Event.Time, c.Event.Kind, c.Event.Count, c.Event.Attempt)
			if in[what] += c.Delta; in[what] < 0 {
				t.Fatalf("event %d takes out %s, which is not in", i, what)
			}
		}
	}
}

func TestAttemptsMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := new(Attempts)
	for i := range 80_000 {
		e := line(strconv.Itoa(i), "user"+strconv.Itoa(i), 4000, event.SSHLoginFailed, i/1000)
		e.Source.Addr, e.Detail = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), fmt.Sprintf("%0200d", i)
		a.Add(e)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := len(a.seen.young) + len(a.seen.old); n > 2*attemptsKept {
		t.Errorf("%d attempts remembered", n)
	}
	if used := (after.HeapAlloc - before.HeapAlloc) >> 20; used > 64 {
		t.Errorf("%d MiB for a flood of sources", used)
	}
	runtime.KeepAlive(a)
}

func BenchmarkAttempts(b *testing.B) {
	var a Attempts
	pids := names("", 1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Add(line(pids[i/4%1000], "root", uint16(i/4), []event.Kind{event.SSHLoginFailed, event.SSHUserInvalid, event.SSHPreauthClosed, event.SSHLoginFailed}[i%4], i/4))
	}
}
