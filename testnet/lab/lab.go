package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Lab is a place where the members of the test network run.
type Lab interface {
	// Name is "docker" or "netns"; About says where the members run, in words.
	Name() string
	About() string
	// Up starts the participants and the attacker; what it leaves behind when it
	// fails, Down removes.
	Up(ctx context.Context, nodes int) error
	// Down removes all that Up makes, whatever state it is in.
	Down(ctx context.Context) error
	// Members lists who runs, none if the lab is down.
	Members(ctx context.Context) ([]string, error)
	// Command is this program with other arguments, run where the member is.
	Command(ctx context.Context, member string, args ...string) *exec.Cmd
	// Printed is the end of what the member has printed.
	Printed(ctx context.Context, member string) string
}

// ErrDown says that no test network runs.
var ErrDown = errors.New("no test network is up: run `testnet up`")

// Running returns the lab that is up, and its participants in their order.
func Running(ctx context.Context, labs []Lab) (Lab, []string, error) {
	for _, l := range labs {
		names, err := l.Members(ctx)
		if err != nil {
			return nil, nil, err
		}
		nodes := slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "node") })
		if len(nodes) > 0 {
			slices.SortFunc(nodes, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
			return l, nodes, nil
		}
	}
	return nil, nil, ErrDown
}

// ask runs the program in a member and reads the JSON that it prints.
func ask(ctx context.Context, l Lab, member string, into any, args ...string) error {
	out, err := output(l.Command(ctx, member, args...))
	if err != nil {
		return fmt.Errorf("%s: %w", member, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: answer of %s: %w", member, args[0], err)
	}
	return nil
}

// run runs a command; what it prints to stderr is its error.
func run(cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// output is run, and what the command prints.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	err := run(cmd)
	return stdout.Bytes(), err
}

// Await waits until every participant answers and knows all others, and calls
// ready for each that does.
func Await(ctx context.Context, l Lab, nodes int, ready func(member string, took time.Duration)) error {
	began := time.Now()
	for n := range nodes {
		name := nodeName(n + 1)
		for {
			var seen Observation
			err := ask(ctx, l, name, &seen, "observe")
			if err == nil && seen.Status.Peers >= nodes-1 {
				break
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				if err == nil {
					err = fmt.Errorf("%s knows %d of %d others", name, seen.Status.Peers, nodes-1)
				}
				return fmt.Errorf("%w: %w\n%s", ctx.Err(), err, l.Printed(context.WithoutCancel(ctx), name))
			}
		}
		ready(name, time.Since(began))
	}
	return nil
}
