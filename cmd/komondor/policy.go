package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/node"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Show the federation's policy, and sign a new one", Args: noArgs,
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
	RuleFiles  map[string]string          `json:"rule_files,omitempty"`
	Situations bool                       `json:"situations,omitempty"`
}

func newPolicyShow() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "show", Short: "Print the policy that holds here, as YAML", Args: noArgs,
		Example: "  komondor policy show\n  komondor policy show --json | jq .version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var policy federation.Policy
			if err := at.client().Policy(cmd.Context(), &policy); err != nil {
				return err
			}
			shown := struct { // without the seed, which is the members' secret
				Federation string    `json:"federation"`
				Version    uint64    `json:"version"`
				Issued     time.Time `json:"issued"`
				terms
			}{policy.Federation, policy.Version, time.Unix(policy.Issued, 0).UTC(),
				terms{policy.Quorum, policy.Rules, policy.Severities, policy.Share, policy.Allow, policy.RuleFiles, policy.Situations}}
			return p.value(cmd.OutOrStdout(), shown, func(w io.Writer) error {
				fmt.Fprintf(w, "# policy %d of federation %s, signed %s\n", shown.Version, shown.Federation, shown.Issued.Local().Format(time.DateTime))
				return shown.write(w)
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

// write goes over JSON, which has the field names.
func (t terms) write(w io.Writer) error {
	data, err := json.Marshal(t)
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
	var p printer
	var k keys
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign the policy in a YAML file as the next version, and tell everybody", Args: cobra.ExactArgs(1),
		Long: `Signs a policy with the root's key as the version after the present one, and spreads it.
All nodes begin anew under it within seconds, and while one does, its control socket does
not answer. FILE has what ` + "`komondor policy show`" + ` prints:

  quorum: 3                 # organisations that an alert needs
  rules:                    # by name, where they differ from the built-in ones
    ssh-brute-force: {at_least: 30, seconds: 3600, home_at_least: 12, home_seconds: 600}
    vertical-scan: {off: true}
  severities: {ssh.login.failed: 1}
  share: {private_sources: false}
  allow: [198.51.100.0/24, mirror.example.net]   # never blocked by any member
  rule_files:               # Sigma correlation rules beside the built-in ones (komondor rules check)
    many-services.yml: |
      title: …
  situations: true          # have the seven situations judged together, for more reports (docs/correlation.md)

What FILE leaves out is as without a policy: it is the whole policy, not a change to
the present one. Only the quorum has to be there. Every node can be stricter for itself
(--network, --quorum), none can be laxer.`,
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
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := client.Submit(cmd.Context(), document); err != nil {
				return err
			}
			did := struct {
				Version uint64 `json:"version"`
			}{next.Version}
			for _, warning := range unmet(next, s.Federation.Voting) {
				fmt.Fprintln(cmd.ErrOrStderr(), warning)
			}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("Policy %d holds, and all members are being told", next.Version))
		},
	}
	at.register(cmd)
	p.register(cmd)
	k.register(cmd)
	return cmd
}

// unmet says where a policy asks for more organisations than have a vote.
func unmet(p federation.Policy, voting int) (warnings []string) {
	check := func(what string, quorum int) {
		if quorum > voting {
			warnings = append(warnings, fmt.Sprintf("%s asks for %d organisations, and only %d have a vote: until more do, evidence of others blocks nobody by it.", what, quorum, voting))
		}
	}
	check("The policy", p.Quorum)
	for _, name := range slices.Sorted(maps.Keys(p.Rules)) {
		check("Rule "+name, p.Rules[name].Quorum)
	}
	return warnings
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
	strict.DisallowUnknownFields() // a misspelt setting must not be signed as none
	if err := strict.Decode(&t); err != nil {
		return next, fmt.Errorf("policy %s: %s (`komondor policy sign --help` shows all settings)", path, strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, said := values["quorum"]; !said { // by mistake it would become another one
		return next, fmt.Errorf("policy %s: it does not say the quorum, how many organisations an alert needs; at present that is quorum: %d", path, present.Quorum)
	}
	next = federation.Policy{Federation: present.Federation, Version: present.Version + 1, Issued: time.Now().Unix(), Seed: present.Seed,
		Quorum: t.Quorum, Rules: t.Rules, Severities: t.Severities, Share: t.Share, Allow: t.Allow, RuleFiles: t.RuleFiles, Situations: t.Situations}
	if err := errors.Join(next.Check(), node.CheckPolicy(next)); err != nil {
		return next, fmt.Errorf("policy %s: %w", path, err)
	}
	return next, nil
}
