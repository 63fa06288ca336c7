package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// setRules loads the rules: in a federation as its policy has them. A policy that
// this version cannot follow does not stop the node.
func (n *Node) setRules() (err error) {
	if n.federation == nil {
		n.rules, err = Rules(n.config.Quorum)
		return err
	}
	policy := n.federation.Policy()
	n.privateSources = policy.Share.PrivateSources
	if n.rules, err = Lawful(policy); err != nil {
		n.config.Log.Error("the rules of the federation's policy do not hold here, only its quorum", "policy", policy.Version, "error", err)
		n.rules, err = Rules(quorumOf(policy))
	}
	return err
}

// quorumOf is the policy's quorum, also before one has arrived.
func quorumOf(p federation.Policy) int { return cmp.Or(p.Quorum, federation.DefaultQuorum) }

// sketchSecret keys the hashes of targets and ports that leave this host. It is the
// same for all members and all days, so that a value counts once over midnight.
// Strangers cannot guess it; in an open overlay there is none.
func (n *Node) sketchSecret() []byte {
	if n.federation == nil {
		return nil
	}
	return n.federation.Policy().Seed
}

// Lawful returns the built-in rules as a federation's policy has them. Its error
// says what of the policy makes no rules.
func Lawful(p federation.Policy) (correlate.Rules, error) {
	list := correlate.Builtin()
	for name := range p.Rules {
		if !slices.ContainsFunc(list, func(r correlate.Rule) bool { return r.Name == name }) {
			return correlate.Rules{}, fmt.Errorf("there is no rule %q", name)
		}
	}
	list = slices.DeleteFunc(list, func(r correlate.Rule) bool { return p.Rules[r.Name].Off })
	for i := range list {
		r, change := &list[i], p.Rules[list[i].Name]
		r.Federation.Quorum = quorumOf(p)
		override(&r.Home.AtLeast, change.HomeAtLeast)
		override(&r.Federation.AtLeast, change.AtLeast)
		override(&r.Federation.Quorum, change.Quorum)
		overrideSeconds(&r.Home.Timespan, change.HomeSeconds)
		overrideSeconds(&r.Federation.Timespan, change.Seconds)
	}
	return correlate.NewRules(list, func(k event.Kind) int {
		if points, ok := p.Severities[k]; ok {
			return points
		}
		return k.Severity()
	})
}

// CheckPolicy says what nodes could not follow, before a policy is signed: they
// would go on without it, and say so only in their logs.
func CheckPolicy(p federation.Policy) error {
	_, errRules := Lawful(p)
	_, errAllow := block.NewNever(block.NeverOptions{Allow: p.Allow})
	errs := []error{errRules, errAllow}
	for kind := range p.Severities {
		if !slices.Contains(event.Kinds(), kind) {
			errs = append(errs, fmt.Errorf("severities: there is no kind %q; there are %v", kind, event.Kinds()))
		}
	}
	return errors.Join(errs...)
}

func override(value *int, by int) {
	if by != 0 {
		*value = by
	}
}

func overrideSeconds(value *time.Duration, by int) {
	if by != 0 {
		*value = time.Duration(by) * time.Second
	}
}
