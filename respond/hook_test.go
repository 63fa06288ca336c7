package respond

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHook(t *testing.T) {
	path := script(t, `echo "$# $1 [$2] $KOMONDOR_SOURCE $KOMONDOR_PORT $KOMONDOR_UNDO$HOME"; echo "$KOMONDOR_REASON"`)
	u := NewHookUnit([]Hook{{Name: "page", Program: path, Args: []string{"--to", "a b;c"}, Undo: []string{"--off"}}})
	a := replies
	a.Name, a.Hook, a.Reason = RunHook, "page", "evil\x00 $(reboot)\n"
	got, err := u.Do(t.Context(), time.Time{}, a)
	if want := "page has run: 2 --to [a b;c] 192.0.2.53 53 \nevil $(reboot)"; got != want || err != nil {
		t.Errorf("it says %q, %v, want %q", got, err, want)
	}
	if got, err := u.Undo(t.Context(), time.Time{}, a); got != "page has run: 1 --off [] 192.0.2.53 53 1\nevil $(reboot)" || err != nil || !u.CanUndo(a) {
		t.Errorf("undone: %q, %v", got, err)
	}
	if got, err := u.Plan(t.Context(), time.Time{}, a); got != "would run "+path+" --to a b;c" || err != nil {
		t.Errorf("planned: %q, %v", got, err)
	}
}

func TestHookIsBounded(t *testing.T) {
	long := script(t, "head -c 100000 /dev/zero | tr '\\0' x; exit 3")
	slow := script(t, "sleep 60 & echo $!; sleep 60")
	u := NewHookUnit([]Hook{{Name: "long", Program: long}, {Name: "slow", Program: slow}})
	if _, err := u.Do(t.Context(), time.Time{}, Action{Name: RunHook, Hook: "long"}); err == nil ||
		len(err.Error()) > hookOutput+100 || len(err.Error()) < hookOutput || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a long output: %.100v", err)
	}
	u.time = 300 * time.Millisecond
	begin := time.Now()
	_, err := u.Do(t.Context(), time.Time{}, Action{Name: RunHook, Hook: "slow"})
	if err == nil || !strings.Contains(err.Error(), "ended after 300ms") || time.Since(begin) > 20*time.Second {
		t.Fatalf("a slow one: %v after %s", err, time.Since(begin))
	}
	child := strings.TrimSpace(err.Error()[strings.LastIndex(err.Error(), ":")+1:])
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil || strings.HasPrefix(statusOf(status, "State"), "Z") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("its child %s goes on", child)
		}
	}
	for range hookRuns {
		u.runs <- struct{}{}
	}
	if _, err := u.Do(t.Context(), time.Time{}, Action{Name: RunHook, Hook: "slow"}); err == nil || !strings.Contains(err.Error(), "4 run already") {
		t.Errorf("one too many: %v", err)
	}
}

func TestUnsafeHooks(t *testing.T) {
	writable, folder, plain := script(t, ""), script(t, ""), script(t, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(script(t, ""), link); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{writable: 0o777, filepath.Dir(folder): 0o777, plain: 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for program, want := range map[string]string{
		"page": "want an absolute path", "/no/such/program": "no such file", "/usr": "no executable file",
		link: "by a link or by its dots: name /", writable: "everybody may write", folder: "everybody may write", plain: "no executable file",
	} {
		u := NewHookUnit([]Hook{{Name: "page", Program: program}})
		if _, err := u.Do(t.Context(), time.Time{}, Action{Name: RunHook, Hook: "page"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
	if theirs := script(t, ""); os.Getuid() == 0 {
		if err := os.Chown(theirs, 65534, 0); err != nil {
			t.Fatal(err)
		}
		if err := (Hook{Name: "page", Program: theirs}).Check(); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
			t.Errorf("another user's program: %v", err)
		}
	}
	if _, err := NewHookUnit(nil).Plan(t.Context(), time.Time{}, Action{Name: RunHook, Hook: "page"}); err == nil {
		t.Error("a hook that is none")
	}
}

func TestParseHook(t *testing.T) {
	h, err := ParseHook("page=/usr/local/bin/page,--to,root")
	if err != nil || h.Name != "page" || h.Program != "/usr/local/bin/page" || len(h.Args) != 2 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, wrong := range []string{"", "page", "=x", "page="} {
		if _, err := ParseHook(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
