package overlay

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
)

func TestIdentityIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "identity.key")
	first, err := LoadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files left over: %v", left)
	}
	second, err := LoadIdentity(path)
	if err != nil || !second.Equals(first) {
		t.Errorf("another key the second time: %v", err)
	}
}

func TestBadIdentities(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if _, err := LoadIdentity(good); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(good)
	rsa, _, _ := crypto.GenerateECDSAKeyPair(rand.Reader)
	other, _ := crypto.MarshalPrivateKey(rsa)
	flipped := append([]byte(nil), data...)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name string
		data []byte
		mode os.FileMode
		want string
	}{
		{"open to the group", data, 0o640, "chmod 600"},
		{"open to all", data, 0o644, "chmod 600"},
		{"empty", nil, 0o600, "damaged"},
		{"cut", data[:len(data)/2], 0o600, "damaged"},
		{"flipped", flipped, 0o600, "damaged"},
		{"garbage", []byte(strings.Repeat("no key ", 1000)), 0o600, "damaged"},
		{"of another kind", other, 0o600, "want Ed25519"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, c.data, c.mode); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, c.mode) // whatever the umask
		_, err := LoadIdentity(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: %v, want %q and the path", c.name, err, c.want)
		}
		if after, _ := os.ReadFile(path); string(after) != string(c.data) {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	if _, err := LoadIdentity(dir); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := LoadIdentity(filepath.Join(good, "below")); err == nil {
		t.Error("a path below a file was taken")
	}
}
