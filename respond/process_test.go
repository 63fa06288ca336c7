package respond

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a copy of the shell under a path of the test's own.
func shell(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "komondor") // other users must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("no shell to copy: ", err)
	}
	path := filepath.Join(dir, "malware")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a script and waits until it says so; wait returns how it ended.
func start(t *testing.T, path, text string, uid uint32) (pid int, wait func() syscall.WaitStatus) {
	t.Helper()
	cmd := exec.Command(path, "-c", text+"; echo ready; read x")
	if uid != uint32(os.Getuid()) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	stdin, err := cmd.StdinPipe() // which stays open, so that it reads for ever
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); stdin.Close() })
	if line, err := bufio.NewReader(io.LimitReader(out, 6)).ReadString('\n'); line != "ready\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	return cmd.Process.Pid, func() syscall.WaitStatus {
		cmd.Wait()
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		return status
	}
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestProcessesEnd(t *testing.T) {
	path, own := shell(t), strconv.Itoa(os.Getuid())
	u := ProcessUnit{Grace: 500 * time.Millisecond}
	a := Action{Name: KillProcess, Executable: path, User: own}
	_, willing := start(t, path, "true", uint32(os.Getuid()))
	_, stubborn := start(t, path, "trap '' TERM", uint32(os.Getuid()))
	bystander, _ := start(t, "/bin/sh", "true", uint32(os.Getuid()))

	if plan, err := u.Plan(t.Context(), time.Time{}, a); err != nil || !strings.HasPrefix(plan, "would end processes ") {
		t.Errorf("plan %q, %v", plan, err)
	}
	did, err := u.Do(t.Context(), time.Time{}, a)
	if err != nil || !strings.HasSuffix(did, ", 1 of them killed") {
		t.Errorf("did %q, %v", did, err)
	}
	if s := willing(); s.Signal() != syscall.SIGTERM {
		t.Errorf("the willing one ended by %v", s.Signal())
	}
	if s := stubborn(); s.Signal() != syscall.SIGKILL {
		t.Errorf("the stubborn one ended by %v", s.Signal())
	}
	if !running(bystander) {
		t.Error("another executable was ended as well")
	}
	if did, err := u.Do(t.Context(), time.Time{}, a); err == nil {
		t.Errorf("once more: %q", did)
	}
}

func TestProcessesOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	path := shell(t)
	const nobody = 65534
	theirs, end := start(t, path, "true", nobody)
	ours, _ := start(t, path, "true", 0)
	if err := os.Remove(path); err != nil { // as malware does
		t.Fatal(err)
	}
	if _, err := (ProcessUnit{}).Do(t.Context(), time.Time{}, Action{Name: KillProcess, Executable: path, User: "nobody"}); err != nil {
		t.Fatal(err)
	}
	if s := end(); s.Signal() != syscall.SIGTERM || !running(ours) {
		t.Errorf("process %d ended by %v; that of root runs: %v", theirs, s.Signal(), running(ours))
	}
}

func TestProcessesThatAreSpared(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	uid, path := strconv.Itoa(os.Getuid()), shell(t)
	init, _ := os.Readlink("/proc/1/exe")
	if init == "" {
		init = "/sbin/init"
	}
	parent, _ := os.Readlink("/proc/" + strconv.Itoa(os.Getppid()) + "/exe")
	spared := ancestors(os.Getpid())
	if len(spared) < 2 || spared[0] != os.Getpid() || spared[1] != os.Getppid() {
		t.Fatalf("ancestors %v", spared)
	}
	for _, executable := range []string{own, init, parent} {
		held, err := ProcessUnit{Limit: 1000}.hold(Action{Name: KillProcess, Executable: executable, User: uid})
		for _, p := range held {
			if p.pid == 1 || p.pid == os.Getpid() || p.pid == os.Getppid() {
				t.Errorf("process %d of %s would be ended", p.pid, executable)
			}
		}
		held.release()
		if err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		start(t, path, "true", uint32(os.Getuid()))
	}
	if _, err := (ProcessUnit{Limit: 2}).Do(t.Context(), time.Time{}, Action{Name: KillProcess, Executable: path, User: uid}); err == nil ||
		!strings.Contains(err.Error(), "3 processes match, and at most 2") {
		t.Errorf("too many: %v", err)
	}
	for _, wrong := range []Action{{Executable: "malware", User: uid}, {Executable: path}, {Executable: path + "/../malware", User: uid}, {Executable: path, User: "no such user"}} {
		if _, err := (ProcessUnit{}).Plan(t.Context(), time.Time{}, wrong); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// FuzzStatus feeds what others can write into: a process chooses its own name.
func FuzzStatus(f *testing.F) {
	f.Add([]byte("Name:\tx\nUid:\t0\t0\t0\t0\nPPid:\t1\n"))
	f.Fuzz(func(t *testing.T, status []byte) {
		if v := statusOf(status, "Uid"); v != strings.TrimSpace(v) || strings.Contains(v, "\n") {
			t.Errorf("%q", v)
		}
	})
}
