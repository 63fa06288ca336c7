package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long processes have to end before they are killed.
const grace = 5 * time.Second

// Down implements Lab: it ends all processes in our namespaces, which are ours
// by that, and removes the namespaces.
func (l Netns) Down(ctx context.Context) error {
	names, err := l.Members(ctx)
	if err != nil || len(names) == 0 {
		return errors.Join(err, os.RemoveAll(l.folder()))
	}
	if err := l.end(ctx, names); err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		path := l.path(name)
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", path, err))
		} // invalid: a file that nothing was mounted on yet
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(append(errs, os.RemoveAll(l.folder()))...)
}

// end ends all processes in the namespaces, and looks twice: one that was just
// started may not have got there yet.
func (l Netns) end(ctx context.Context, names []string) error {
	began := time.Now()
	for signal, none := syscall.SIGTERM, 0; ; {
		left := 0
		for _, name := range names {
			pids, err := processes(l.path(name))
			if err != nil {
				return err
			}
			for _, pid := range pids {
				_ = syscall.Kill(pid, signal) // it may have ended since
			}
			left += len(pids)
		}
		if none++; left > 0 {
			none = 0
		}
		if none == 2 {
			return nil
		}
		if time.Since(began) > grace {
			signal = syscall.SIGKILL
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// processes are those in the network namespace at path.
func processes(path string) ([]int, error) {
	want, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if own, err := os.Stat("/proc/self/ns/net"); err != nil || os.SameFile(own, want) {
		return nil, fmt.Errorf("%s is this program's own network namespace: %w", path, errors.ErrUnsupported)
	}
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range all {
		var pid int
		if _, err := fmt.Sscan(entry.Name(), &pid); err != nil {
			continue
		}
		info, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil && os.SameFile(info, want) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
