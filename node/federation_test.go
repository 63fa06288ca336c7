package node

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// participant is a whole node on loopback TCP. It begins anew under a new policy,
// so the present node is asked for each time.
type participant struct {
	config Config
	node   atomic.Pointer[Node]
	begun  atomic.Int32
	end    func() // stops the node and waits for it
}

func start(t *testing.T, c Config) *participant {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)} // the same when it begins anew
	l.Close()
	c.Block = "observe"
	p := &participant{config: c}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, c, func(n *Node) {
			p.node.Store(n)
			p.begun.Add(1)
		})
	}()
	var ended bool
	p.end = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				t.Errorf("node of %s: %v", filepath.Base(c.Data), err)
			}
		}
	}
	t.Cleanup(p.end)
	wait(t, "node runs", func() bool {
		select {
		case err := <-done:
			t.Fatalf("node of %s: %v", filepath.Base(c.Data), err)
		default:
		}
		return p.node.Load() != nil
	})
	return p
}

func (p *participant) status() control.Status { return p.node.Load().Status() }

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// attacked writes a log of guesses that are too slow to be noticed at home: 12
// points within an hour, and at most 3 within ten minutes.
func attacked(t *testing.T, dir string) Source {
	t.Helper()
	var log strings.Builder
	for i := range 4 {
		at := time.Now().Add(-time.Duration(3+15*i) * time.Minute)
		log.WriteString(at.Format(time.RFC3339Nano) + fmt.Sprintf(" host sshd[%d]: Invalid user admin from %s port 39445\n", 100+i, attacker))
	}
	path := filepath.Join(dir, "auth.log")
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{Format: "sshd", Path: path}
}

