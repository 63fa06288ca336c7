// Command demo shows the main job on one screen: seven participants, an SSH worm
// that tries three of them, too little at each to be noticed alone, and a block
// at all seven.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/testnet"
)

const (
	nodes   = 7
	pause   = 250 * time.Millisecond // between two lines of the log at the most
	patient = 20 * time.Second       // for a block, after the last line
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, isolated, err := isolate(ctx)
	if err == nil && !isolated {
		err = demo(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func demo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	binary, err := filepath.Abs("bin/komondor")
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%w: run `make build` first", err)
	}
	worm, err := testnet.LoadWorm()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "komondor-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	mode, why := blocking()
	fmt.Printf("%d participants, processes of their own, talk over loopback; each blocks by %s\n%s\n", nodes, mode, why)
	began := time.Now()
	all, err := testnet.Start(ctx, nodes, testnet.Options{Binary: binary, Dir: dir, Block: mode})
	defer func() {
		for _, p := range all {
			err = errors.Join(err, p.Stop())
		}
	}()
	if err != nil {
		return err
	}
	fmt.Printf("All know each other after %s. A worm at 203.0.113.66 now tries %d of them in turn.\n\n", round(time.Since(began)), testnet.WormHosts)

	s := newScreen(all)
	if mode == "nft" {
		kernel, stop, err := testnet.WatchKernel()
		if err != nil {
			return err
		}
		defer stop()
		s.kernel = kernel
	}
	watching, unwatch := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	for i, p := range all {
		watchers.Go(func() {
			// It ends when unwatch says so; a node that goes away fails the demo elsewhere.
			_ = p.Follow(watching, func(a control.Alert) error { s.alerted(i, a); return nil })
		})
	}
	watchers.Go(func() { s.draw(watching) })
	err = worm.Play(ctx, logs(all), pause, s.wrote)
	if err == nil {
		err = s.settle(ctx, patient)
	}
	unwatch()
	watchers.Wait()
	if err != nil {
		return err
	}
	return s.conclude(ctx)
}

func logs(all []*testnet.Process) []string {
	var paths []string
	for _, p := range all {
		paths = append(paths, p.Log)
	}
	return paths
}

func round(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
