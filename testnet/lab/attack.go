package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/testnet/attacker"
)

const (
	patience = 20 * time.Second // for the last block, after the attack
	calm     = 2 * time.Second  // how long nothing must happen after what is no attack
)

// Attack attacks the participants in one pattern and says what came of it. It
// calls tell for every connection. The error is the lab's; what the
// participants did wrong is in the outcome.
func Attack(ctx context.Context, l Lab, nodes []string, p attacker.Pattern, tell func(attacker.Attempt)) (Outcome, error) {
	o := Outcome{Pattern: p.Name, About: p.About, Expected: p.Expect(len(nodes)), Participants: len(nodes), Blocked: []time.Duration{}, missing: p.Missing}
	sources := map[netip.Addr]bool{}
	for _, s := range p.From(Network()) {
		sources[s] = true
	}
	before, err := observeAll(ctx, l, nodes)
	if err != nil {
		return o, err
	}
	for i, b := range before {
		if len(b.from(sources)) > 0 {
			return o, fmt.Errorf("%s has already attacked %s in this test network, and the evidence stands for an hour: `testnet up` makes a fresh one", p.Name, nodes[i])
		}
	}
	attempts, err := strike(ctx, l, p.Name, nodes, tell)
	if err != nil {
		return o, err
	}
	after, err := settle(ctx, l, nodes, o.Expected, sources, attempts[0].At)
	if err != nil {
		return o, err
	}
	o.add(attempts)
	if err := o.judge(nodes, sources, before, after); err != nil {
		return o, err
	}
	// The next pattern shall find everybody free.
	return o, each(nodes, func(_ int, node string) error { return ask(ctx, l, node, nil, "flush") })
}

// strike runs the pattern where the attacker is.
func strike(ctx context.Context, l Lab, pattern string, nodes []string, tell func(attacker.Attempt)) ([]attacker.Attempt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := l.Command(ctx, attackerName, append([]string{"strike", "--pattern", pattern}, nodes...)...)
	// The attacker goes when its standard input ends: a container's processes
	// would go on when who started them is gone.
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	defer leash.Close()
	read, write := io.Pipe()
	cmd.Stdout = write
	failed := make(chan error, 1)
	go func() {
		err := run(cmd)
		failed <- errors.Join(err, write.Close())
	}()
	var attempts []attacker.Attempt
	for decode := json.NewDecoder(read); ; {
		var a attacker.Attempt
		if err := decode.Decode(&a); err != nil {
			cancel()
			read.Close()
			if ended := <-failed; ended != nil || !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("attacker: %w", errors.Join(err, ended))
			}
			break
		}
		attempts = append(attempts, a)
		tell(a)
	}
	if len(attempts) == 0 {
		return nil, errors.New("attacker: it made no connection")
	}
	return attempts, nil
}

// Strike is what the attacker does: it takes the pattern's addresses, attacks
// the nodes, and writes each attempt as a line of JSON.
func Strike(ctx context.Context, p attacker.Pattern, nodes []string, w io.Writer) error {
	if err := takeAddresses(p.From(Network())); err != nil {
		return err
	}
	var hosts []netip.Addr
	for _, node := range nodes {
		a, err := Address(node)
		if err != nil {
			return err
		}
		hosts = append(hosts, a)
	}
	encode := json.NewEncoder(w)
	return attacker.Run(ctx, p.Steps(Network(), hosts), func(a attacker.Attempt) error { return encode.Encode(a) })
}

// takeAddresses adds addresses to the interface that is on the segment.
func takeAddresses(addresses []netip.Addr) error {
	routes, err := netlink.RouteGet(Network().Addr().Next().AsSlice())
	if err != nil || len(routes) == 0 {
		return fmt.Errorf("this is not on the segment %s: %w", Network(), err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		add := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
		if err := netlink.AddrReplace(link, add); err != nil {
			return fmt.Errorf("take the address %s: %w", a, err)
		}
	}
	return nil
}

// settle waits until what is expected has come, or has had its time to, and
// returns what the participants then say.
func settle(ctx context.Context, l Lab, nodes []string, e attacker.Expectation, sources map[netip.Addr]bool, begin time.Time) ([]Observation, error) {
	wait := calm
	if e == attacker.Block {
		wait = patience
	}
	for deadline := time.Now().Add(wait); ; {
		seen, err := observeAll(ctx, l, nodes)
		if err != nil {
			return nil, err
		}
		missing := 0
		for _, o := range seen {
			if _, ok := o.dropped(sources, begin); !ok {
				missing++
			}
		}
		if missing == 0 || time.Now().After(deadline) {
			return seen, nil
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func observeAll(ctx context.Context, l Lab, nodes []string) ([]Observation, error) {
	seen := make([]Observation, len(nodes))
	return seen, each(nodes, func(i int, node string) error { return ask(ctx, l, node, &seen[i], "observe") })
}

func each(nodes []string, do func(i int, node string) error) error {
	var work errgroup.Group
	work.SetLimit(8)
	for i, node := range nodes {
		work.Go(func() error { return do(i, node) })
	}
	return work.Wait()
}
