package federation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

// Policy is what all members have agreed on, signed by the root. What a member
// decides for itself can only be stricter.
type Policy struct {
	Federation string `cbor:"1,keyasint" json:"federation"`
	Version    uint64 `cbor:"2,keyasint" json:"version"` // only grows, from 1
	Issued     int64  `cbor:"3,keyasint" json:"issued"`  // Unix seconds
	// Seed is 32 random bytes that members alone know; the salts come from it.
	Seed []byte `cbor:"4,keyasint" json:"seed"`
	// Quorum is how many organisations it takes, where a rule names no other.
	Quorum int             `cbor:"5,keyasint" json:"quorum"`
	Rules  map[string]Rule `cbor:"6,keyasint,omitempty" json:"rules,omitempty"` // by the rule's name
	// Severities are points that differ from the kinds' defaults.
	Severities map[event.Kind]int `cbor:"7,keyasint,omitempty" json:"severities,omitempty"`
	Share      Share              `cbor:"8,keyasint,omitzero" json:"share,omitzero"`
	// Allow is never blocked by any member: addresses, prefixes, host names.
	Allow []string `cbor:"9,keyasint,omitempty" json:"allow,omitempty"`
	// RuleFiles are Sigma correlation rules beside the built-in ones, by the names of their files.
	RuleFiles map[string]string `cbor:"10,keyasint,omitempty" json:"rule_files,omitempty"`
	// Situations has the seven situations judged together, too, at the cost of more reports.
	Situations bool `cbor:"11,keyasint,omitempty" json:"situations,omitempty"`
}

// Rule says how a rule differs from its default. What is 0 stays as it is.
type Rule struct {
	Off         bool `cbor:"1,keyasint,omitempty" json:"off,omitempty"`
	HomeAtLeast int  `cbor:"2,keyasint,omitempty" json:"home_at_least,omitempty"`
	HomeSeconds int  `cbor:"3,keyasint,omitempty" json:"home_seconds,omitempty"`
	AtLeast     int  `cbor:"4,keyasint,omitempty" json:"at_least,omitempty"` // over the federation
	Seconds     int  `cbor:"5,keyasint,omitempty" json:"seconds,omitempty"`
	Quorum      int  `cbor:"6,keyasint,omitempty" json:"quorum,omitempty"`
}

// Share is what members may tell one another.
type Share struct {
	// PrivateSources lets private addresses of attackers leave a host, for labs.
	PrivateSources bool `cbor:"1,keyasint,omitempty" json:"private_sources,omitempty"`
}

// maxRuleFiles leaves room for the rest of the policy in a document.
const maxRuleFiles = 40 << 10

// DefaultQuorum is the quorum of a new federation.
const DefaultQuorum = 2

// Check says what is wrong with the policy, all of it.
func (p Policy) Check() error {
	errs := []error{checkFederation(p.Federation)}
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	between := func(what string, n, from, to int) {
		if n < from || n > to {
			wrong("%s of %d: want %d to %d", what, n, from, to)
		}
	}
	if p.Version == 0 {
		wrong("version 0: versions start from 1")
	}
	if p.Issued < 0 || p.Issued > endOfTime {
		wrong("issued at %d: want Unix seconds", p.Issued)
	}
	if len(p.Seed) != 32 {
		wrong("seed of %d bytes: want 32 random ones", len(p.Seed))
	}
	between("quorum", p.Quorum, 1, 100)
	between("number of rules", len(p.Rules), 0, 200)
	between("number of severities", len(p.Severities), 0, 200)
	between("length of the allow-list", len(p.Allow), 0, 1000)
	for name, r := range p.Rules {
		if err := checkName("rule", name); err != nil {
			errs = append(errs, err)
		}
		for what, n := range map[string]int{"home_at_least": r.HomeAtLeast, "at_least": r.AtLeast} {
			between("rule "+name+": "+what, n, 0, 1_000_000)
		}
		for what, n := range map[string]int{"home_seconds": r.HomeSeconds, "seconds": r.Seconds} {
			if n != 0 {
				between("rule "+name+": "+what, n, 60, 86400)
			}
		}
		between("rule "+name+": quorum", r.Quorum, 0, 100)
	}
	between("number of rule files", len(p.RuleFiles), 0, 100)
	size := 0
	for file, text := range p.RuleFiles {
		if err := checkText(file, 64); err != nil {
			errs = append(errs, err)
		}
		size += len(text)
	}
	between("length of the rule files", size, 0, maxRuleFiles)
	for kind, points := range p.Severities {
		if err := checkText(string(kind), 64); err != nil {
			errs = append(errs, err)
		}
		between(fmt.Sprintf("severity of %.64q", kind), points, -100, 100)
	}
	for _, entry := range p.Allow {
		if err := checkAllowed(entry); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// SignPolicy returns the policy as a document.
func SignPolicy(root ed25519.PrivateKey, p Policy) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("sign policy: %w", err)
	}
	signed, err := policyDomain.sign(root, p)
	if err != nil {
		return nil, fmt.Errorf("sign policy: %w", err)
	}
	return encodeDocument(KindPolicy, signed)
}

// salt is what enters the keys of one day. Whoever does not know the seed cannot
// tell where the evidence of a key will meet.
func (p Policy) salt(date string) []byte {
	sum := sha256.Sum256([]byte("komondor salt 1\x00" + string(p.Seed) + date))
	return sum[:]
}

type policy struct {
	Policy
	form Signed
}

func openPolicy(s Signed, root ed25519.PublicKey, federation string) (policy, error) {
	p := policy{form: s}
	if err := policyDomain.open(root, s, &p.Policy); err != nil {
		return p, fmt.Errorf("policy: %w: only the root signs one", err)
	}
	if p.Federation != federation {
		return p, fmt.Errorf("policy of federation %.64q, this is %q", p.Federation, federation)
	}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("policy %d: %w", p.Version, err)
	}
	return p, nil
}

func (p policy) identity() string { return "" }
func (p policy) version() version { return version{major: p.Version} }
func (p policy) signed() []byte   { return p.form.Body }
func (p policy) ends() int64      { return endOfTime }

func (p policy) valid(now time.Time) error {
	return begun(now, fmt.Sprintf("policy %d", p.Version), p.Issued)
}
