package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/node"
)

func newInit() *cobra.Command {
	var data, name, organisation string
	var p printer
	var pass passphrase
	cmd := &cobra.Command{
		Use: "init", Short: "Found a federation: its root, its first organisation and its first node", Args: noArgs,
		Long: `Founds a federation. The data directory then holds the root's key (root.key), with
which organisations are admitted and revoked and the policy is signed; the first
organisation's key, with which its nodes are certified; and the first node's.

Take root.key to a medium that is not connected, with a second copy: whoever has
it is the federation, and without it no organisation can be admitted or revoked.
Commands that need it take --root FILE.`,
		Example: `  komondor init --federation example-net --organisation uni-a --data /var/lib/komondor
  komondor join --data /var/lib/komondor --read sshd=/var/log/auth.log
  komondor invite --organisation uni-b --data /var/lib/komondor
  komondor join komondor-invitation-... --data /var/lib/komondor --read sshd=/var/log/auth.log   # there`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" || organisation == "" {
				return usageError{fmt.Errorf("say --federation NAME and --organisation NAME, for instance --federation example-net --organisation uni-a")}
			}
			secret, err := pass.read()
			if err != nil {
				return err
			}
			fingerprint, err := node.Found(data, name, organisation, secret)
			if err != nil {
				return err
			}
			did := struct {
				Federation   string `json:"federation"`
				Organisation string `json:"organisation"`
				Fingerprint  string `json:"fingerprint"` // of the root's key
				Root         string `json:"root"`        // the file with the root's key
			}{name, organisation, fingerprint, filepath.Join(data, "root.key")}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("Federation %s is founded. Its root has the fingerprint\n  %s\n"+
				"Run the first node: komondor join --data %s\nInvite the others while it runs: komondor invite --organisation NAME --data %s\n"+
				"Then take %s offline, and keep a second copy of it.", name, fingerprint, data, data, did.Root))
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", defaultData(), "the first node's data `directory`")
	f.StringVar(&name, "federation", "", "the federation's `name`: lower-case letters, digits, - _ .")
	f.StringVar(&organisation, "organisation", "", "the first organisation's `name`")
	pass.register(cmd)
	p.register(cmd)
	return cmd
}
