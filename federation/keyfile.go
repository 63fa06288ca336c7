package federation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ErrPassphrase is what LoadKey returns, wrapped, for a file that needs a
// passphrase, or another one.
var ErrPassphrase = errors.New("passphrase")

// SaveKey writes a key as PKCS#8 in PEM, and encrypted with age where a
// passphrase is given. A crash leaves either no file or all of it; a key that is
// there already is never written over.
func SaveKey(path string, key ed25519.PrivateKey, passphrase string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("save key %q: %w: move it away first", path, fs.ErrExist)
	}
	data, err := encodeKey(key, passphrase)
	if err == nil {
		err = writeFile(path, data)
	}
	if err != nil {
		return fmt.Errorf("save key %q: %w", path, err)
	}
	return nil
}

// LoadKey reads what SaveKey wrote. It refuses a file that other users can
// read; a plain file needs no passphrase, and takes any.
func LoadKey(path, passphrase string) (ed25519.PrivateKey, error) {
	data, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	key, err := decodeKey(data, passphrase)
	switch {
	case errors.Is(err, ErrPassphrase):
		return nil, fmt.Errorf("key %q: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("key %q is damaged (%w): restore it from a backup", path, err)
	}
	return key, nil
}

const pemType = "PRIVATE KEY"

func encodeKey(key ed25519.PrivateKey, passphrase string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	plain := pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	if passphrase == "" {
		return plain, nil
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	armored := armor.NewWriter(&file)
	encrypted, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := encrypted.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(encrypted.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

func decodeKey(data []byte, passphrase string) (ed25519.PrivateKey, error) {
	if bytes.HasPrefix(data, []byte(armor.Header)) {
		plain, err := decrypt(data, passphrase)
		if err != nil {
			return nil, err
		}
		data = plain
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one PEM block of a " + pemType)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key of type %T, want Ed25519", key)
	}
	return own, nil
}

func decrypt(data []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, fmt.Errorf("it is encrypted: %w needed", ErrPassphrase)
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(20) // what SaveKey chooses, and some: 1 GiB of memory
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(data)), identity)
	if noMatch := new(age.NoIdentityMatchError); errors.As(err, &noMatch) {
		return nil, fmt.Errorf("wrong %w", ErrPassphrase)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain) // no longer than the file
}

// readPrivate reads a small file that nobody else can read.
func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a file: name a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%q is open to other users (mode %04o): run chmod 600 %s; if they may have read a key in it, replace the key",
			path, mode, path)
	}
	const enough = 64 << 10 // a key takes some hundred bytes, a membership some thousand
	return io.ReadAll(io.LimitReader(file, enough))
}

// writeFile replaces path, mode 0600, so that a crash leaves the former file or
// all of the new one.
func writeFile(path string, data []byte) error {
	folder, name := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	if err := makeFolder(filepath.Clean(folder)); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+strings.TrimPrefix(name, ".")+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once renamed
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// makeFolder is os.MkdirAll for folders that survive a power cut.
func makeFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
