package federation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestIdentityIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "identity")
	first, err := LoadIdentity(path, "")
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
	for _, passphrase := range []string{"", "not needed"} {
		if again, err := LoadIdentity(path, passphrase); err != nil || !again.Equals(first) {
			t.Errorf("passphrase %q: another key the second time: %v", passphrase, err)
		}
	}
}

func TestEncryptedKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	key := newKey(t)
	if err := SaveKey(path, key, "correct horse"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN AGE ENCRYPTED FILE-----")) || bytes.Contains(data, key.Seed()) {
		t.Errorf("not an age file:\n%s", data)
	}
	if got, err := LoadKey(path, "correct horse"); err != nil || !got.Equal(key) {
		t.Errorf("with the passphrase: %v", err)
	}
	for passphrase, want := range map[string]string{"": "needed", "wrong horse": "wrong"} {
		if _, err := LoadKey(path, passphrase); !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), want) {
			t.Errorf("passphrase %q: %v, want ErrPassphrase and %q", passphrase, err, want)
		}
	}
	if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path, "correct horse"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("half of the file: %v", err)
	}
}

func TestNoKeyIsWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	key := newKey(t)
	if err := SaveKey(path, key, ""); err != nil {
		t.Fatal(err)
	}
	if err := SaveKey(path, newKey(t), ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key: %v, want ErrExist", err)
	}
	if got, err := LoadKey(path, ""); err != nil || !got.Equal(key) {
		t.Errorf("the first key is gone: %v", err)
	}
	if _, err := LoadKey(path+"2", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want ErrNotExist", err)
	}
}

func TestBadKeyFiles(t *testing.T) {
	dir := t.TempDir()
	data, err := encodeKey(newKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		mode os.FileMode
		want string
	}{
		{"open to the group", data, 0o640, "chmod 600"},
		{"open to all", data, 0o604, "chmod 600"},
		{"empty", nil, 0o600, "damaged"},
		{"cut", data[:len(data)/2], 0o600, "damaged"},
		{"two keys", append(bytes.Clone(data), data...), 0o600, "damaged"},
		{"garbage", []byte(strings.Repeat("no key ", 20000)), 0o600, "damaged"},
		{"of another kind", pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), 0o600, "want Ed25519"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, c.data, c.mode); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, c.mode) // whatever the umask
		for _, passphrase := range []string{"", "some"} {
			_, err := LoadIdentity(path, passphrase)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) {
				t.Errorf("%s: %v, want %q and the path", c.name, err, c.want)
			}
		}
		if after, _ := os.ReadFile(path); string(after) != string(c.data) {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "empty", "below")} {
		if _, err := LoadIdentity(path, ""); err == nil {
			t.Errorf("%s was taken for a key", path)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	plain, err := encodeKey(ed25519.NewKeyFromSeed(make([]byte, 32)), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := decodeKey(data, "")
		if err == nil && len(key) != ed25519.PrivateKeySize {
			t.Errorf("a key of %d bytes", len(key))
		}
	})
}
