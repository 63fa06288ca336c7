package birthday

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/control"
)

// laboratory is the network, the name server and the resolver.
func laboratory(t *testing.T) (*Network, *Resolver) {
	t.Helper()
	n := victims(t)
	resolver, err := NewResolver(n.N2, t.TempDir())
	if errors.Is(err, ErrNoUnbound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := resolver.Stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 10*time.Second, "the resolver answers", func() bool {
		_, err := Resolve(t.Context(), n.Cells[1], "nowhere."+Zone, time.Second)
		var none *net.DNSError
		return errors.As(err, &none) && none.IsNotFound
	})
	return n, resolver
}

// victims is the network and the name server.
func victims(t *testing.T) *Network {
	t.Helper()
	n, err := NewNetwork()
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	authority, err := NewAuthority(n.N1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving errgroup.Group
	serving.Go(func() error { return authority.Serve(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := serving.Wait(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// attack runs a part of the attack until it is stopped.
func attack(t *testing.T, part func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running errgroup.Group
	running.Go(func() error { return part(ctx) })
	stopped := false
	stop = func() {
		if cancel(); stopped {
			return
		}
		stopped = true
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// undefended has the attack run without a defence as well.
var undefended = flag.Bool("undefended", false, "also attack with nobody who defends, which takes up to a minute")

// program is where TestMain wants komondor to be built, if a test needs it.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "komondor-birthday")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "komondor")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// product builds komondor once.
func product(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(program); err == nil {
		return program
	}
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "../../cmd/komondor")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build komondor: %v\n%s", err, out)
	}
	return program
}

// lodge starts the three cells, each the node of an organisation of one federation, with their modes, and has
// them see some of the ordinary.
func lodge(t *testing.T, n *Network, args ...string) []*Process {
	t.Helper()
	dir, komondor := t.TempDir(), product(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var cells []*Process
	for i, h := range n.Cells {
		at := filepath.Join(dir, h.Name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		joins := args
		if i == 0 {
			if err := Found(ctx, komondor, at, h.Name); err != nil {
				t.Fatal(err)
			}
		} else {
			invitation, err := cells[0].Invite(ctx, h.Name)
			if err != nil {
				t.Fatal(err)
			}
			joins = append(slices.Clone(args), invitation)
		}
		p, err := Lodge(ctx, h, komondor, at, joins...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				said, _ := os.ReadFile(filepath.Join(at, "stderr"))
				t.Logf("%s:\n%s", h.Name, said)
			}
		})
		cells = append(cells, p)
	}
	for _, p := range cells {
		eventually(t, 20*time.Second, "each knows the two others", func() bool {
			s, err := p.control.Status(ctx)
			return err == nil && s.Peers == Cells-1 && !s.Federation.Open && s.Federation.Voting == Cells
		})
	}
	// That a packet of pcell3's bears a stranger's source says something only of a host which has
	// been seen to send in its own name, by a sensor that has begun to look.
	for _, p := range cells {
		sees := func(packets uint64) func() bool {
			return func() bool {
				s, err := p.control.Status(ctx)
				return err == nil && s.Sources[0].Lines >= packets
			}
		}
		begun := time.Now()
		eventually(t, 30*time.Second, p.Host.Name+" looks at its host", func() bool {
			if time.Since(begun) > time.Second {
				ask(t, p.Host)
				begun = time.Now()
			}
			return sees(1)()
		})
		for range 55 {
			ask(t, p.Host)
		}
		eventually(t, 30*time.Second, p.Host.Name+" sees what its host does", sees(2*55))
	}
	return cells
}

// ask asks an honest question.
func ask(t *testing.T, at *Host) {
	t.Helper()
	_, err := Resolve(t.Context(), at, "nowhere."+Zone, time.Second)
	var none *net.DNSError
	if !errors.As(err, &none) || !none.IsNotFound {
		t.Fatalf("an honest question of %s: %v", at.Name, err)
	}
}

// has waits until a cell has raised an alert.
func has(t *testing.T, cells []*Process, cell, kind string, says string) {
	t.Helper()
	eventually(t, 30*time.Second, cell+" "+kind+" "+says, func() bool {
		rows, err := Sequence(t.Context(), cells)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(rows, func(r Row) bool { return r.Cell == cell && r.Type == kind && strings.Contains(r.Says, says) })
	})
}

// begin begins the three floods, each after the cells have told one another of the one before it.
func begin(t *testing.T, n *Network, cells []*Process) (stopSYN func()) {
	t.Helper()
	stopSYN = attack(t, func(ctx context.Context) error { return FloodSYN(ctx, n.Cells[0], 500) })
	has(t, cells, "pcell1", control.CooperativeAlert, "syn-flood")
	time.Sleep(2 * time.Second) // what n1's firewall knows of the resolver is forgotten
	attack(t, func(ctx context.Context) error { return FloodQueries(ctx, n.Cells[1], 100) })
	has(t, cells, "pcell2", control.CooperativeAlert, "flooding-queries")
	time.Sleep(time.Second)
	attack(t, func(ctx context.Context) error { return FloodReplies(ctx, n.Cells[2], 20_000) })
	return stopSYN
}

// listen counts what n1 sees of connections from pcell1's host.
func listen(t *testing.T, n *Network) *Wire {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	wire, listened, err := Listen(ctx, n.N1, n.Cells[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := listened(); err != nil {
			t.Error(err)
		}
	})
	return wire
}

func table(t *testing.T, cells []*Process) []Row {
	t.Helper()
	rows, err := Sequence(t.Context(), cells)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := Print(&text, rows); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	return rows
}

// TestObjectiveIsReached is the attack while the cells only look on, as they do until somebody says
// otherwise: the resolver's cache is poisoned, and the cells say so.
func TestObjectiveIsReached(t *testing.T) {
	if !*undefended {
		t.Skip("attacks for up to a minute: -args -undefended")
	}
	n, resolver := laboratory(t)
	cells := lodge(t, n, "--follow", "bind-birthday")
	begin(t, n, cells)
	began := time.Now()
	eventually(t, time.Minute, "the cache is poisoned", func() bool {
		lines, err := resolver.Poisoned(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(lines) > 0
	})
	t.Logf("poisoned %s after the first false reply", time.Since(began).Round(time.Millisecond))
	addrs, err := Resolve(t.Context(), n.Cells[1], WWW, 5*time.Second)
	if err != nil || !slices.Equal(addrs, []netip.Addr{FalseWWW}) {
		t.Errorf("%s resolves to %v (%v), want the attacker's %s", WWW, addrs, err, FalseWWW)
	}
	has(t, cells, "pcell3", control.ObjectiveAlert, "illegal-recursive-query")
	if half, err := HalfOpen(n.N1); err != nil || half < limit*9/10 {
		t.Errorf("n1 has %d half-open connections (%v), and is not mute", half, err)
	}
	alerts, err := cells[2].control.Alerts(t.Context())
	if err != nil || !slices.ContainsFunc(alerts, func(a control.Alert) bool { return a.Rule == "bind-birthday" && a.Level == "critical" }) {
		t.Errorf("pcell3's alerts do not say that the objective is reached (%v): %+v", err, alerts)
	}
	table(t, cells)
}

// TestAttackIsPrevented is section V of the paper: the same attack, and each cell does what it can against
// the step that its own host takes.
func TestAttackIsPrevented(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks for half a minute")
	}
	n, resolver := laboratory(t)
	wire := listen(t, n)
	cells := lodge(t, n, "--follow", "bind-birthday", "--respond", "reset=auto", "--respond", "flow=auto")
	stopSYN := begin(t, n, cells)
	has(t, cells, "pcell3", control.CooperativeAlert, "flooding-spoofed-replies")
	time.Sleep(8 * time.Second) // in which the attack mostly reaches its objective where nobody defends

	rows := table(t, cells)
	for i, want := range []struct{ cell, kind, says string }{
		{"pcell1", control.LocalAlert, "flood.syn"},
		{"pcell1", control.AssessmentAlert, "undo-deny-of-service"},
		{"pcell1", control.CooperativeAlert, "syn-flood"},
		{"pcell2", control.LocalAlert, "dns.flood.query"},
		{"pcell2", control.CooperativeAlert, "flooding-queries"},
		{"pcell3", control.LocalAlert, ""},
		{"pcell3", control.LocalAlert, ""},
		{"pcell3", control.AssessmentAlert, "block-spoofed-connection"},
		{"pcell3", control.CooperativeAlert, "flooding-spoofed-replies"},
	} {
		if i >= len(rows) || rows[i].Cell != want.cell || rows[i].Type != want.kind || !strings.Contains(rows[i].Says, want.says) {
			t.Errorf("t%d: want %s, %s %s", i+1, want.cell, want.kind, want.says)
		}
	}
	for _, r := range rows { // who sees the replies knows which name they are about, and tells nobody
		if r.Type == control.ObjectiveAlert && strings.Contains(r.Says, strings.TrimSuffix(WWW, ".")) != (r.Cell == "pcell3") {
			t.Errorf("%s says %s", r.Cell, r.Says)
		}
	}
	begun, reset, odd := wire.Count()
	t.Logf("n1 saw %d connections begun by pcell1's host, and resets of %d; %d others", begun, reset, odd)
	if reset < 150 || odd > 0 {
		t.Errorf("%d resets, and %d of what was not begun", reset, odd)
	}
	if reset < begun*9/10 {
		t.Errorf("of %d connections that were begun only %d were reset", begun, reset)
	}
	rules, err := nft(n.Cells[2])
	if err != nil || !strings.Contains(rules, N1.String()+" . "+N2.String()+" . udp") {
		t.Errorf("the flow is not blocked in the kernel of pcell3's host (%v):\n%s", err, rules)
	}
	for _, p := range cells { // the reports of pcell1 and pcell3 have met under the key of n1
		alerts, err := p.control.Alerts(t.Context())
		met := func(a control.Alert) bool {
			return a.Key.Value == "bind-birthday|H2="+N1.String() && a.Scope == "federation" && !a.Open && slices.Contains(a.Sensors, cells[0].Member) && slices.Contains(a.Sensors, cells[2].Member)
		}
		if err != nil || !slices.ContainsFunc(alerts, met) {
			t.Errorf("%s knows of no two members under the key of n1 (%v)", p.Host.Name, err)
		}
	}
	if lines, err := resolver.Poisoned(t.Context()); err != nil || len(lines) > 0 {
		t.Errorf("the cache is poisoned (%v): %q", err, lines)
	}
	addrs, err := Resolve(t.Context(), n.Cells[1], WWW, 10*time.Second)
	t.Logf("%s is %v (%v)", WWW, addrs, err)
	if err != nil || !slices.Equal(addrs, []netip.Addr{TrueWWW}) {
		t.Errorf("%s resolves to %v (%v), want %s", WWW, addrs, err, TrueWWW)
	}
	stopSYN()
	eventually(t, 5*time.Second, "n1 has no half-open connection, which by itself would take it a minute", func() bool {
		half, err := HalfOpen(n.N1)
		return err == nil && half == 0
	})
}

// nft is what the kernel of a host filters for komondor.
func nft(at *Host) (rules string, err error) {
	err = at.Do(func() error {
		out, err := exec.Command("nft", "list", "table", "inet", "komondor").CombinedOutput()
		rules = string(out)
		return err
	})
	return rules, err
}
