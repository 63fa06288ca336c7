package node

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// neighbour answers each question by its function.
type neighbour func(request []byte) ([]byte, error)

func (n neighbour) Ask(_ context.Context, _ peer.ID, request []byte) ([]byte, error) {
	return n(request)
}
func (neighbour) Buckets() [][]peer.ID { return [][]peer.ID{{"neighbour"}} }

// found is a federation and its first node.
func found(t testing.TB) (federation.Foundation, *federation.Member) {
	t.Helper()
	identity, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	founded, err := federation.Found(now, "example-net", "uni-a", identity)
	if err != nil {
		t.Fatal(err)
	}
	m, err := federation.NewMember(founded.Membership, identity, founded.Organisation, kept{newStore(t, t.TempDir()).Federation}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return founded, m
}

func registrarOf(m *federation.Member, net neighbours) *registrar {
	return &registrar{log: slog.New(slog.DiscardHandler), member: m, net: net, read: make(map[peer.ID]mark),
		fetching: make(chan struct{}, maxFetching), spread: func(context.Context, []byte) {}, expelled: func() {}, expired: func() {}, renewed: func() {}}
}

// newRegistrar is that of a federation's first node, with a neighbour.
func newRegistrar(t testing.TB, net neighbours) (*registrar, [][]byte) {
	t.Helper()
	founded, m := found(t)
	return registrarOf(m, net), founded.Documents
}

// A neighbour that always has one more page, and nothing new on it, is left soon.
func TestPullEndsWithoutNews(t *testing.T) {
	asked := 0
	var documents [][]byte
	r, documents := newRegistrar(t, neighbour(func(request []byte) ([]byte, error) {
		asked++
		return event.Encode(page{Epoch: 1, Next: uint64(asked), Documents: documents})
	}))
	if err := r.pull(t.Context(), "neighbour"); err != nil || asked > maxQuiet+1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	if r.member.Policy().Version != 1 {
		t.Error("the policy has not arrived")
	}
}

// A neighbour that has nothing but wrong documents is not read to the end.
func TestPullEndsWithALiar(t *testing.T) {
	asked := 0
	r, _ := newRegistrar(t, neighbour(func([]byte) ([]byte, error) {
		asked++
		return event.Encode(page{Epoch: 1, Next: uint64(asked), Documents: [][]byte{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}}})
	}))
	if err := r.pull(t.Context(), "neighbour"); err == nil && asked > maxQuiet || asked > maxRefused {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// Neighbours with the same documents send none, and need one question to see it.
func TestPullOfTheSame(t *testing.T) {
	asked := 0
	sent := 0 // documents
	var other *registrar
	r, documents := newRegistrar(t, neighbour(func(request []byte) ([]byte, error) {
		asked++
		answer, err := other.answer(t.Context(), "asker", request[1:]) // after its kind
		if err != nil {
			return nil, err
		}
		var p page
		if err := event.Decode(answer, &p); err != nil {
			t.Fatal(err)
		}
		sent += len(p.Documents)
		return answer, nil
	}))
	other = &registrar{log: r.log, member: r.member, net: r.net, epoch: 7}
	for _, d := range documents {
		if _, err := r.member.Add(time.Now(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.pull(t.Context(), "neighbour"); err != nil || asked != 1 || sent != 0 {
		t.Errorf("asked %d times, %d documents sent, %v", asked, sent, err)
	}
	_, seq := r.member.Digest()
	if got := r.read["neighbour"]; got != (mark{7, seq}) {
		t.Errorf("read up to %v, want %d", got, seq)
	}
}

func FuzzPull(f *testing.F) {
	var answer []byte
	r, documents := newRegistrar(f, neighbour(func([]byte) ([]byte, error) { return answer, nil }))
	good, err := event.Encode(page{Epoch: 1, Next: 2, Documents: documents})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0xa1, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		answer = data
		_ = r.pull(t.Context(), "neighbour")
		if reply, err := r.answer(t.Context(), "neighbour", data); err == nil && len(reply) > 56<<10 {
			t.Errorf("an answer of %d bytes", len(reply))
		}
	})
}
