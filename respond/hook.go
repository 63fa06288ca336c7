package respond

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Hook is a program of the operator's. Its arguments are fixed: what happened is told
// in environment variables, so that nothing an attacker wrote is ever an argument.
type Hook struct {
	Name    string   `json:"name"`
	Program string   `json:"program"` // an absolute path
	Args    []string `json:"args,omitempty"`
	// Undo are the arguments by which the program undoes what it did; nil: it cannot.
	Undo []string `json:"undo,omitempty"`
}

// ParseHook reads NAME=PROGRAM,ARGUMENT,...
func ParseHook(s string) (Hook, error) {
	name, command, ok := strings.Cut(s, "=")
	words := strings.Split(command, ",")
	if !ok || name == "" || words[0] == "" {
		return Hook{}, fmt.Errorf("hook %q: want NAME=PROGRAM,ARGUMENT,..., for instance page=/usr/local/bin/page,--urgent", s)
	}
	return Hook{Name: name, Program: words[0], Args: words[1:]}, nil
}

// Check says why the program must not be run: that others may write it, or replace it,
// or that it is none.
func (h Hook) Check() error {
	if !filepath.IsAbs(h.Program) {
		return fmt.Errorf("hook %s: %q: want an absolute path", h.Name, h.Program)
	}
	path, err := filepath.EvalSymlinks(h.Program)
	if err != nil {
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("hook %s: %w", h.Name, err)
	case path != h.Program: // who may turn a link chooses what is run, after any look at it
		return fmt.Errorf("hook %s: %s leads to another place by a link or by its dots: name %s", h.Name, h.Program, path)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("hook %s: %s is no executable file", h.Name, path)
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("hook %s: %w", h.Name, err)
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return fmt.Errorf("hook %s: %s belongs to user %d: chown it to root, or to who runs the node", h.Name, path, owner.Uid)
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
			return fmt.Errorf("hook %s: everybody may write %s: chmod o-w %s", h.Name, path, path)
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

const (
	hookTime   = 30 * time.Second // a run may take
	hookOutput = 4 << 10          // of which so much is kept
	hookRuns   = 4                // at a time
	hookFact   = 1 << 10          // bytes of one fact
)

// HookUnit runs the operator's programs (RunHook), a few at a time, each for half a
// minute at most.
type HookUnit struct {
	hooks []Hook
	time  time.Duration
	runs  chan struct{}
}

// NewHookUnit returns a unit of these hooks.
func NewHookUnit(hooks []Hook) *HookUnit {
	return &HookUnit{hooks: hooks, time: hookTime, runs: make(chan struct{}, hookRuns)}
}

func (u *HookUnit) hook(a Action) (Hook, error) {
	i := slices.IndexFunc(u.hooks, func(h Hook) bool { return h.Name == a.Hook })
	if i < 0 {
		return Hook{}, refuse("there is no hook %q: name it with --hook %s=PROGRAM,ARGUMENT,...", a.Hook, a.Hook)
	}
	if err := u.hooks[i].Check(); err != nil {
		return Hook{}, Refusal(err.Error())
	}
	return u.hooks[i], nil
}

// Plan implements Unit.
func (u *HookUnit) Plan(_ context.Context, _ time.Time, a Action) (string, error) {
	h, err := u.hook(a)
	return "would run " + strings.Join(append([]string{h.Program}, h.Args...), " "), err
}

// Do implements Unit.
func (u *HookUnit) Do(ctx context.Context, _ time.Time, a Action) (string, error) {
	h, err := u.hook(a)
	if err != nil {
		return "", err
	}
	return u.run(ctx, h, h.Args, facts(a))
}

// CanUndo implements Undoer.
func (u *HookUnit) CanUndo(a Action) bool {
	h, err := u.hook(a)
	return err == nil && h.Undo != nil
}

// Undo implements Undoer.
func (u *HookUnit) Undo(ctx context.Context, _ time.Time, a Action) (string, error) {
	h, err := u.hook(a)
	if err != nil {
		return "", err
	}
	return u.run(ctx, h, h.Undo, append(facts(a), "KOMONDOR_UNDO=1"))
}

func (u *HookUnit) run(ctx context.Context, h Hook, args, env []string) (string, error) {
	select {
	case u.runs <- struct{}{}:
		defer func() { <-u.runs }()
	default:
		return "", fmt.Errorf("hook %s not run: %d run already", h.Name, hookRuns)
	}
	ctx, cancel := context.WithTimeout(ctx, u.time)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.Program, args...)
	cmd.Dir, cmd.Env = "/", env
	output := &head{room: hookOutput}
	cmd.Stdout, cmd.Stderr = output, output
	// Its children end with it, and none that holds on to its output holds us up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	said := ""
	if text := strings.TrimSpace(string(output.bytes)); text != "" {
		said = ": " + text
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("hook %s was ended after %s%s", h.Name, u.time, said)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("hook %s: %w%s", h.Name, err, said)
	}
	return h.Name + " has run" + said, nil
}

// facts are an action as environment variables. No value has control characters.
func facts(a Action) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	add := func(name, value string) {
		value = strings.ToValidUTF8(value[:min(len(value), hookFact)], "")
		env = append(env, "KOMONDOR_"+name+"="+strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, value))
	}
	address := func(addr netip.Addr) string {
		if !addr.IsValid() {
			return ""
		}
		return addr.String()
	}
	add("ACTION", a.Name)
	add("HOOK", a.Hook)
	add("REASON", a.Reason)
	add("ALERT", a.Alert)
	add("SCENARIO", a.Scenario)
	add("SOURCE", address(a.Source))
	add("TARGET", address(a.Target))
	add("PROTOCOL", a.Protocol)
	add("PORT", strconv.Itoa(int(a.Port)))
	add("EXECUTABLE", a.Executable)
	add("USER", a.User)
	return env
}

// head keeps the beginning of what is written to it.
type head struct {
	bytes []byte
	room  int
}

func (h *head) Write(b []byte) (int, error) {
	h.bytes = append(h.bytes, b[:min(len(b), h.room-len(h.bytes))]...)
	return len(b), nil
}
