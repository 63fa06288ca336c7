package block

import (
	"errors"
	"fmt"
	"net/netip"
)

// SetAllow replaces the allow-list: addresses, prefixes and host names. Names
// count from the next Refresh on. Its error names the entry that is none of
// these; the former list stays then.
func (n *Never) SetAllow(entries []string) error {
	listed, err := parseExemptions(entries, "on the allow-list")
	if err != nil {
		return fmt.Errorf("allow-list: %w", err)
	}
	n.setList("allow-list", listed)
	return nil
}

// SetFederation does the same for the list of the federation's policy, of which the
// entries hold that are right: nobody here can mend the others.
func (n *Never) SetFederation(entries []string) error {
	listed, err := parseExemptions(entries, "on the federation's allow-list")
	n.setList("federation's allow-list", listed)
	if err != nil {
		return fmt.Errorf("federation's allow-list: %w", err)
	}
	return nil
}

func (n *Never) setList(list string, listed []exemption) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parts[list] = listed
	n.build()
}

// parseExemptions returns the entries that are right, and what is wrong with the others.
func parseExemptions(entries []string, why string) (listed []exemption, wrong error) {
	for _, entry := range entries {
		e, err := parseExemption(entry, why)
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		listed = append(listed, e)
	}
	return listed, wrong
}

// parseExemption reads an address, a prefix or a host name.
func parseExemption(entry, why string) (exemption, error) {
	p, err := netip.ParsePrefix(entry)
	if addr, aerr := netip.ParseAddr(entry); aerr == nil {
		p, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
	}
	if err != nil {
		if !isHostName(entry) {
			return exemption{}, fmt.Errorf("%q is no address, prefix or host name", entry)
		}
		return exemption{why: why, name: entry}, nil
	}
	p, err = canonical(p)
	return exemption{prefix: p, why: why}, err
}

// isHostName follows RFC 1123, 2.1; a name of digits only is a mistyped address.
func isHostName(s string) bool {
	letters, label := false, 0
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters = true
		case c >= '0' && c <= '9', c == '_':
		case c == '-' && label > 0:
		case c == '.' && label > 0 && s[i-1] != '-':
			label = -1
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return letters && len(s) <= 253 && s[len(s)-1] != '-'
}
