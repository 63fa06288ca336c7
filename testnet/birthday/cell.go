package birthday

import (
	"context"
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

// A Process is a prevention cell: the product, lodged in a host.
type Process struct {
	Host    *Host
	Member  string // its name in the overlay
	control *control.Client
	command *exec.Cmd
	dir     string
}

// Found founds a federation, whose first organisation and node dir is.
func Found(ctx context.Context, komondor, dir, organisation string) error {
	out, err := exec.CommandContext(ctx, komondor, "init", "--data", dir, "--federation", "birthday", "--organisation", organisation).CombinedOutput()
	if err != nil {
		return fmt.Errorf("found a federation: %w: %s", err, out)
	}
	return nil
}

// Invite has the founder's cell admit an organisation, and returns the invitation, which is good once.
func (p *Process) Invite(ctx context.Context, organisation string) (string, error) {
	out, err := exec.CommandContext(ctx, p.command.Path, "invite", "--data", p.dir, "--organisation", organisation).Output()
	if err != nil {
		return "", fmt.Errorf("invite %s: %w", organisation, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Lodge starts komondor at a host, with its files in dir, and waits until it runs. It watches
// the host's device, and takes the arguments beside these: the invitation to a federation, where dir does not say that it
// is a member. It ends by Stop, or with this program.
func Lodge(ctx context.Context, at *Host, komondor, dir string, args ...string) (*Process, error) {
	printed, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer printed.Close()
	args = slices.Concat([]string{"join", "--config", os.DevNull, "--data", dir, "--block", "nft",
		"--listen", fmt.Sprintf("/ip4/%s/tcp/4001", at.Addr), "--read", "live=eth0", "--home", Corporate.String()}, args)
	p := &Process{Host: at, command: exec.Command(komondor, args...), control: control.Dial(filepath.Join(dir, "control.sock")), dir: dir}
	p.command.Stdout, p.command.Stderr = printed, printed
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := at.Do(p.command.Start); err != nil {
		return nil, err
	}
	for {
		s, err := p.control.Status(ctx)
		if err == nil && len(s.Node.Addresses) > 0 {
			p.Member = s.Node.ID
			return p, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			said, _ := os.ReadFile(printed.Name())
			_ = p.Stop() // it may never have run
			return nil, fmt.Errorf("%s does not answer: %w\n%s", at.Name, err, said)
		}
	}
}

// Stop ends the cell.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.command.Wait()
}
