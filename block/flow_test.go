package block

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func flowOf(protocol, source, target string, port uint16) Flow {
	f := Flow{Target: netip.MustParseAddr(target), Protocol: protocol, Port: port}
	if source != "" {
		f.Source = netip.MustParseAddr(source)
	}
	return f
}

func TestWrongFlows(t *testing.T) {
	for want, f := range map[string]Flow{
		"needs a target":      {Source: netip.MustParseAddr("192.0.2.1")},
		"both be IPv4":        flowOf("", "2001:db8::1", "198.51.100.7", 0),
		`protocol "sctp"`:     flowOf("sctp", "", "198.51.100.7", 0),
		"a port needs":        flowOf("", "", "198.51.100.7", 53),
		"a port needs its pr": flowOf("icmp", "", "198.51.100.7", 53),
	} {
		if _, err := f.canonical(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", f, err, want)
		}
	}
}

// FuzzFlows reads what the kernel might answer as elements of every shape: what is
// read is a flow that would be written so.
func FuzzFlows(f *testing.F) {
	for _, flow := range []Flow{flowOf("udp", host4, attacker4, 53), flowOf("icmp", "", host6, 0), flowOf("", host6, attacker6, 0)} {
		f.Add(flow.key())
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		for _, s := range shapes() {
			flow, ok := s.flow(key)
			if !ok {
				continue
			}
			again, ok := shapeOf(flow).flow(flow.key())
			if shapeOf(flow) != s || !ok || again != flow {
				t.Errorf("%x of %s is %s, and again %s", key, s.set(), flow, again)
			}
		}
	})
}

func TestShapesHaveNames(t *testing.T) {
	names := map[string]bool{}
	for _, s := range shapes() {
		if got, ok := parseShape(s.set()); !ok || got != s {
			t.Errorf("%s is read as %+v", s.set(), got)
		}
		names[s.set()] = true
	}
	if _, ok := parseShape("flow4_source_target_port"); len(names) != len(shapes()) || ok {
		t.Errorf("%d names of %d shapes", len(names), len(shapes()))
	}
}

// drop blocks a flow for ten minutes.
func (f *fixture) drop(flow Flow) string {
	f.Helper()
	_, refused, err := f.DropFlow(f.Context(), f.now, flow, 10*time.Minute, "forged replies", "alert")
	if err != nil {
		f.Fatal(err)
	}
	return refused
}

func (f *fixture) flowsNow() (shown []string) {
	for _, b := range f.Flows(f.now) {
		shown = append(shown, b.Flow.String()+" "+b.State)
	}
	return shown
}

