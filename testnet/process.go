// Package testnet runs overlays of many nodes for demonstrations and tests.
package testnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/komondor/komondor/control"
)

// Process is one participant: a real process with a log of its own to watch.
type Process struct {
	Name string
	Log  string // the sshd log that it reads
	dir  string
	args []string
	cmd  *exec.Cmd
	done chan error
	*control.Client
}

// Options of the processes of an overlay.
type Options struct {
	Binary string   // bin/komondor
	Dir    string   // for their data and logs
	Block  string   // nft or observe; with nft every process has a table of its own
	More   []string // further flags of `komondor join`
}

// Start starts n participants that talk over loopback, joining by the first,
// and returns when every one knows all others. Stop must be called for those
// returned, also with an error.
func Start(ctx context.Context, n int, o Options) ([]*Process, error) {
	var all []*Process
	var bootstrap []string
	for i := range n {
		p, err := startOne(fmt.Sprintf("node%d", i+1), o, bootstrap)
		if err != nil {
			return all, err
		}
		all = append(all, p)
		if i == 0 {
			s, err := p.await(ctx, func(s control.Status) bool { return len(s.Node.Addresses) > 0 })
			if err != nil {
				return all, err
			}
			bootstrap = s.Node.Addresses[:1]
		}
	}
	for _, p := range all {
		if _, err := p.await(ctx, func(s control.Status) bool { return s.Peers >= n-1 }); err != nil {
			return all, fmt.Errorf("not all of the %d nodes found each other: %w", n, err)
		}
	}
	return all, nil
}

// startOne starts a participant, whose data are kept in a directory of their own.
func startOne(name string, o Options, bootstrap []string) (*Process, error) {
	p := &Process{Name: name, dir: filepath.Join(o.Dir, name)}
	data := filepath.Join(p.dir, "data")
	p.Log = filepath.Join(p.dir, "auth.log")
	socket := filepath.Join(p.dir, "control.sock")
	p.Client = control.Dial(socket)
	p.args = append([]string{o.Binary, "join", "--open", "--config", os.DevNull,
		"--data", data, "--control", socket, "--listen", "/ip4/127.0.0.1/tcp/0",
		"--read", "sshd=" + p.Log, "--block", o.Block, "--table", "komondor_" + p.Name}, slices.Concat(o.More, bootstrap)...)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.Log, nil, 0o600); err != nil {
		return nil, err
	}
	return p, p.Run()
}

// Run starts the process, or starts it again after Kill or Stop.
func (p *Process) Run() error {
	out, err := os.OpenFile(filepath.Join(p.dir, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan error, 1)
	p.cmd, p.done = cmd, done
	go func() { done <- cmd.Wait() }()
	return nil
}

// Kill ends the process as a power cut would: it gets to do nothing more.
func (p *Process) Kill() { _ = p.end(syscall.SIGKILL) }

// Stop asks the process to end and waits until it has.
func (p *Process) Stop() error {
	if p.cmd == nil {
		return nil
	}
	return p.end(syscall.SIGTERM)
}

func (p *Process) end(s syscall.Signal) error {
	cmd := p.cmd
	p.cmd = nil
	_ = cmd.Process.Signal(s) // it may have ended by itself
	select {
	case err := <-p.done:
		return err
	case <-time.After(10 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", p.Name), cmd.Process.Kill())
	}
}

// Stderr is what the process has printed.
func (p *Process) Stderr() string {
	text, err := os.ReadFile(filepath.Join(p.dir, "stderr"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Await polls the process's status until ok.
func (p *Process) await(ctx context.Context, ok func(control.Status) bool) (control.Status, error) {
	for {
		s, err := p.Status(ctx)
		if err == nil && ok(s) {
			return s, nil
		}
		select {
		case ended := <-p.done:
			p.done <- ended
			return s, fmt.Errorf("%s ended: %w\n%s", p.Name, ended, p.Stderr())
		case <-ctx.Done():
			return s, fmt.Errorf("%s: %w (last answer: %w)\n%s", p.Name, ctx.Err(), err, p.Stderr())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// AwaitBlock waits until the process blocks prefix.
func (p *Process) AwaitBlock(ctx context.Context, prefix string) (control.Block, error) {
	for {
		blocks, err := p.Blocks(ctx)
		if err != nil && ctx.Err() == nil {
			return control.Block{}, err
		}
		for _, b := range blocks {
			if b.Prefix.String() == prefix {
				return b, nil
			}
		}
		select {
		case <-ctx.Done():
			return control.Block{}, fmt.Errorf("%s does not block %s: %w\n%s", p.Name, prefix, ctx.Err(), p.Stderr())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Processor is the processor time that the process has used.
func (p *Process) Processor() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, fields, _ := strings.Cut(string(stat), ") ") // the name may hold anything
	all := strings.Fields(fields)
	if len(all) < 13 {
		return 0, fmt.Errorf("read /proc/%d/stat: %d fields", p.cmd.Process.Pid, len(all))
	}
	var user, system int64
	if _, err := fmt.Sscan(all[11]+" "+all[12], &user, &system); err != nil {
		return 0, fmt.Errorf("read /proc/%d/stat: %w", p.cmd.Process.Pid, err)
	}
	return time.Duration(user+system) * time.Second / 100, nil // USER_HZ, 100 on all that Go runs on
}

// Resident is the process's own resident memory, and that which is only pages of
// mapped files (the store), which the kernel takes back when it needs room. In
// bytes.
func (p *Process) Resident() (own, mapped int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		for name, into := range map[string]*int64{"RssAnon:": &own, "RssFile:": &mapped} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				if _, err := fmt.Sscan(rest, into); err != nil {
					return 0, 0, err
				}
				*into <<= 10 // the kernel counts in KiB
			}
		}
	}
	return own, mapped, nil
}
