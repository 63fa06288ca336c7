package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
)

// village is an overlay in which everybody knows everybody, and a message arrives or
// not by the dice.
type village struct {
	living map[peer.ID]*resident
	fails  func() bool
}

// resident is a collector, and its own neighbourhood.
type resident struct {
	*village
	id     peer.ID
	judge  *judge
	repair *repair
	handed atomic.Uint64
}

const villageReplicas = 3

func (v *village) settle(t testing.TB, as *federation.Open) *resident {
	t.Helper()
	rules, err := Rules(0)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.Decode(as.Member())
	if err != nil {
		t.Fatal(err)
	}
	r := &resident{village: v, id: id}
	log := slog.New(slog.DiscardHandler)
	r.repair = (&repair{log: log, net: r, member: as, overlap: rules.Longest(), replicas: func() int { return villageReplicas }, handed: &r.handed}).init()
	r.judge = &judge{log: log, rules: rules, member: as, book: new(correlate.Book), rank: func([32]byte) int { return 0 },
		near: r.repair.near, accuse: func(context.Context, *correlate.Contradiction) {}, heard: func(string) bool { return false },
		repeat: func(context.Context, string) {}, raise: func(context.Context, []byte) {}, counters: new(counters),
		freed:     func(correlate.Scope, ...netip.Prefix) map[netip.Prefix]time.Time { return nil },
		collector: correlate.NewCollector(rules, evidenceKept), waiting: make(map[string]bool)}
	r.repair.held = r.judge
	v.living[id] = r
	return r
}

func (r *resident) ID() peer.ID { return r.id }

func (v *village) nearest(key [32]byte) []peer.ID {
	distance := func(p peer.ID) (d [32]byte) {
		for i, b := range sha256.Sum256([]byte(p)) {
			d[i] = b ^ key[i]
		}
		return d
	}
	return slices.SortedFunc(maps.Keys(v.living), func(a, b peer.ID) int {
		da, db := distance(a), distance(b)
		return bytes.Compare(da[:], db[:])
	})
}

func (r *resident) Near(key [32]byte, n int) ([]peer.ID, bool) {
	all := r.nearest(key)
	return all[:min(n, len(all))], true
}

func (r *resident) Contacts(n int) (all []peer.AddrInfo) {
	for id := range r.living {
		all = append(all, peer.AddrInfo{ID: id})
	}
	return all[:min(n, len(all))]
}

var errLost = errors.New("lost")

func (r *resident) Ask(_ context.Context, to peer.ID, request []byte) ([]byte, error) {
	if r.fails() {
		return nil, errLost
	}
	if len(request) > overlay.MaxAnswer {
		return nil, fmt.Errorf("question of %d bytes", len(request))
	}
	answer, err := r.living[to].repair.answer(r.id, request[1:])
	if len(answer) > overlay.MaxAnswer {
		return nil, fmt.Errorf("answer of %d bytes", len(answer))
	}
	return answer, err
}

func (r *resident) Hand(ctx context.Context, to peer.ID, key [32]byte, payload []byte) error {
	if r.fails() {
		return errLost
	}
	return r.living[to].judge.receive(ctx, r.id.String(), key, payload)
}

// pass repairs once at everybody, as after a change of the table.
func (v *village) pass(ctx context.Context) (complete bool) {
	complete = true
	for _, r := range v.living {
		complete = r.repair.tell(ctx, r.repair.due(time.Now())) && complete
	}
	return complete
}

// Whoever comes and goes: as long as one holder of a report lives through each change,
// every collector of its key has it in its last version. In some runs up to half of
// the messages are lost.
func TestRepairKeepsReplicas(t *testing.T) {
	sources := []*federation.Open{newMember(t), newMember(t), newMember(t)}
	for seed := range uint64(12) {
		dice := rand.New(rand.NewPCG(seed, 7))
		loss := float64(seed%3) / 4
		v := &village{living: map[peer.ID]*resident{}, fails: func() bool { return false }}
		var lossy atomic.Bool
		lose := make(chan float64, 1) // the dice are not for several at once
		lose <- loss
		v.fails = func() bool {
			p := <-lose
			fail := lossy.Load() && dice.Float64() < p
			lose <- p
			return fail
		}
		for range 9 {
			v.settle(t, newMember(t))
		}
		want := map[event.Key]map[string]uint64{}
		told := uint64(0)
		for step := range 12 {
			for range 10 { // sources tell the collectors of the moment
				by := sources[dice.IntN(len(sources))]
				key := event.Key{Selector: event.BySource, Value: fmt.Sprintf("203.0.113.%d", dice.IntN(20))}
				told++
				report := failures(by, told, 1, time.Now())
				report.Key = key
				payload := encode(t, seal(t, by, report))
				hash := hashOf(by, key)
				for _, p := range v.nearest(hash)[:villageReplicas] {
					if err := v.living[p].judge.receive(t.Context(), by.Member(), hash, payload); err != nil {
						t.Fatal(err)
					}
				}
				if want[key] == nil {
					want[key] = map[string]uint64{}
				}
				want[key][by.Member()] = told
			}
			if dice.IntN(2) == 0 {
				v.settle(t, newMember(t))
			} else if ids := slices.Sorted(maps.Keys(v.living)); len(ids) > villageReplicas {
				delete(v.living, ids[dice.IntN(len(ids))])
			}
			lossy.Store(true)
			for range 100 {
				if v.pass(t.Context()) {
					break
				}
			}
			lossy.Store(false)
			for key, versions := range want {
				for _, p := range v.nearest(hashOf(sources[0], key))[:villageReplicas] {
					got := map[string]uint64{}
					for _, said := range v.living[p].judge.versions(key) {
						got[said.Member] = said.Version
					}
					if !maps.Equal(got, versions) {
						t.Fatalf("seed %d, step %d: a collector of %s has %v, want %v", seed, step, key, got, versions)
					}
				}
			}
		}
		// Who was told in the last pass offers it in turn; then nothing more is due.
		for range 2 {
			v.pass(t.Context())
		}
		for _, r := range v.living {
			if due := r.repair.due(time.Now()); len(due) > 0 {
				t.Errorf("seed %d: %d members are to be told what they have been told", seed, len(due))
			}
		}
	}
}

