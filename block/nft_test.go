package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// passes says what gets through between an outside address and the host.
func (l *lab) passes(outside string) string {
	l.Helper()
	inside, ping := host4, ""
	if strings.Contains(outside, ":") {
		inside = host6
	} else if l.ping(outside) {
		ping = " ping"
	}
	passed := ""
	for _, test := range []struct {
		name string
		ok   bool
	}{
		{"tcp-in", l.tcp(outside, inside, 80, false)}, {"tcp-out", l.tcp(inside, outside, 80, true)},
		{"udp-in", l.udp(outside, inside, 53)}, {"udp-out", l.udp(inside, outside, 53)},
	} {
		if test.ok {
			passed += " " + test.name
		}
	}
	return strings.TrimSpace(passed + ping)
}

const (
	all4 = "tcp-in tcp-out udp-in udp-out ping"
	all6 = "tcp-in tcp-out udp-in udp-out"
)

func (l *lab) want(when, outside, want string) {
	l.Helper()
	got := l.passes(outside)
	for try := 0; try < 2 && want != "" && got != want; try++ { // a busy machine may lose what nothing blocks
		got = l.passes(outside)
	}
	if got != want {
		l.Errorf("%s: between %s and the host passes %q, want %q", when, outside, got, want)
	}
}

// wantUDP asks with one packet each way, which is quicker.
func (l *lab) wantUDP(when, outside string, want bool) {
	l.Helper()
	inside := host4
	if strings.Contains(outside, ":") {
		inside = host6
	}
	if in, out := l.udp(outside, inside, 53), l.udp(inside, outside, 53); in != want || out != want {
		l.Errorf("%s: from %s passes: %v, to it: %v, want %v", when, outside, in, out, want)
	}
}

func TestDropsBothWays(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	l.want("before", attacker4, all4)
	l.want("before", attacker6, all6)
	l.block(f, time.Minute, attacker4+"/32", "2001:db8:a:b::/64")
	l.want("blocked", attacker4, "")
	l.want("blocked by its /64", attacker6, "")
	l.want("another address", stranger4, all4)
	l.want("another /64", stranger6, all6)

	counters := l.counters(f)
	c := counters[netip.MustParsePrefix(attacker4+"/32")]
	// ping, a packet each way, and the tries of two connections.
	if len(counters) != 2 || c.Packets < 5 || c.Bytes < 2*128+28+2*60 {
		t.Errorf("counters: %+v", counters)
	}
	if left := c.Remaining; left <= 50*time.Second || left > time.Minute {
		t.Errorf("remaining %s", left)
	}
	l.block(f, time.Minute, quiet4+"/32")
	l.udp(quiet4, host4, 53)
	l.udp(host4, quiet4, 53)
	if c := l.counters(f, quiet4+"/32")[netip.MustParsePrefix(quiet4+"/32")]; c.Packets != 2 || c.Bytes != 2*128 {
		t.Errorf("two packets of 128 bytes are counted as %+v", c)
	}

	if err := f.Remove(t.Context(), []netip.Prefix{netip.MustParsePrefix(attacker4 + "/32"), netip.MustParsePrefix("203.0.113.99/32"), netip.MustParsePrefix("203.0.113.0/27")}); err != nil {
		t.Fatal(err)
	}
	l.want("unblocked", attacker4, all4)
}

func TestPrefixes(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	// One within another, which an interval set would refuse.
	l.block(f, time.Minute, "198.51.100.0/29")
	l.block(f, time.Hour, "198.51.100.6/31", "2001:db8:a::/48", attacker6+"/128")
	l.wantUDP("/29 and /31", attacker4, false)
	l.wantUDP("outside the /29", stranger4, true)
	l.wantUDP("/48", stranger6, false)
	if err := f.Remove(t.Context(), []netip.Prefix{netip.MustParsePrefix("198.51.100.0/29"), netip.MustParsePrefix("2001:db8:a::/48")}); err != nil {
		t.Fatal(err)
	}
	l.wantUDP("the /31 stays", attacker4, false)
	l.wantUDP("the /128 stays", attacker6, false)
	l.wantUDP("the /48 is gone", stranger6, true)

	again := l.firewall(Options{}) // a restart finds the odd sizes too
	if got := len(l.counters(again)); got != 2 {
		t.Errorf("adopted %d blocks, want 2", got)
	}
	l.wantUDP("adopted", attacker4, false)
}

