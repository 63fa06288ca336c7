package federation

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
)

func newOpen(t testing.TB) *Open {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpen(key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOnlyTheSignersOwnWordsVerify(t *testing.T) {
	a, b := newOpen(t), newOpen(t)
	sealed, err := a.Seal([]byte("I saw it"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(time.Now(), sealed); err != nil {
		t.Errorf("a true statement: %v", err)
	}
	for name, forge := range map[string]func(s *event.Sealed){
		"other words":        func(s *event.Sealed) { s.Body = []byte("I saw more") },
		"another's name":     func(s *event.Sealed) { s.Signer = b.Member() },
		"broken signature":   func(s *event.Sealed) { s.Signature = append([]byte{1}, s.Signature[1:]...) },
		"no signature":       func(s *event.Sealed) { s.Signature = nil },
		"signature too long": func(s *event.Sealed) { s.Signature = append(s.Signature, 0) },
	} {
		forged := sealed
		forge(&forged)
		if err := b.Verify(time.Now(), forged); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", name, err)
		}
	}
	id, err := peer.Decode(a.Member())
	if err != nil {
		t.Fatal(err)
	}
	forged := sealed
	forged.Signer = peer.ToCid(id).String()
	if err := b.Verify(time.Now(), forged); err == nil {
		t.Error("another spelling of the signer's name verified: it could vote twice")
	}
	for _, signer := range []string{"", "nobody", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"} {
		forged := sealed
		forged.Signer = signer
		if err := b.Verify(time.Now(), forged); err == nil {
			t.Errorf("signer %q verified", signer)
		}
	}
}

func TestSaltsOverlapAfterMidnight(t *testing.T) {
	o := newOpen(t)
	for _, c := range []struct {
		at   string
		want []string
	}{
		{"2026-11-22T23:59:59Z", []string{"2026-11-22"}},
		{"2026-11-22T00:59:59Z", []string{"2026-11-22", "2026-11-21"}},
		{"2026-11-22T01:00:00Z", []string{"2026-11-22"}},
		{"2027-01-01T00:10:00Z", []string{"2027-01-01", "2026-12-31"}},
		{"2026-11-22T00:30:00+02:00", []string{"2026-11-21"}},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := o.Salts(at, time.Hour)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.at, got, c.want)
			continue
		}
		for i := range got {
			if string(got[i]) != c.want[i] {
				t.Errorf("%s: %q, want %q", c.at, got, c.want)
			}
		}
	}
}

func BenchmarkOpenVerify(b *testing.B) {
	o := newOpen(b)
	sealed, err := o.Seal(make([]byte, 200))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := o.Verify(time.Now(), sealed); err != nil {
			b.Fatal(err)
		}
	}
}
