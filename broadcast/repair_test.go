package broadcast

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
)

// Alerts that are too old to be taken stand in nobody's way: they are not offered, and
// the newer ones behind them are.
func TestOldIsNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 10, 20)
		old := time.Now().Add(time.Minute)
		for _, n := range sim.nodes {
			n.about = func(payload []byte) (About, bool) {
				about := About{Topic: string(payload)}
				if strings.HasPrefix(about.Topic, "old") {
					about.Until = old
				}
				return about, true
			}
			n.verdict = func(payload string) Verdict {
				if strings.HasPrefix(payload, "old") && time.Now().After(old) {
					return Invalid
				}
				return Fresh
			}
		}
		stop := sim.repairing(t.Context())
		defer stop()
		away := sim.nodes[7]
		sim.change(func() { away.down = true })
		for i := range 3 * maxJunk {
			sim.publish(t, 1, fmt.Sprint("old ", i))
		}
		sim.publish(t, 1, "new")
		time.Sleep(2 * time.Minute)
		sim.change(func() { away.down = false })
		away.Hurry()
		time.Sleep(5 * time.Second)
		sim.wantEverywhere(t, "new", 1)
		if s := away.Stats(); s.Invalid > 0 || s.Repaired != 1 {
			t.Errorf("stats %+v: want the one that is not too old", s)
		}
	})
}

// What is kept for longer than it is remembered as seen is not fetched again.
func TestKeptIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(&recorder{}, Config{About: aboutTest, Keep: 10 * time.Hour})
		defer b.Close()
		b.Recall([]byte("p"))
		time.Sleep(seenTime + time.Second)
		b.Recall([]byte("q")) // sweeps
		x, y := idOf([]byte("p")), idOf([]byte("other"))
		if got := b.missing([][]byte{x[:], y[:]}); len(got) != 1 || id(got[0]) != y {
			t.Errorf("%d missing, want the unknown one only", len(got))
		}
	})
}

// aboutTest reads "TOPIC/RANK"; a payload without a rank is the only one on its topic.
func aboutTest(payload []byte) (About, bool) {
	topic, rank, _ := strings.Cut(string(payload), "/")
	n, _ := strconv.ParseInt(rank, 10, 64)
	return About{Topic: topic, Rank: n}, true
}

// repairing runs Repair at all nodes until the returned function is called.
func (sim *simNet) repairing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	for _, n := range sim.nodes {
		go func() { n.Repair(ctx); ended <- struct{}{} }()
	}
	return func() {
		cancel()
		for range sim.nodes {
			<-ended
		}
	}
}

func (sim *simNet) publish(t *testing.T, from int, payload string) {
	t.Helper()
	if err := sim.nodes[from].Publish(t.Context(), []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func (sim *simNet) wantEverywhere(t *testing.T, payload string, from int) {
	t.Helper()
	if n, of := sim.reached(t, payload, sim.nodes[from]); n != of {
		t.Errorf("%q is at %d of %d nodes", payload, n, of)
	}
}

func TestWhoWasAwayCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 50, 20)
		stop := sim.repairing(t.Context())
		defer stop()
		time.Sleep(time.Minute)
		away := sim.nodes[7]
		sim.change(func() { away.down = true })
		for i := range 100 {
			sim.publish(t, 8+i%40, fmt.Sprint("alert ", i))
		}
		time.Sleep(5 * time.Minute)
		if away.has("alert 3") > 0 {
			t.Fatal("a node that is away hears alerts")
		}
		sim.change(func() { away.down = false })
		away.Hurry()
		time.Sleep(5 * time.Second)
		for i := range 100 {
			sim.wantEverywhere(t, fmt.Sprint("alert ", i), 8+i%40)
		}
		if s := away.Stats(); s.Repaired != 100 || s.Sent > 0 {
			t.Errorf("stats %+v: want 100 repaired, and none forwarded", s)
		}
	})
}

func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 200, 20)
		stop := sim.repairing(t.Context())
		defer stop()
		time.Sleep(time.Minute)
		sim.change(func() {
			for i, n := range sim.nodes {
				n.side = i % 2
			}
		})
		for i := range 40 {
			sim.publish(t, i, fmt.Sprint("alert ", i))
		}
		time.Sleep(10 * time.Minute)
		sim.change(func() {
			for _, n := range sim.nodes {
				n.side = 0
			}
		})
		for _, n := range sim.nodes {
			n.Hurry() // everybody's table changes
		}
		time.Sleep(30 * time.Second)
		for i := range 40 {
			sim.wantEverywhere(t, fmt.Sprint("alert ", i), i)
		}
	})
}

// With a third of the frames lost, what the tree has not reached is reached within
// some rounds.
func TestLossIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 200, 20)
		stop := sim.repairing(t.Context())
		defer stop()
		time.Sleep(time.Minute)
		sim.change(func() {
			sim.loss = 0.3
			for i := range 10 { // these acknowledge, and do nothing
				sim.nodes[190+i].drops = true
			}
		})
		for i := range 50 {
			sim.publish(t, i, fmt.Sprint("alert ", i))
		}
		time.Sleep(90 * time.Second)
		for i := range 50 {
			sim.wantEverywhere(t, fmt.Sprint("alert ", i), i)
		}
	})
}

func TestIdleCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 100, 20)
		stop := sim.repairing(t.Context())
		defer stop()
		time.Sleep(time.Minute)
		before := sim.nodes[0].Stats().Asked
		time.Sleep(time.Hour)
		if asked := sim.nodes[0].Stats().Asked - before; asked > 2*130 {
			t.Errorf("%d questions in an idle hour, want two each half minute", asked)
		}
	})
}

// A better payload on a topic takes the place of the one before it: who was away gets
// the last one only.
func TestSupersession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 30, 20)
		stop := sim.repairing(t.Context())
		defer stop()
		away := sim.nodes[7]
		sim.change(func() { away.down = true })
		for rank := range 20 {
			sim.publish(t, 8, fmt.Sprintf("topic/%d", rank))
			time.Sleep(time.Second)
		}
		sim.change(func() { away.down = false })
		away.Hurry()
		time.Sleep(5 * time.Second)
		if away.has("topic/19") != 1 || away.Stats().Repaired != 1 {
			t.Errorf("stats %+v", away.Stats())
		}
	})
}

// What is still to be sent when a better payload comes is not sent.
func TestQueuesAreSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowNet{recorder: recorder{buckets: [][]peer.ID{{"a", "b", "c", "d", "e", "f"}}}}
		b := New(slow, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }, About: aboutTest})
		defer b.Close()
		slow.fails = true // every delegate tries one contact after the other
		for rank := range 3 {
			if err := b.Publish(t.Context(), fmt.Appendf(nil, "topic/%d", rank)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if s := b.Stats(); s.Superseded != 4 || s.Sent != 2*4+2*6 {
			t.Errorf("stats %+v: want two delegates of two payloads stopped after two contacts each, and all contacts of the third tried twice", s)
		}
	})
}

// slowNet takes a second for each frame.
type slowNet struct {
	recorder
	fails bool
}

func (n *slowNet) Send(ctx context.Context, to peer.ID, data []byte) error {
	time.Sleep(time.Second)
	if n.fails {
		return errBusy
	}
	return n.recorder.Send(ctx, to, data)
}

// liar answers questions as it likes.
type liar struct {
	recorder
	reply func(q question) answer
	asked int
}

func (l *liar) Ask(_ context.Context, _ peer.ID, request []byte) ([]byte, error) {
	l.asked++
	var q question
	if err := event.Decode(request, &q); err != nil {
		return nil, err
	}
	return event.Encode(l.reply(q))
}

func TestLiarsAreLeft(t *testing.T) {
	number := uint64(0)
	madeUp := func() []byte {
		number++
		x := idOf(binary.BigEndian.AppendUint64(nil, number))
		return x[:]
	}
	junk := map[id][]byte{}
	for name, c := range map[string]struct {
		reply       func(question) answer
		most, judge int
	}{
		"lists without end what it does not have": {func(q question) answer {
			a := answer{Epoch: 1, Next: q.After + maxListed}
			for range maxListed {
				a.IDs = append(a.IDs, madeUp())
			}
			return a
		}, 30, 0},
		"gives what it was not asked for": {func(q question) answer {
			if len(q.Want) > 0 {
				return answer{Payloads: [][]byte{[]byte("another")}}
			}
			return answer{Epoch: 1, Next: 1, IDs: [][]byte{madeUp()}}
		}, 2, 0},
		"gives junk": {func(q question) answer {
			if len(q.Want) == 0 {
				a := answer{Epoch: 1, Next: 100}
				for i := range 200 {
					payload := fmt.Appendf(nil, "junk %d", i)
					x := idOf(payload)
					junk[x] = payload
					a.IDs = append(a.IDs, x[:])
				}
				return a
			}
			var a answer
			for _, x := range q.Want {
				a.Payloads = append(a.Payloads, junk[id(x)])
			}
			return a
		}, 2, maxJunk + 1},
		"gives the same again and again": {func(q question) answer {
			x := idOf([]byte("p"))
			if len(q.Want) == 0 {
				return answer{Epoch: 1, Next: q.After + 1, IDs: [][]byte{x[:]}}
			}
			return answer{Payloads: [][]byte{[]byte("p")}}
		}, 2, 1},
		"names no ids": {func(q question) answer {
			return answer{Epoch: 1, Next: q.After + 1, IDs: make([][]byte, maxListed)}
		}, 6, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := &liar{reply: c.reply}
			judged := 0
			b := New(l, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { judged++; return Invalid }})
			defer b.Close()
			if news, _ := b.pull(t.Context(), "liar"); news > 0 {
				t.Errorf("%d news of a liar", news)
			}
			if l.asked > c.most || judged > c.judge {
				t.Errorf("asked %d times and judged %d payloads, want at most %d and %d", l.asked, judged, c.most, c.judge)
			}
		})
	}
}