func TestNeverHoldsInTheKernel(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	err := f.SetNever(t.Context(), []netip.Prefix{
		netip.MustParsePrefix(attacker4 + "/32"), netip.MustParsePrefix(attacker6 + "/128"),
		netip.MustParsePrefix("255.255.255.255/32"), netip.MustParsePrefix("ff00::/8"), // ends of the address spaces
	})
	if err != nil {
		t.Fatal(err)
	}
	l.nft("add element inet komondor block4_32 { " + attacker4 + " timeout 1m, " + stranger4 + " timeout 1m }")
	l.nft("add element inet komondor block6_64 { 2001:db8:a:b:: timeout 1m }")
	l.want("forced", attacker4, all4)
	l.want("forced", attacker6, all6)
	l.want("forced", stranger4, "")
	l.nft("flush ruleset")
	l.block(f, time.Minute, attacker4+"/32") // makes the table anew, with the set
	l.want("after a flush", attacker4, all4)
	if err := f.SetNever(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	l.want("no longer exempt", attacker4, "")
}

func TestOverlayAndLoopbackPass(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{OverlayPorts: []uint16{4001, 4001}})
	l.block(f, time.Minute, attacker4+"/32", "127.0.0.1/32", host4+"/32")
	for port, want := range map[uint16]bool{4001: true, 4002: false} {
		if got := l.tcp(attacker4, host4, port, false); got != want {
			t.Errorf("tcp to port %d passes: %v", port, got)
		}
		if got := l.udp(attacker4, host4, port); got != want {
			t.Errorf("udp to port %d passes: %v", port, got)
		}
		if l.udp(host4, attacker4, port) {
			t.Errorf("udp to the other side's port %d passes: its choice of a port must not exempt it", port)
		}
	}
	for _, local := range []string{"127.0.0.1", host4} {
		if !l.tcpLocal(local, 80) {
			t.Errorf("loopback to %s is blocked", local)
		}
	}
}

func TestKilledProcess(t *testing.T) {
	l := startLab(t)
	l.killedChild(1500 * time.Millisecond)
	f, err := NewFirewall(Options{}) // does not set anything up
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l.udp(attacker4, host4, 53) {
		t.Fatal("the block died with its process")
	}
	l.eventually(5*time.Second, "the block ends", func() bool { return len(l.counters(f)) == 0 })
	l.want("ended", attacker4, all4)
}

func TestExtend(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	p := netip.MustParsePrefix(attacker4 + "/32")
	for _, ttl := range []time.Duration{time.Minute, time.Hour, time.Second} {
		l.block(f, ttl, p.String(), p.String())
		if left := l.counters(f)[p].Remaining; (left - ttl).Abs() > 500*time.Millisecond {
			t.Errorf("remaining %s, want %s", left, ttl)
		}
	}
}

func TestFlushLeavesOthersAlone(t *testing.T) {
	l := startLab(t)
	l.nft("add table inet filter; add chain inet filter input { type filter hook input priority 0; policy accept; };" +
		"add rule inet filter input tcp dport 22 counter accept; add table ip komondor; add set ip komondor s { type ipv4_addr; };" +
		"add element ip komondor s { 192.0.2.1 }")
	before := l.nft("list", "ruleset")
	f := l.firewall(Options{})
	l.block(f, time.Minute, attacker4+"/32", "198.51.100.0/29")
	if l.nft("list", "ruleset") == before {
		t.Fatal("nothing was blocked")
	}
	for _, flush := range []func() error{func() error { return f.Flush(t.Context()) }, func() error { return FlushKernel("") }} {
		if err := flush(); err != nil {
			t.Fatal(err)
		}
		if after := l.nft("list", "ruleset"); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
	l.block(f, time.Minute, "198.51.100.0/29")
	if err := FlushKernel(DefaultTable); err != nil {
		t.Fatal(err)
	}
	if after := l.nft("list", "ruleset"); after != before {
		t.Errorf("before:\n%s\nafter FlushKernel:\n%s", before, after)
	}
}

func TestSetupIsIdempotent(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{Table: "guard", OverlayPorts: []uint16{4001}})
	l.block(f, time.Hour, attacker4+"/32", "198.51.100.0/29")
	l.udp(attacker4, host4, 53)
	first := l.counters(f)
	rules := l.nft("--stateless", "list", "table", "inet", "guard")
	for range 3 {
		l.firewall(Options{Table: "guard", OverlayPorts: []uint16{4001}})
	}
	if now := l.nft("--stateless", "list", "table", "inet", "guard"); now != rules {
		t.Errorf("before:\n%s\nafter:\n%s", rules, now)
	}
	for p, c := range l.counters(f) {
		if c.Packets != first[p].Packets || c.Remaining > first[p].Remaining {
			t.Errorf("%s was %+v, is %+v", p, first[p], c)
		}
	}
	// What the nft program prints, it can read: nothing of ours is beyond it.
	l.nft("--check", "add table inet copy; "+strings.ReplaceAll(rules, "inet guard", "inet copy"))
}

