package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/node"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Show the federation's policy, and sign a new one", Args: cobra.NoArgs,
		Example: "  komondor policy show > policy.yaml\n  komondor policy sign policy.yaml --root /media/usb/root.key",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newPolicyShow(), newPolicySign())
	return cmd
}

// terms is what people write in a policy. Version, date and seed are none of
// their business.
type terms struct {
	Quorum     int                        `json:"quorum"`
	Rules      map[string]federation.Rule `json:"rules,omitempty"`
	Severities map[event.Kind]int         `json:"severities,omitempty"`
	Share      federation.Share           `json:"share"`
	Allow      []string                   `json:"allow,omitempty"`
}

func newPolicyShow() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "show", Short: "Print the policy that holds here, as YAML", Args: cobra.NoArgs,
		Example: "  komondor policy show\n  komondor policy show --json | jq .version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var policy federation.Policy
			if err := at.client().Policy(cmd.Context(), &policy); err != nil {
				return err
			}
			policy.Seed = nil // it is the members' secret
			return p.value(cmd.OutOrStdout(), policy, func(w io.Writer) error {
				fmt.Fprintf(w, "# policy %d of federation %s, signed %s\n", policy.Version, policy.Federation, time.Unix(policy.Issued, 0).Local().Format(time.DateTime))
				return writeTerms(w, policy)
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

// writeTerms goes over JSON, which has the field names.
func writeTerms(w io.Writer, p federation.Policy) error {
	data, err := json.Marshal(terms{p.Quorum, p.Rules, p.Severities, p.Share, p.Allow})
	if err != nil {
		return err
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	return yaml.NewEncoder(w).Encode(values)
}

func newPolicySign() *cobra.Command {
	var at place
	var k keys
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign the policy in a YAML file as the next version, and tell everybody", Args: cobra.ExactArgs(1),
		Long: `Signs a policy with the root's key as the version after the present one, and spreads it.
All nodes begin anew under it within seconds. FILE has what ` + "`komondor policy show`" + `
prints:

  quorum: 3                 # organisations that an alert needs
  rules:                    # by name, where they differ from the built-in ones
    ssh-brute-force: {at_least: 30, seconds: 3600, home_at_least: 12, home_seconds: 600}
    vertical-scan: {off: true}
  severities: {ssh.login.failed: 1}
  share: {private_sources: false}
  allow: [198.51.100.0/24, mirror.example.net]   # never blocked by any member

Every node can be stricter for itself (--network, --quorum), none can be laxer.`,
		Example: "  komondor policy sign policy.yaml --root /media/usb/root.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			client := at.client()
			var present federation.Policy
			if err := client.Policy(cmd.Context(), &present); err != nil {
				return err
			}
			next, err := readTerms(args[0], present)
			if err != nil {
				return err
			}
			root, err := k.rootKey(at.data)
			if err != nil {
				return err
			}
			document, err := federation.SignPolicy(root, next)
			if err != nil {
				return err
			}
			if err := client.Submit(cmd.Context(), document); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Policy %d holds, and all members are being told\n", next.Version)
			return nil
		},
	}
	at.register(cmd)
	k.register(cmd)
	return cmd
}

// readTerms makes the next policy of the terms in a file. It refuses what nodes
// could not follow.
func readTerms(path string, present federation.Policy) (next federation.Policy, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return next, fmt.Errorf("policy: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return next, fmt.Errorf("policy %s: %w", path, err)
	}
	data, err := json.Marshal(values)
	if err != nil {
		return next, fmt.Errorf("policy %s: %w", path, err)
	}
	var t terms
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields() // a misspelt one would be left out in silence
	if err := strict.Decode(&t); err != nil {
		return next, fmt.Errorf("policy %s: %w; `komondor policy sign --help` shows all settings", path, err)
	}
	next = federation.Policy{
		Federation: present.Federation, Version: present.Version + 1, Issued: time.Now().Unix(), Seed: present.Seed,
		Quorum: t.Quorum, Rules: t.Rules, Severities: t.Severities, Share: t.Share, Allow: t.Allow,
	}
	if err := next.Check(); err != nil {
		return next, fmt.Errorf("policy %s: %w", path, err)
	}
	if _, err := node.Lawful(next); err != nil {
		return next, fmt.Errorf("policy %s: %w", path, err)
	}
	return next, nil
}