// The shelf against a model that keeps everything: who follows its numbers gets each
// payload that is kept, once.
func TestShelf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	now := time.Unix(1e9, 0)
	s := newShelf(time.Minute)
	best := map[string]int64{}
	has, read := map[id]bool{}, uint64(0)
	for i := range 20_000 {
		now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
		about := About{Topic: fmt.Sprint(r.IntN(500)), Rank: int64(r.IntN(1000))}
		payload := fmt.Appendf(nil, "%s/%d/%s", about.Topic, about.Rank, strings.Repeat("x", r.IntN(200)))
		s.put(idOf(payload), about, payload, now)
		if k := s.byTopic[about.Topic]; k == nil || k.about.Rank < about.Rank {
			t.Fatalf("%d: %+v is not kept, nor a better one", i, about)
		}
		best[about.Topic] = max(best[about.Topic], about.Rank)
		if r.IntN(50) == 0 {
			ids, next := s.after(read, 1+r.IntN(1000), now)
			for _, x := range ids {
				if has[x] {
					t.Fatalf("%d: %x is listed twice", i, x[:4])
				}
				has[x] = true
			}
			read = next
		}
		if i%100 == 0 {
			bytes := 0
			for _, k := range s.byTopic {
				bytes += len(k.payload)
			}
			if bytes != s.bytes || len(s.byID) != len(s.byTopic) {
				t.Fatalf("%d: %d bytes counted, %d kept; %d ids, %d topics", i, s.bytes, bytes, len(s.byID), len(s.byTopic))
			}
		}
	}
	for {
		ids, next := s.after(read, 100, now)
		for _, x := range ids {
			has[x] = true
		}
		if next == read {
			break
		}
		read = next
	}
	for x, k := range s.byID {
		if now.Sub(k.at) <= s.keep && !has[x] {
			t.Errorf("%+v was never listed", k.about)
		}
	}
	if ids, next := s.after(1<<60, 10, now); len(ids) > 0 || next != s.came {
		t.Errorf("after a number of the future: %d ids, next %d", len(ids), next)
	}
}

func TestShelfIsBounded(t *testing.T) {
	s := newShelf(0)
	now := time.Unix(1e9, 0)
	for i := range 3 * maxKept {
		payload := binary.BigEndian.AppendUint64(make([]byte, 4000), uint64(i))
		s.put(idOf(payload), About{Topic: fmt.Sprint(i)}, payload, now)
		if len(s.byID) > maxKept || s.bytes > maxShelf || len(s.order) > maxKept {
			t.Fatalf("%d payloads, %d bytes, %d places", len(s.byID), s.bytes, len(s.order))
		}
	}
	s.put(id{}, About{Topic: "late"}, []byte("p"), now.Add(2*keepTime))
	if len(s.byID) != 1 {
		t.Errorf("%d payloads are left when all but one are old", len(s.byID))
	}
}

// What is told of one attack over and over, each time better, takes no more room than
// once, while what came first is kept behind it.
func TestShelfHasNoGaps(t *testing.T) {
	s := newShelf(0)
	now := time.Unix(1e9, 0)
	first := []byte("first")
	s.put(idOf(first), About{Topic: "first"}, first, now)
	for i := range 10_000 {
		payload := binary.BigEndian.AppendUint64(nil, uint64(i))
		s.put(idOf(payload), About{Topic: "again", Rank: int64(i)}, payload, now)
		if len(s.order) > 5 {
			t.Fatalf("%d places for two payloads", len(s.order))
		}
	}
	ids, next := s.after(0, 10, now)
	if len(ids) != 2 || ids[0] != idOf(first) || next != 10_001 {
		t.Errorf("%d ids, next %d", len(ids), next)
	}
	if ids, _ := s.after(10_000, 10, now); len(ids) != 1 || ids[0] == idOf(first) {
		t.Errorf("%d ids after all but the last", len(ids))
	}
}

func FuzzAnswer(f *testing.F) {
	x := idOf([]byte("p"))
	for _, q := range []question{{}, {After: 3}, {Want: [][]byte{x[:], nil}}} {
		data, _ := event.Encode(q)
		f.Add(data)
	}
	b := New(&recorder{}, Config{About: aboutTest})
	defer b.Close()
	b.Recall([]byte("p"))
	f.Fuzz(func(t *testing.T, request []byte) {
		data, err := b.Answer(request)
		if err == nil && len(data) > 2*maxAnswer {
			t.Errorf("an answer of %d bytes", len(data))
		}
	})
}

// FuzzPull reads whatever a neighbour answers.
func FuzzPull(f *testing.F) {
	x := idOf([]byte("p"))
	for _, a := range []answer{{Epoch: 1, Next: 1, IDs: [][]byte{x[:]}}, {Payloads: [][]byte{[]byte("p")}}} {
		data, _ := event.Encode(a)
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		n := &scripted{answers: [][]byte{first, second}}
		b := New(n, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }, About: aboutTest})
		defer b.Close()
		_, _ = b.pull(t.Context(), "x")
	})
}

type scripted struct {
	recorder
	answers [][]byte
}

func (s *scripted) Ask(context.Context, peer.ID, []byte) ([]byte, error) {
	if len(s.answers) == 0 {
		return nil, errBusy
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a, nil
}
