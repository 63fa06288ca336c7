package text

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestAddresses holds what reads addresses beside netip, on some that are nearly right.
func TestAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole := []string{"203.0.113.255", "2001:db8::1:9", "::", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "fe80::1%eth0", "1::8", "::ffff:c000:201", "ABCD:ef01::"}
	right := 0
	for range 1_000_000 {
		b := []byte(whole[r.IntN(len(whole))])
		b = b[r.IntN(2)*r.IntN(len(b)):]
		for range r.IntN(3) {
			at := r.IntN(len(b))
			switch c := "0129f.:::%x"[r.IntN(11)]; r.IntN(3) {
			case 0:
				b[at] = c
			case 1:
				b = append(b[:at:at], append([]byte{c}, b[at:]...)...)
			case 2:
				b = b[:max(at, 1)]
			}
		}
		want, err := netip.ParseAddr(string(b))
		got, ok := AnyAddress(b)
		if ok != (err == nil) || got != want.Unmap().WithZone("") {
			t.Fatalf("%q is read as %v, %v, not %v, %v", b, got, ok, want, err)
		}
		if ok {
			right++
		}
	}
	if right < 100_000 {
		t.Errorf("only %d were addresses", right)
	}
	for _, s := range []string{"203.0.113.255", "2001:db8::1:9", "::ffff:192.0.2.1", "2001:db8::g", "host.example"} {
		b := []byte(s)
		if n := testing.AllocsPerRun(10, func() { AnyAddress(b) }); n > 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}