func rootOf(t *testing.T, data string) ed25519.PrivateKey {
	t.Helper()
	root, err := federation.LoadKey(filepath.Join(data, rootFile), "")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// invite makes the invitation of an organisation, as the command does.
func invite(t *testing.T, at *participant, organisation string) string {
	t.Helper()
	ms, err := federation.LoadMembership(filepath.Join(at.config.Data, membershipFile))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	terms := federation.Terms{Tier: federation.TierMember, Quota: 5, Validity: 24 * time.Hour}
	offer, token, err := federation.Invite(rootOf(t, at.config.Data), ms.Federation, organisation, terms, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	data, err := event.Encode(offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := at.node.Load().Deposit(data); err != nil {
		t.Fatal(err)
	}
	return federation.Invitation{Federation: ms.Federation, Organisation: organisation, Founds: true, Root: ms.Root,
		Token: token, Addresses: at.status().Node.Addresses, Expires: now.Add(time.Hour).Unix()}.String()
}

// Two organisations from the founding to the parting: what both have seen together
// blocks at the one, waits for a person at the other, and falls with the revocation.
func TestFederationOfTwo(t *testing.T) {
	dirA, dirB := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if _, err := Found(dirA, "example-net", "uni-a", ""); err != nil {
		t.Fatal(err)
	}
	a := start(t, Config{Data: dirA, Sources: []Source{attacked(t, dirA)}})
	if err := os.Mkdir(dirB, 0o700); err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{Data: dirB, Network: "approve", Sources: []Source{attacked(t, dirB)}, Invitation: invite(t, a, "uni-b")})
	for _, p := range []*participant{a, b} {
		wait(t, "two organisations, connected", func() bool { s := p.status(); return s.Federation.Organisations == 2 && s.Peers == 1 })
	}

	// Neither has seen enough alone, and together they have.
	wait(t, "blocks at a", func() bool { return a.status().Block.Observed == 1 })
	wait(t, "waits at b", func() bool { return b.status().Block.Waiting == 1 })
	if s := b.status(); s.Block.Observed != 0 {
		t.Errorf("b blocks without approval: %+v", s.Block)
	}
	explain := func() (control.Explanation, error) {
		return b.node.Load().Explain(t.Context(), netip.MustParseAddr(attacker))
	}
	crossed := func(x control.Explanation) bool {
		return slices.ContainsFunc(x.Rules, func(s control.Standing) bool {
			return s.Rule == "ssh-brute-force" && s.Scope == "federation" && s.Crossed && s.Organisations == 2
		})
	}
	wait(t, "b has gathered the evidence of both", func() bool { x, err := explain(); return err == nil && crossed(x) })
	x, err := explain()
	if err != nil || x.Waiting == nil || x.Block != nil || !strings.Contains(x.Verdict, "waits for a person (mode approve") {
		t.Errorf("explained as %q, %v", x.Verdict, err)
	}
	if blocks, err := b.node.Load().Approve(t.Context(), nil); err != nil || len(blocks) != 1 || blocks[0].State != block.Observed {
		t.Errorf("approved %+v, %v", blocks, err)
	}
	if x, err = explain(); err != nil || x.Waiting != nil || x.Block == nil {
		t.Errorf("explained as %q, %v", x.Verdict, err)
	}

	// A policy that a signs reaches b before a begins anew.
	policy := a.node.Load().federation.Policy()
	policy.Version, policy.Rules = 2, map[string]federation.Rule{"ssh-brute-force": {AtLeast: 21}}
	document, err := federation.SignPolicy(rootOf(t, dirA), policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.node.Load().Submit(t.Context(), document); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*participant{a, b} {
		wait(t, "begins anew", func() bool { return p.begun.Load() == 2 })
		wait(t, "policy 2, connected again", func() bool { s := p.status(); return s.Federation.Policy == 2 && s.Peers == 1 })
		if s := p.status(); s.Block.Observed != 1 {
			t.Errorf("%s lost its block over the policy: %+v", filepath.Base(p.config.Data), s.Block)
		}
	}

	// The root puts uni-b out: a hears no more of it, and its block falls.
	known := a.node.Load().federation
	certificate, admission, ok := known.Certificate("uni-b")
	list, listed := federation.Latest(known.Revocations(), rootOf(t, dirA).Public().(ed25519.PublicKey))
	if !ok || !listed {
		t.Fatal("a does not know uni-b's certificate, or the root's list")
	}
	_, key, err := certificate.Check(rootOf(t, dirA).Public().(ed25519.PublicKey), "example-net", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	document, err = federation.SignRevocations(rootOf(t, dirA), list.Next(time.Now(),
		federation.Entry{Serial: admission.Serial, Key: federation.Fingerprint(key), What: "uni-b", Reason: "test", At: time.Now().Unix()}))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.node.Load().Submit(t.Context(), document); err != nil {
		t.Fatal(err)
	}
	wait(t, "b is cut off", func() bool { return a.status().Peers == 0 && b.status().Peers == 0 })
	wait(t, "the block that rested on b's evidence is withdrawn", func() bool { return a.status().Counters.Withdrawn == 1 })
	if s := a.status(); s.Federation.Organisations != 1 || s.Block.Observed != 0 {
		t.Errorf("after the revocation: %+v, %+v, %d withdrawn", s.Federation, s.Block, s.Counters.Withdrawn)
	}
	wait(t, "b is turned away", func() bool { return a.status().Counters.Turned > 0 })
}

// The data directory says who a node is; what contradicts it is refused.
func TestWhoANodeIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if _, err := Found(dir, "example-net", "uni-a", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Found(dir, "example-net", "uni-a", ""); err == nil || !strings.Contains(err.Error(), "belongs to a federation already") {
		t.Errorf("founded twice: %v", err)
	}
	a := start(t, Config{Data: dir})
	other := invite(t, a, "uni-b")
	a.end()
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"open":              {Config{Data: dir, Open: true}, "leave --open away"},
		"another one":       {Config{Data: dir, Invitation: other}, "belongs to organisation uni-a"},
		"nobody there":      {Config{Data: filepath.Join(dir, "b"), Invitation: other}, "the node that it was made on has to run"},
		"none":              {Config{Data: filepath.Join(dir, "c")}, "redeem an invitation"},
		"damaged":           {Config{Data: filepath.Join(dir, "d"), Invitation: other[:len(other)-4]}, "truncated"},
		"a damaged anew":    {Config{Data: dir, Invitation: other[:len(other)-4]}, "truncated"},
		"no data directory": {Config{Open: true}, "say --data DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Block, c.config.Listen = "observe", []string{"/ip4/127.0.0.1/tcp/0"}
			if err := Run(t.Context(), c.config, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A policy is looked at before it is signed, because nodes can only go on without it.
func TestCheckPolicy(t *testing.T) {
	good := federation.Policy{Quorum: 2, Rules: map[string]federation.Rule{"ssh-brute-force": {AtLeast: 30}},
		Severities: map[event.Kind]int{event.SSHLoginFailed: 1}, Allow: []string{"198.51.100.0/24", "mirror.example.net"}}
	if err := CheckPolicy(good); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*federation.Policy){
		`there is no rule "ssh"`:        func(p *federation.Policy) { p.Rules = map[string]federation.Rule{"ssh": {}} },
		`there is no kind "ssh.logn"`:   func(p *federation.Policy) { p.Severities = map[event.Kind]int{"ssh.logn": 1} },
		`"not an entry!" is no address`: func(p *federation.Policy) { p.Allow = []string{"not an entry!"} },
	} {
		bad := good
		change(&bad)
		if err := CheckPolicy(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
