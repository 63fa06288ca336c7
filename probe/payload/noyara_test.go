//go:build !yara

package payload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rules cannot be asked for in vain.
func TestWithoutLibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yar")
	if err := os.WriteFile(path, []byte("rule a { condition: true }"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, builtin := range []bool{false, true} {
		if s, err := New(Config{Rules: []string{path}, Builtin: builtin}); err == nil || !strings.Contains(err.Error(), "built without libyara: run make build") {
			t.Errorf("built-in %v: scanner %v, error %v", builtin, s, err)
		}
	}
	k := newTalk(t, Config{Builtin: true})
	k.handshake()
	k.say(0, slideAndCode)
	k.scanner.Flush(k.emit)
	if len(k.events) != 1 || Library() != "" {
		t.Errorf("library %q, events %+v", Library(), k.events)
	}
}
