package follow

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	appendTo(t, path, "")
	denied := &os.PathError{Op: "open", Path: path, Err: syscall.EACCES}
	for _, tc := range []struct {
		mode os.FileMode
		err  error
		want string // what is added
	}{
		{0o640, denied, "to the group"},
		{0o600, denied, "(on Debian: the group adm)"},
		{0o640, &os.PathError{Op: "open", Path: path, Err: syscall.ENOENT}, ""},
	} {
		must(t, os.Chmod(path, tc.mode))
		got := Explain(path, tc.err)
		added, ok := strings.CutPrefix(got.Error(), tc.err.Error())
		if !ok || !strings.Contains(added, tc.want) || (added == "") != (tc.want == "") || !errors.Is(got, tc.err) {
			t.Errorf("mode %o: %v, want %q added", tc.mode, got, tc.want)
		}
	}
	if err := Explain(path, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
