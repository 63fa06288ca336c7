package overlay

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// LoadIdentity reads the node's Ed25519 key from a file in libp2p's encoding,
// and makes it on the first start. The key is the node's name in the overlay:
// a node that loses it comes back as a stranger.
func LoadIdentity(path string) (crypto.PrivKey, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(path)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w: make it readable for the user that runs the node", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("identity %q is not a file: name a file for the key", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("identity %q is open to other users (mode %04o): run chmod 600 %s; if they may have read it, delete it and start anew", path, mode, path)
	}
	const enough = 1024 // a key takes 68 bytes
	data := make([]byte, min(info.Size(), enough))
	if _, err := file.ReadAt(data, 0); err != nil {
		return nil, fmt.Errorf("identity %q: %w", path, err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err == nil && key.Type() != crypto.Ed25519 {
		err = fmt.Errorf("key type %s, want Ed25519", key.Type())
	}
	if err == nil {
		err = proveKey(key)
	}
	if err != nil {
		return nil, fmt.Errorf("identity %q is damaged (%w): restore it from a backup, or delete it and this node starts as a new one", path, err)
	}
	return key, nil
}

// proveKey shows whether the two halves of a key belong together, which libp2p
// takes on trust.
func proveKey(key crypto.PrivKey) error {
	message := []byte("komondor identity")
	signature, err := key.Sign(message)
	if err != nil {
		return err
	}
	if ok, err := key.GetPublic().Verify(message, signature); err != nil || !ok {
		return errors.New("its private and public halves do not match")
	}
	return nil
}

// createIdentity writes the key so that a crash leaves either no file or all of it.
func createIdentity(path string) (_ crypto.PrivKey, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("create identity %q: %w", path, err)
		}
	}()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, ".identity-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) // fails once renamed
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(folder.Sync(), folder.Close())
}
