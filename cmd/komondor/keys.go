package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/federation"
)

// keys are the flags by which a command finds the keys that it signs with.
type keys struct {
	root string
	pass passphrase
}

func (k *keys) register(c *cobra.Command) {
	c.Flags().StringVar(&k.root, "root", "", "the `file` of the root's key (default root.key in the data directory)")
	k.pass.register(c)
}

// rootKey reads the root's key.
func (k *keys) rootKey(data string) (ed25519.PrivateKey, error) {
	path := k.root
	if path == "" {
		path = filepath.Join(data, "root.key")
	}
	key, err := k.load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this takes the root's key, and there is none at %s: name it with --root FILE, on the machine that has it", path)
	}
	return key, err
}

// organisationKey reads the key of this node's organisation.
func (k *keys) organisationKey(data string) (ed25519.PrivateKey, error) {
	path := filepath.Join(data, "organisation.key")
	key, err := k.load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this takes the organisation's key, and there is none at %s: run it on the organisation's first node", path)
	}
	return key, err
}

func (k *keys) load(path string) (ed25519.PrivateKey, error) {
	secret, err := k.pass.read()
	if err != nil {
		return nil, err
	}
	return federation.LoadKey(path, secret)
}
