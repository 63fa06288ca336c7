package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// enrolled is a node that redeems an offer at a member.
func enrolled(t *testing.T, at *federation.Member, offer federation.Offer, token []byte) *federation.Member {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	must(at.Deposit(now, offer))
	identity, _, err := crypto.GenerateEd25519Key(rand.Reader)
	must(err)
	id, err := peer.IDFromPrivateKey(identity)
	must(err)
	var key ed25519.PrivateKey
	if offer.Admission != nil {
		_, key, err = ed25519.GenerateKey(rand.Reader)
		must(err)
	}
	applicant, err := federation.NewApplicant(federation.Invitation{Federation: at.Name(), Organisation: offer.Organisation, Founds: key != nil,
		Root: at.Membership().Root, Token: token, Addresses: []string{"/ip4/192.0.2.1/tcp/4001"}, Expires: offer.Expires}, identity, key)
	must(err)
	request, err := applicant.Request()
	must(err)
	reply, _, err := at.Welcome(now, id.String(), request)
	must(err)
	ms, _, err := applicant.Accept(now, reply)
	must(err)
	m, err := federation.NewMember(ms, identity, key, kept{newStore(t, t.TempDir()).Federation}, nil, now)
	must(err)
	return m
}

// running runs a registrar until the test ends, and collects what it logs.
func running(t *testing.T, r *registrar) *bytes.Buffer {
	log := new(bytes.Buffer)
	r.log = slog.New(slog.NewTextHandler(log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return log
}

// Who cannot certify any more is told so, once in the log and all the time in the status.
func TestAnotherKeyIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		founded, a := found(t)
		invite := func(at *federation.Member, organisation string) *federation.Member {
			offer, token, err := federation.Invite(founded.Root, "example-net", organisation, federation.Terms{Tier: federation.TierMember, Quota: 5, Validity: 90 * 24 * time.Hour}, time.Hour, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return enrolled(t, at, offer, token)
		}
		b := invite(a, "uni-b")
		time.Sleep(time.Second)
		other := invite(b, "uni-a") // which does not know uni-a yet
		r := registrarOf(a, neighbour(func([]byte) ([]byte, error) { return event.Encode(page{Epoch: 1}) }))
		log := running(t, r)
		time.Sleep(time.Hour)
		synctest.Wait()
		if r.stuck() != "" {
			t.Fatalf("%q; %s", r.stuck(), log)
		}
		if _, err := a.Add(time.Now(), other.Hello()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !strings.Contains(r.stuck(), "admitted organisation uni-a with another key since: join again") {
			t.Errorf("%q", r.stuck())
		}
		if n := strings.Count(log.String(), "certificates not renewed"); n != 1 {
			t.Errorf("said %d times: %s", n, log)
		}
	})
}

// Who is certified by another node is told when that does not happen.
func TestLateRenewalIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a := found(t)
		offer, token, err := federation.InviteNode("uni-a", time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		m := enrolled(t, a, offer, token)
		if _, err := m.Add(time.Now(), a.Hello()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var answers atomic.Bool
		r := registrarOf(m, neighbour(func([]byte) ([]byte, error) {
			if !answers.Load() {
				return nil, errors.New("nobody at home")
			}
			return event.Encode(page{Epoch: 1})
		}))
		log := running(t, r)
		const day = 24 * time.Hour
		at := func(age time.Duration, want string) {
			t.Helper()
			time.Sleep(time.Until(began.Add(age)))
			synctest.Wait()
			if got := r.stuck(); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("after %s: %q, want %q", age, got, want)
			}
		}
		at(4*day, "")
		at(5*day, "node "+a.Member()+", which renews it, does not answer (nobody at home)")
		answers.Store(true)
		at(5*day+time.Hour, "")
		at(6*day+time.Hour, "answers and does not")
		documents, err := a.Due(time.Now(), func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range documents {
			_, _ = m.Add(time.Now(), d) // freshness and what else there is
		}
		at(6*day+2*time.Hour, "")
		if s := log.String(); strings.Count(s, "certificates not renewed") != 2 || strings.Count(s, "certificates are renewed again") != 2 {
			t.Error(s)
		}
	})
}
