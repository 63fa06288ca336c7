package lab

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/testnet/attacker"
)

var losses = flag.Int("losses", 0, "how many networks with lossy wires to attack, each of which takes half a minute")

// TestLossyWires has the kernels of seven participants drop every fifth packet of
// the overlay, acknowledgements too, and attacks the network. TCP sends again what
// is lost, so blocks come later and none is missing. The attacker's own
// connections lose nothing: how fast it is would decide how fast it is seen.
func TestLossyWires(t *testing.T) {
	if *losses == 0 {
		t.Skip("takes minutes: -losses 10")
	}
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Skip(err)
	}
	const nodes = 7
	l := newTestNetns(t)
	for _, percent := range []int{0, 20} {
		var took []time.Duration
		blocks := 0
		for range *losses {
			o := attackLossy(t, l, nft, nodes, percent)
			took, blocks = append(took, o.Blocked...), blocks+len(o.Blocked)
			for _, f := range o.Failures {
				t.Errorf("%d %% loss: %s", percent, f)
			}
		}
		if len(took) == 0 {
			t.Fatalf("%d %% loss: nobody blocks", percent)
		}
		slices.Sort(took)
		// Blocks are by the clock of this machine, which others may use, too: the figures are shown, not held to.
		t.Logf("fault | %d namespaces that drop %d %% of the overlay's packets: participants that block | all | %d of %d", nodes, percent, blocks, nodes**losses)
		t.Logf("fault | the same, %d %% dropped: from the line that crosses the threshold to the element in the kernel, p50 and p99 | 10 s | %s, %s",
			percent, took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
	}
}

// attackLossy makes a network, makes it lossy, attacks it and takes it down.
func attackLossy(t *testing.T, l Netns, nft string, nodes, percent int) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	defer func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := l.Up(ctx, nodes); err != nil {
		t.Fatal(err)
	}
	if err := Await(ctx, l, nodes, func(string, time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	_, names, err := Running(ctx, []Lab{l})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := l.drop(ctx, nft, name, percent); err != nil {
			t.Fatal(err)
		}
	}
	o, err := Attack(ctx, l, names, attacker.Patterns()[0], func(attacker.Attempt) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if dropped, err := l.dropped(ctx, nft, name); err != nil || (dropped == 0) != (percent == 0) {
			t.Errorf("%s has dropped %d packets of the overlay (%v)", name, dropped, err)
		}
	}
	return o
}

// drop has the member's kernel lose a share of what comes to its overlay.
func (l Netns) drop(ctx context.Context, nft, member string, percent int) error {
	rules := fmt.Sprintf(`table inet loss {
	counter lost {}
	chain input {
		type filter hook input priority -200;
		tcp dport 4001 numgen random mod 100 < %[1]d counter name lost drop
		tcp sport 4001 numgen random mod 100 < %[1]d counter name lost drop
	}
}`, percent)
	cmd := exec.CommandContext(ctx, l.Program, "enter", l.namespace(member), nft, "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	return run(cmd)
}

// dropped is how many packets it has lost so.
func (l Netns) dropped(ctx context.Context, nft, member string) (packets int, err error) {
	out, err := output(exec.CommandContext(ctx, l.Program, "enter", l.namespace(member), nft, "list", "counter", "inet", "loss", "lost"))
	if err != nil {
		return 0, err
	}
	i := bytes.Index(out, []byte("packets"))
	if i < 0 {
		return 0, fmt.Errorf("nft says %q", out)
	}
	_, err = fmt.Sscanf(string(out[i:]), "packets %d", &packets)
	return packets, err
}
