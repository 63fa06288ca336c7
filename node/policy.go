package node

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	own := n.config.Rules
	if n.federation == nil {
		if n.config.Situations {
			own = append(correlate.Situations(), own...)
		}
		if n.rules, err = Rules(n.config.Quorum, own...); err == nil {
			n.rules, err = n.rules.With(n.config.Relations...)
		}
		return err
	}
	policy := n.federation.Policy()
	if n.config.Situations && !policy.Situations {
		own = append(correlate.Situations(), own...)
	}
	n.privateSources = policy.Share.PrivateSources
	relations := n.config.Relations
	if agreed, err := Lawful(policy); err == nil {
		var clash []string
		if own, relations, clash = beside(agreed, own, relations); len(clash) > 0 {
			n.config.Log.Error("own rules bear the names of rules of the federation's policy, and are not loaded: rename them", "rules", clash)
		}
	}
	if n.rules, err = Lawful(policy, local(own)...); err != nil {
		n.config.Log.Error("the rules of the federation's policy do not hold here, only its quorum", "policy", policy.Version, "error", err)
		n.rules, err = Rules(quorumOf(policy), local(own)...)
	}
	if err == nil {
		n.rules, err = n.rules.With(relations...)
	}
	return err
}

// beside is what of one's own rules and relations can stand beside those that all have agreed on, and the names of the
// rest: it gives way, or a new policy could not be followed.
func beside(agreed correlate.Rules, own []correlate.Rule, relations []correlate.Relation) (_ []correlate.Rule, _ []correlate.Relation, clash []string) {
	own = slices.DeleteFunc(slices.Clone(own), func(r correlate.Rule) bool {
		_, taken := agreed.Named(r.Name)
		if taken {
			clash = append(clash, r.Name)
		}
		return taken
	})
	relations = slices.DeleteFunc(slices.Clone(relations), func(r correlate.Relation) bool {
		taken := slices.ContainsFunc(agreed.Relations(), func(other correlate.Relation) bool { return other.Name == r.Name })
		if taken {
			clash = append(clash, r.Name)
		}
		return taken
	})
	return own, relations, clash
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

// local has rules judged on own evidence only.
func local(rules []correlate.Rule) []correlate.Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Local = true
	}
	return rules
}

// Lawful returns the built-in rules as a federation's policy has them, those that it adds, and
// one's own. Its error says what of the policy makes no rules.
func Lawful(p federation.Policy, own ...correlate.Rule) (correlate.Rules, error) {
	list, relations := builtin(), correlate.BuiltinRelations()
	if p.Situations {
		list = append(list, correlate.Situations()...)
	}
	for _, file := range slices.Sorted(maps.Keys(p.RuleFiles)) {
		brought, err := correlate.Load(file, []byte(p.RuleFiles[file]))
		if err != nil {
			return correlate.Rules{}, err
		}
		related, err := correlate.LoadRelations(file, []byte(p.RuleFiles[file]))
		if err != nil {
			return correlate.Rules{}, err
		}
		list, relations = append(list, brought...), append(relations, related...)
	}
	for name := range p.Rules {
		rule := slices.ContainsFunc(list, func(r correlate.Rule) bool { return r.Name == name })
		relation := slices.ContainsFunc(relations, func(r correlate.Relation) bool { return r.Name == name })
		if !rule && !relation {
			return correlate.Rules{}, fmt.Errorf("there is no rule %q", name)
		}
	}
	list = slices.DeleteFunc(list, func(r correlate.Rule) bool { return p.Rules[r.Name].Off })
	relations = slices.DeleteFunc(relations, func(r correlate.Relation) bool { return p.Rules[r.Name].Off })
	for i := range list {
		r, change := &list[i], p.Rules[list[i].Name]
		r.Federation.Quorum = quorumOf(p)
		overrideThreshold(&r.Home, change.HomeAtLeast)
		overrideThreshold(&r.Federation, change.AtLeast)
		override(&r.Federation.Quorum, change.Quorum)
		overrideSeconds(&r.Home.Timespan, change.HomeSeconds)
		overrideSeconds(&r.Federation.Timespan, change.Seconds)
	}
	rules, err := correlate.NewRules(append(list, own...), func(k event.Kind) int {
		if points, ok := p.Severities[k]; ok {
			return points
		}
		return k.Severity()
	})
	if err != nil {
		return rules, err
	}
	return rules.With(relations...)
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

// overrideThreshold keeps the proportion of the levels to the threshold.
func overrideThreshold(c *correlate.Condition, by int) {
	if by != 0 {
		*c = c.Threshold(by)
	}
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