// Only what is lacking travels, and a node that has begun anew gets all.
func TestRepairTellsWhatIsLacking(t *testing.T) {
	v := &village{living: map[peer.ID]*resident{}, fails: func() bool { return false }}
	a, b, source := v.settle(t, newMember(t)), v.settle(t, newMember(t)), newMember(t)
	for i := range 700 { // three pages
		report := failures(source, uint64(i+1), 1, time.Now())
		report.Key.Value = fmt.Sprintf("198.51.%d.%d", i/256, i%256)
		hash := hashOf(source, report.Key)
		payload := encode(t, seal(t, source, report))
		for _, r := range []*resident{a, b}[:1+i%2] {
			if err := r.judge.receive(t.Context(), source.Member(), hash, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	handed := func(want uint64) {
		t.Helper()
		if !v.pass(t.Context()) {
			t.Error("not all was told")
		}
		if got := a.handed.Load(); got != want || len(b.judge.keys()) != 700 {
			t.Errorf("%d handed on, want %d; %d keys there", got, want, len(b.judge.keys()))
		}
	}
	handed(350)
	handed(350)
	b.judge.collector = correlate.NewCollector(b.judge.rules, evidenceKept) // a new run
	b.repair.told = map[[32]byte]*telling{}
	if err := a.repair.begun(b.id); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.repair.changed:
	default:
		t.Error("a is not going to look")
	}
	handed(1050)
}

// What a holder hands on is judged as if its author had sent it, and more strictly:
// a node that is not near the key has no room for it.
func TestHandedOnReportsAreJudged(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	honest := encode(t, seal(t, a, failures(a, 1, 1, last)))
	forged := seal(t, a, failures(a, 1, 1, last))
	forged.Body = seal(t, a, failures(a, 2, 1_000_000, last)).Body
	receive := func(payload []byte, from *federation.Open, near bool, says string) {
		t.Helper()
		p.judge.near = func([32]byte) bool { return near }
		err := p.judge.receive(t.Context(), from.Member(), hash, payload)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want it to say %q", err, says)
		}
	}
	receive(honest, b, false, "not near")
	receive(encode(t, forged), b, true, "signature")
	receive(honest, a, false, "") // who has seen it may be told by another table
	receive(honest, b, true, "")
	receive(honest, b, true, "")
	if said := p.judge.versions(attackerKey); len(said) != 1 || said[0].Version != 1 {
		t.Errorf("%v is known", said)
	}
}

// An organisation that offers and offers is put off, and others are not.
func TestOffersAreBounded(t *testing.T) {
	v := &village{living: map[peer.ID]*resident{}, fails: func() bool { return false }}
	a, hostile, honest := v.settle(t, newMember(t)), v.settle(t, newMember(t)), v.settle(t, newMember(t))
	many := encode(t, slices.Repeat([]offered{{Key: attackerKey}}, offerKeys))
	if _, err := a.repair.answer(hostile.id, encode(t, slices.Repeat([]offered{{Key: attackerKey}}, offerKeys+1))); err == nil {
		t.Error("an offer of too many keys was taken")
	}
	taken := 0
	for range 10 * offersAtOnce / offerKeys {
		if _, err := a.repair.answer(hostile.id, many); err == nil {
			taken++
		}
	}
	if most := 2 * offersAtOnce / offerKeys; taken == 0 || taken > most {
		t.Errorf("%d offers were looked at, want up to %d", taken, most)
	}
	if _, err := a.repair.answer(honest.id, many); err != nil {
		t.Error(err)
	}
}

// Who is offered to may answer anything, and who offers may offer anything.
func FuzzOffer(f *testing.F) {
	v := &village{living: map[peer.ID]*resident{}, fails: func() bool { return false }}
	a, b, source := v.settle(f, newMember(f)), v.settle(f, newMember(f)), newMember(f)
	report := failures(source, 1, 1, time.Now())
	if err := a.judge.receive(f.Context(), source.Member(), hashOf(source, attackerKey), encode(f, seal(f, source, report))); err != nil {
		f.Fatal(err)
	}
	f.Add(encode(f, []offered{{Key: attackerKey, Said: []version{{Member: source.Member(), Version: 1}}}}))
	f.Add(encode(f, [][]string{{source.Member()}}))
	f.Add(encode(f, [][]string{{}, {"nobody"}}))
	page := []line{{offered{Key: attackerKey}, hashOf(source, attackerKey)}}
	asking := &oracle{resident: a}
	asking.repair = (&repair{log: a.repair.log, net: asking, member: a.repair.member, held: a.judge, handed: new(atomic.Uint64)}).init()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > overlay.MaxAnswer {
			return
		}
		a.repair.offers = allowance{limit: offersPerSecond, burst: offersAtOnce}
		if reply, err := a.repair.answer(b.id, data); err == nil && len(reply) > overlay.MaxAnswer {
			t.Errorf("an answer of %d bytes", len(reply))
		}
		asking.answer = data
		_ = asking.repair.offer(t.Context(), b.id, page)
	})
}

// oracle is a neighbourhood that gives one answer.
type oracle struct {
	*resident
	repair *repair
	answer []byte
}

func (o *oracle) Ask(context.Context, peer.ID, []byte) ([]byte, error) { return o.answer, nil }
