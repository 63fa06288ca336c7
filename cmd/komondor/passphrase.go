package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// passphrase opens encrypted keys. It never stands on the command line, where
// every user of the machine can read it.
type passphrase struct{ file string }

func (p *passphrase) register(c *cobra.Command) {
	c.Flags().StringVar(&p.file, "passphrase-file", "",
		"a `file` with the passphrase of the keys in the data directory; new keys are encrypted with it (default: the environment's KOMONDOR_PASSPHRASE)")
}

func (p *passphrase) read() (string, error) {
	if p.file == "" {
		return os.Getenv("KOMONDOR_PASSPHRASE"), nil
	}
	text, err := os.ReadFile(p.file)
	if err != nil {
		return "", fmt.Errorf("passphrase: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("passphrase: %s is empty", p.file)
	}
	return secret, nil
}
