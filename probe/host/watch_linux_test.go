package host

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/event"
)

func copyOf(t *testing.T, program, as string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("there is no %s: %v", program, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(as, text, 0o755); err != nil {
		t.Skip(err)
	}
}

// A program is run and another one killed on this machine, where the kernel tells.
func TestWatch(t *testing.T) {
	folder := t.TempDir()
	idle := filepath.Join(folder, "watched-idle")
	copyOf(t, "sleep", idle)
	rules, err := Load("test", []byte("- {name: from the folder, exe: ['"+folder+"/*'], args: ['* 3[0-9]*', '*watched-idle 30*']}\n"+
		"- {name: its end, killed: true, exe: ['"+folder+"/*']}\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := make(chan event.Event, 64)
	done := make(chan error, 1)
	go func() {
		done <- Watch(ctx, rules, func(s string) { t.Log(s) }, func(Stats) {}, func(e event.Event) error { told <- e; return nil })
	}()
	// The kernel tells from some moment on, which it does not say: programs are run until one is seen.
	var run *exec.Cmd
	var seen event.Event
	for tries := 0; seen.Kind == ""; tries++ {
		if run != nil {
			_ = run.Process.Kill()
			_ = run.Wait()
		}
		run = exec.Command(idle, "30")
		if err := run.Start(); err != nil {
			t.Skipf("no program can be run here: %v", err)
		}
		select {
		case seen = <-told:
		case err := <-done:
			_ = run.Process.Kill()
			_ = run.Wait()
			t.Skipf("not permitted here: %v", err)
		case <-time.After(500 * time.Millisecond):
			if tries == 20 {
				t.Fatal("a program that was run is not seen")
			}
		}
	}
	if err := run.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	for seen.Kind == event.ProcessExec {
		if seen.Source.Addr.IsValid() || seen.Severity != 5 || !strings.Contains(seen.Detail, "from the folder: "+idle+": "+idle+" 30, by ") || seen.User == "" {
			t.Errorf("%+v", seen)
		}
		select {
		case seen = <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("the end of a process is not seen")
		}
	}
	if seen.Kind != event.ProcessKilled || !strings.HasPrefix(seen.Detail, "its end: "+idle+", by SIGKILL") {
		t.Errorf("%+v", seen)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// datagram is a message as the kernel writes it.
func datagram(words ...uint32) []byte {
	b := make([]byte, headers)
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func TestMessages(t *testing.T) {
	root := t.TempDir()
	for pid, exe := range map[string]string{"7": "/tmp/x", "8": "/usr/bin/dash", "9": "/usr/sbin/auditd", "10": "/usr/sbin/nginx", "11": "/opt/gone (deleted)"} {
		folder := filepath.Join(root, pid)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(exe, filepath.Join(folder, "exe")); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cmdline": exe + "\x00-x\x00a b\x00", "status": "Name:\tUid:\\n0\nPPid:\t10\nUid:\t4000000000\t0\t0\t0\n"} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	full := errors.New("full")
	var told []event.Event
	var fail error
	var notices []string
	w := &watcher{rules: Builtin(), watched: make(map[uint32]Process), table: table{root: root, names: make(map[uint32][]byte)},
		emit:   func(e event.Event) error { told = append(told, e); return fail },
		notice: func(s string) { notices = append(notices, s) }}
	if err := w.table.running(w.guard); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct {
		name    string
		message []byte
		want    string // in the detail; empty: no event
	}{
		{"a program in a scratch directory", datagram(whatExec, 0, 0, 0, 7, 7), "write to: /tmp/x: /tmp/x -x a b, by /usr/sbin/nginx"},
		{"a shell of a server", datagram(whatExec, 0, 0, 0, 8, 8), "a server has started a shell: "},
		{"a file without a name", datagram(whatExec, 0, 0, 0, 11, 11), "whose file has no name"},
		{"one that has ended", datagram(whatExec, 0, 0, 0, 99, 99), ""},
		{"a thread's end", datagram(whatExit, 0, 0, 0, 77, 9, 9, 17), ""},
		{"an end by a signal", datagram(whatExit, 0, 0, 0, 9, 9, 9, 17), "was killed: /usr/sbin/auditd, by SIGKILL"},
		{"once", datagram(whatExit, 0, 0, 0, 9, 9, 9, 17), ""},
		{"an end that does not matter", datagram(whatExit, 0, 0, 0, 8, 8, 9, 17), ""},
		{"a fork", datagram(1, 0, 0, 0, 7, 7, 8, 8), ""},
		{"cut off", datagram(whatExec, 0, 0, 0, 7), ""},
		{"empty", nil, ""},
	} {
		told = nil
		if err := w.take(now, c.message); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if (len(told) == 1) != (c.want != "") || len(told) == 1 && (!strings.Contains(told[0].Detail, c.want) || told[0].User != "4000000000") {
			t.Errorf("%s: %+v, want %q", c.name, told, c.want)
		}
	}
	w.account(now)
	w.account(now.Add(time.Second))
	w.account(now.Add(time.Hour)) // nothing new
	if len(notices) != 1 || !strings.Contains(notices[0], "1 had ended already") {
		t.Errorf("notices %q", notices)
	}
	if want := (Stats{Programs: 4, Ended: 1}); w.stats != want {
		t.Errorf("counted %+v, want %+v", w.stats, want)
	}
	fail = full
	if err := w.take(now, datagram(whatExec, 0, 0, 0, 7, 7)); !errors.Is(err, full) {
		t.Errorf("what emit says comes back as %v", err)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(datagram(whatExec, 0, 0, 0, 7, 7))
	f.Add(datagram(whatExit, 0, 0, 0, 9, 9, 9, 17))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &watcher{rules: Builtin(), watched: map[uint32]Process{9: {Killed: true, Exe: []byte("/usr/sbin/auditd")}}, table: table{root: t.TempDir()},
			emit: func(event.Event) error { return nil }}
		if err := w.take(time.Now(), b); err != nil {
			t.Error(err)
		}
	})
}

// TestWatchElsewhere: where the kernel does not tell, in a container for instance, that is an error.
func TestWatchElsewhere(t *testing.T) {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- nil
			return
		}
		failed <- Watch(t.Context(), Builtin(), nil, func(Stats) {}, func(event.Event) error { return nil })
	}()
	switch err := <-failed; {
	case err == nil:
		t.Skip("no network namespace of one's own here")
	case !strings.Contains(err.Error(), "process connector"):
		t.Errorf("error %v", err)
	}
}
