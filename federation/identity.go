package federation

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// LoadIdentity reads the node's key as LoadKey does, and makes it on the first
// start, encrypted where a passphrase is given. The key is the node's name in
// the overlay: a node that loses it comes back as a stranger.
func LoadIdentity(path, passphrase string) (crypto.PrivKey, error) {
	key, err := LoadKey(path, passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		if _, key, err = ed25519.GenerateKey(rand.Reader); err == nil {
			err = SaveKey(path, key, passphrase)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("identity of this node: %w", err)
	}
	return crypto.UnmarshalEd25519PrivateKey(key)
}