func TestBadBatchAppliesNothing(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	good := Entry{netip.MustParsePrefix(attacker4 + "/32"), time.Minute}
	for _, test := range []struct {
		bad  Entry
		want string
	}{
		{Entry{netip.Prefix{}, time.Minute}, "not valid"},
		{Entry{netip.MustParsePrefix("203.0.113.9/32"), 0}, "203.0.113.9/32: time to live 0s"},
		{Entry{netip.MustParsePrefix("203.0.113.9/32"), -time.Hour}, "203.0.113.9/32"},
	} {
		err := f.Add(t.Context(), []Entry{good, test.bad})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.bad, err)
		}
	}
	// The kernel's own refusal: a message about a set that is of another kind.
	f.sock.batch(message{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elementList("komondor", size{4, 32}, []Entry{good})},
		message{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elementList("komondor", size{4, 32}, []Entry{{netip.MustParsePrefix("2001:db8::1/128"), time.Minute}})})
	if got := l.counters(f); len(got) != 0 {
		t.Errorf("applied in part: %v", got)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Add(cancelled, []Entry{good}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	l.block(f, time.Minute, good.Prefix.String()) // the socket is in step after all that
	if len(l.counters(f)) != 1 {
		t.Error("not blocked")
	}
}

// A table of somebody else's stays as it is, whatever name it has.
func TestForeignTable(t *testing.T) {
	l := startLab(t)
	l.nft("add table inet komondor; add table inet filter; add set inet filter block4_32 { type ipv4_addr; flags timeout; };" +
		"add chain inet filter inbound { type filter hook input priority 0; policy accept; }; add rule inet filter inbound tcp dport 22 counter accept")
	before := l.nft("list", "ruleset")
	for _, name := range []string{"", "filter"} {
		f, err := NewFirewall(Options{Table: name})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for what, err := range map[string]error{"set up": f.Setup(t.Context()), "flush": f.Flush(t.Context()), "flushed": FlushKernel(name)} {
			if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "table inet "+f.table.Name) || !strings.Contains(err.Error(), "--table") {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
	if after := l.nft("list", "ruleset"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// What is allowed as a name, the nft program can read.
func TestTableNames(t *testing.T) {
	l := startLab(t)
	for _, name := range []string{"komondor", "k", "My_table-2.0", "k" + strings.Repeat("9", 254)} {
		if err := CheckTable(name); err != nil {
			t.Error(err)
		}
		f := l.firewall(Options{Table: name})
		l.nft("list", "table", "inet", name)
		if err := f.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "bad;name", "two words", "2nd", "-k", "k\n", "k" + strings.Repeat("9", 255)} {
		if CheckTable(name) == nil {
			t.Errorf("%q is allowed", name)
		}
	}
}

// A table of ours that somebody has altered is ours.
func TestAlteredTable(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	l.nft("flush table inet komondor; delete set inet komondor block4_32; add set inet komondor block4_32 { type ether_addr; };")
	if err := f.Setup(t.Context()); err == nil || !strings.Contains(err.Error(), `"komondor block flush"`) {
		t.Errorf("the error does not say what to do: %v", err)
	}
	if err := FlushKernel(""); err != nil {
		t.Fatal(err)
	}
	if err := f.Setup(t.Context()); err != nil {
		t.Errorf("after what it advises: %v", err)
	}
}

func TestPermission(t *testing.T) {
	startLab(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread without rights ends here
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			done <- err
			return
		}
		done <- FlushKernel("")
	}()
	err := <-done
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "needs CAP_NET_ADMIN: run as root, or use --block observe") {
		t.Errorf("got %v", err)
	}
}

func TestManyRestored(t *testing.T) {
	host, outside := newLab(t) // not beside other tests: it takes the time
	l := &lab{t, host, outside}
	f := l.firewall(Options{})
	never, err := NewNever(NeverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keeper := &fakeKeeper{kept: map[string][]byte{}}
	now := time.Now()
	for i, e := range manyEntries(10_000) {
		until := now.Add(time.Duration(3600+i) * time.Second).UTC().Format(time.RFC3339Nano)
		keeper.kept[e.Prefix.String()] = fmt.Appendf(nil, `{"prefix":"%s","until":"%s"}`, e.Prefix, until)
	}
	m, err := NewManager(f, never, keeper, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	now = time.Now()
	if err := m.Restore(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	took := time.Since(now) // its benchmark has a target
	start := time.Now()
	counters := l.counters(f)
	if len(counters) != 10_000 {
		t.Fatalf("%d blocks in the kernel", len(counters))
	}
	slack := 2*time.Second + time.Since(start) // the kernel is asked at some time in between
	worst := time.Duration(0)
	for _, b := range m.List(now) {
		off := start.Add(counters[b.Prefix].Remaining).Sub(b.Until).Abs()
		if worst = max(worst, off); off > slack {
			t.Fatalf("%s ends %s off", b.Prefix, off)
		}
	}
	t.Logf("restore 10,000 blocks: target 2s, measured %s; remaining time: target 2s off at most, measured %s", took, worst)
	l.nft("flush ruleset")
	if n, err := m.Reconcile(t.Context(), now); n != 10_000 || err != nil {
		t.Errorf("put back %d, %v", n, err)
	}
}
