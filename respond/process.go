package respond

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessUnit ends the processes that run an executable as a user (KillProcess): it
// asks them to end, and kills those that have not after Grace. It holds each by a
// pidfd and looks again once it does, so that none is taken for another that got its
// number. It never ends process 1, itself or its ancestors; the kernel's threads have
// no executable.
type ProcessUnit struct {
	// Limit is how many processes an action may end, 5 where zero; where more would
	// match, it ends none.
	Limit int
	// Grace is how long they may take to end by themselves, 5 seconds where zero.
	Grace time.Duration
}

// suspect is who is to be ended.
type suspect struct {
	executable string
	uid        string
}

func suspectOf(a Action) (suspect, error) {
	switch {
	case !filepath.IsAbs(a.Executable) || filepath.Clean(a.Executable) != a.Executable:
		return suspect{}, refuse("%s: name the executable by its absolute path, for instance /usr/bin/example", a)
	case a.User == "":
		return suspect{}, refuse("%s: name the user that it runs as", a)
	}
	if _, err := strconv.ParseUint(a.User, 10, 32); err == nil {
		return suspect{a.Executable, a.User}, nil
	}
	u, err := user.Lookup(a.User)
	if err != nil {
		return suspect{}, refuse("%s: %v", a, err)
	}
	return suspect{a.Executable, u.Uid}, nil
}

// Plan implements Unit.
func (u ProcessUnit) Plan(_ context.Context, _ time.Time, a Action) (string, error) {
	held, err := u.hold(a)
	defer held.release()
	return "would end " + held.String(), err
}

// Do implements Unit.
func (u ProcessUnit) Do(ctx context.Context, _ time.Time, a Action) (string, error) {
	held, err := u.hold(a)
	defer held.release()
	if err != nil {
		return "", err
	}
	if len(held) == 0 {
		return "", refuse("no process runs %s as %s: /proc/PID/exe and the user have to be these", a.Executable, a.User)
	}
	failed := held.signal(unix.SIGTERM)
	left := held.await(ctx, cmp.Or(u.Grace, 5*time.Second))
	killed := len(left)
	failed = errors.Join(failed, left.signal(unix.SIGKILL))
	if left = left.await(ctx, time.Second); len(left) > 0 {
		return "", errors.Join(fmt.Errorf("%s did not end", left), failed)
	}
	return fmt.Sprintf("ended %s, %d of them killed", held, killed), nil
}

// hold takes a pidfd of every process that matches; release gives them back.
func (u ProcessUnit) hold(a Action) (held processes, err error) {
	who, err := suspectOf(a)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	spared := ancestors(os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 || slices.Contains(spared, pid) || !who.runs(pid) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		switch {
		case errors.Is(err, unix.ESRCH):
			continue // it has ended
		case err != nil:
			held.release()
			return nil, os.NewSyscallError("pidfd_open", err)
		}
		// What runs under that number is what we hold only while that has not ended.
		p := process{pid, fd}
		if !who.runs(pid) || p.ended() {
			unix.Close(fd)
			continue
		}
		held = append(held, p)
	}
	if limit := cmp.Or(u.Limit, 5); len(held) > limit {
		defer held.release()
		return nil, refuse("%s: %d processes match, and at most %d are ended at a time: end them by hand", a, len(held), limit)
	}
	return held, nil
}

// deleted is what the kernel appends to the path of an executable whose file is gone.
const deleted = " (deleted)"

// runs tells whether a process is the suspect now.
func (s suspect) runs(pid int) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	executable, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil || executable != s.executable && executable != s.executable+deleted {
		return false
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return false
	}
	uids := strings.Fields(statusOf(status, "Uid"))
	return len(uids) == 4 && uids[0] == s.uid && uids[1] == s.uid // real and effective
}

// statusOf reads a line of /proc/*/status, empty where there is none.
func statusOf(status []byte, name string) string {
	for line := range bytes.Lines(status) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ancestors are a process, its parent, and so on.
func ancestors(pid int) (all []int) {
	for pid > 0 && len(all) < 1000 {
		all = append(all, pid)
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			break
		}
		pid, _ = strconv.Atoi(statusOf(status, "PPid"))
	}
	return all
}

// process is one that is held: its pidfd names it and no other, also when it has ended.
type process struct{ pid, fd int }

func (p process) ended() bool {
	return errors.Is(unix.PidfdSendSignal(p.fd, 0, nil, 0), unix.ESRCH)
}

type processes []process

func (all processes) String() string {
	if len(all) == 0 {
		return "no process"
	}
	var pids []string
	for _, p := range all {
		pids = append(pids, strconv.Itoa(p.pid))
	}
	if len(all) == 1 {
		return "process " + pids[0]
	}
	return "processes " + strings.Join(pids, ", ")
}

func (all processes) release() {
	for _, p := range all {
		unix.Close(p.fd)
	}
}

func (all processes) signal(s unix.Signal) (failed error) {
	for _, p := range all {
		if err := unix.PidfdSendSignal(p.fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			failed = errors.Join(failed, fmt.Errorf("%s to process %d: %w", unix.SignalName(s), p.pid, err))
		}
	}
	return failed
}

// await waits until all have ended, at most so long, and returns who has not. When ctx
// ends it waits no more.
func (all processes) await(ctx context.Context, most time.Duration) (left processes) {
	end := time.Now().Add(most)
	for left = all; ; {
		fds := make([]unix.PollFd, len(left))
		for i, p := range left {
			fds[i] = unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN} // readable when it has ended
		}
		const step = 50 // ms
		if _, err := unix.Poll(fds, step); err != nil && !errors.Is(err, unix.EINTR) {
			return left
		}
		var running processes
		for i, p := range left {
			if fds[i].Revents&unix.POLLIN == 0 {
				running = append(running, p)
			}
		}
		if left = running; len(left) == 0 || ctx.Err() != nil || !time.Now().Before(end) {
			return left
		}
	}
}