// The far end decides: the name server of ours may be flooded in a stranger's name,
// and a stranger may not be kept from asking it.
func TestFlowsAndTheNeverBlockSet(t *testing.T) {
	f := newFixture(t)
	f.never.sources["own addresses"] = func() ([]exemption, error) {
		return exemptions([]netip.Addr{netip.MustParseAddr(host4)}, ownAddress), nil
	}
	f.now = f.now.Add(time.Minute)
	for _, test := range []struct {
		flow    Flow
		refused string
	}{
		{flowOf("udp", "192.0.2.53", host4, 53), ""},
		{flowOf("tcp", host4, "192.0.2.80", 80), ""}, // this host floods somebody
		{flowOf("tcp", "", "192.0.2.80", 80), ""},    // in whatever name
		{flowOf("tcp", "10.1.2.3", "192.0.2.80", 80), ""},
		{flowOf("udp", "203.0.113.200", host4, 53), "is in 203.0.113.128/25"},
		{flowOf("udp", host4, "203.0.113.200", 53), "is in 203.0.113.128/25"},
		{flowOf("udp", host4, "10.1.2.3", 53), "a private range"},
		{flowOf("tcp", "", host4, 22), "name the source as well"},
		{flowOf("tcp", host4, host4, 22), "talk with itself"},
	} {
		if got := f.drop(test.flow); (got == "") != (test.refused == "") || !strings.Contains(got, test.refused) {
			t.Errorf("%s: refused %q, want %q", test.flow, got, test.refused)
		}
	}
	if n := len(f.flowsNow()); n != 4 || len(f.kernel.flows) != 4 || f.Status(f.now).Flows != 4 {
		t.Errorf("%d flows shown, %d in the kernel", n, len(f.kernel.flows))
	}
	f.never.sources["SSH sessions"] = func() ([]exemption, error) {
		return exemptions([]netip.Addr{netip.MustParseAddr("192.0.2.80")}, "the administrator's SSH session"), nil
	}
	f.now = f.now.Add(time.Minute)
	if _, err := f.Reconcile(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	if got := f.flowsNow(); len(got) != 1 || len(f.kernel.flows) != 1 {
		t.Errorf("an administrator has come from 192.0.2.80, and %q are blocked", got)
	}
}

func TestFlowsEndAndComeBack(t *testing.T) {
	f := newFixture(t)
	flow := flowOf("udp", "192.0.2.53", "198.51.100.7", 53)
	f.drop(flow)
	f.now = f.now.Add(5 * time.Minute)
	f.crash(DefaultPolicy()) // before anything was on disk: the kernel has it
	if got := f.Flows(f.now); len(got) != 1 || got[0].Reason != "found in the kernel" {
		t.Fatalf("after a crash: %+v", got)
	}
	f.drop(flow)
	f.kernel.flows = map[Flow]time.Time{} // somebody has flushed it
	f.restart(DefaultPolicy())
	if got := f.Flows(f.now); len(got) != 1 || got[0].Reason != "forged replies" || got[0].State != Blocked ||
		f.kernel.flows[flow].Sub(f.now) != 10*time.Minute {
		t.Fatalf("after a restart: %+v, in the kernel %v", got, f.kernel.flows)
	}
	if ended, err := f.AllowFlow(t.Context(), f.now, flow); !ended || err != nil || len(f.kernel.flows) != 0 {
		t.Errorf("allowed: %v, %v", ended, err)
	}
	if ended, err := f.AllowFlow(t.Context(), f.now, flow); ended || err != nil {
		t.Errorf("allowed twice: %v, %v", ended, err)
	}
	f.drop(flow)
	f.now = f.now.Add(10 * time.Minute)
	if got := f.flowsNow(); len(got) != 0 {
		t.Errorf("after its time: %q", got)
	}
	if _, err := f.Reconcile(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	f.keep()
	if len(f.keeper.kept) != 0 {
		t.Errorf("still kept: %v", f.keeper.kept)
	}
}

func TestFlushEndsFlows(t *testing.T) {
	f := newFixture(t)
	flow := flowOf("udp", "192.0.2.53", "198.51.100.7", 53)
	f.drop(flow)
	if n, err := f.Flush(t.Context(), f.now); n != 1 || err != nil || len(f.flowsNow()) != 0 {
		t.Errorf("flushed %d, %v; left %q", n, err, f.flowsNow())
	}
	f.drop(flow)
	f.keep()
	if n, err := EndKept(f.keeper, f.now); n != 1 || err != nil || len(f.keeper.kept) != 0 {
		t.Errorf("without a node: %d, %v; kept %v", n, err, f.keeper.kept)
	}
}

func TestFlowsAreBounded(t *testing.T) {
	f := newFixture(t)
	at := func(i int) Flow {
		return Flow{Source: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Target: netip.MustParseAddr("198.51.100.7")}
	}
	for i := range maxFlows {
		if refused := f.drop(at(i)); refused != "" {
			t.Fatal(refused)
		}
	}
	if refused := f.drop(at(maxFlows)); !strings.HasPrefix(refused, "cap:") {
		t.Errorf("one too many: %q", refused)
	}
	if refused := f.drop(at(7)); refused != "" {
		t.Errorf("one that is there: %q", refused)
	}
	f.now = f.now.Add(11 * time.Minute)
	if refused := f.drop(at(maxFlows)); refused != "" || len(f.flows) != 1 {
		t.Errorf("after the others' time: %q, %d flows", refused, len(f.flows))
	}
}
