package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/testnet/authlog"
	"github.com/komondor/komondor/testnet/sshd"
)

// Participant is what runs in one container or namespace: an SSH service that
// writes auth.log, and the product, which reads it.
type Participant struct {
	Name   string
	Dir    string // for the node's data and auth.log
	Binary string // komondor
	// Debian runs the machine's own sshd instead of ours: see debian.
	Debian bool
}

func logFile(dir string) string { return filepath.Join(dir, "auth.log") }

func dial(dir string) *control.Client { return control.Dial(filepath.Join(dir, "control.sock")) }

// Run runs both until ctx ends or one of them does.
func (p Participant) Run(ctx context.Context) error {
	self, err := Address(p.Name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	log, err := authlog.Create(logFile(p.Dir), p.Name)
	if err != nil {
		return err
	}
	defer log.Close()
	work, ctx := errgroup.WithContext(ctx)
	if p.Debian {
		if err := p.debian(ctx, work, self, log); err != nil {
			return err
		}
	} else {
		l, err := net.Listen("tcp", netip.AddrPortFrom(self, 22).String())
		if err != nil {
			return err
		}
		server := sshd.Server{Users: users(), Log: log.Add}
		work.Go(func() error { return server.Serve(ctx, l) })
	}
	work.Go(func() error { return watchKernel(ctx, p.Dir) })
	work.Go(func() error { return p.join(ctx, self) })
	return work.Wait()
}

func (p Participant) join(ctx context.Context, self netip.Addr) error {
	args := []string{"join", "--open", "--config", os.DevNull, "--data", p.Dir, "--block", "nft",
		"--listen", fmt.Sprintf("/ip4/%s/tcp/4001", self), "--read", "sshd=" + logFile(p.Dir)}
	if first := nodeName(1); p.Name == first {
		args = append(args, "--http", netip.AddrPortFrom(self, introductions).String())
	} else {
		known, err := introduction(ctx)
		if err != nil {
			return err
		}
		args = append(args, known)
	}
	return foreground(ctx, exec.Command(p.Binary, args...))
}

// introduction asks the first participant at which address it can be joined.
func introduction(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	first, err := Address(nodeName(1))
	if err != nil {
		return "", err
	}
	url := "http://" + net.JoinHostPort(first.String(), strconv.Itoa(introductions)) + "/status"
	for {
		s, err := status(ctx, url)
		if err == nil && len(s.Node.Addresses) > 0 {
			return s.Node.Addresses[0], nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("introduction by the first participant: %w (%w)", ctx.Err(), err)
		}
	}
}

func status(ctx context.Context, url string) (s control.Status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// foreground runs the command until ctx ends; then it may end in peace. A
// command that ends by itself is an error.
func foreground(ctx context.Context, cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	var ended error
	done := make(chan struct{})
	go func() { ended = cmd.Wait(); close(done) }()
	select {
	case <-done:
		return fmt.Errorf("%s ended: %w", filepath.Base(cmd.Path), errors.Join(ended, errors.New("it was not asked to")))
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-done:
		return nil
	case <-time.After(5 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", cmd.Path), cmd.Process.Kill())
	}
}
