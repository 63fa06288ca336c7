package block

import (
	"fmt"
	"net/netip"
	"slices"
)

// SetAllow replaces the allow-list. New names count from the next Refresh on.
func (n *Never) SetAllow(entries []string) error {
	var listed []exemption
	var names []string
	for _, entry := range entries {
		p, err := netip.ParsePrefix(entry)
		if addr, aerr := netip.ParseAddr(entry); aerr == nil {
			p, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
		}
		if err != nil {
			if !isHostName(entry) {
				return fmt.Errorf("allow-list: %q is no address, prefix or host name", entry)
			}
			names = append(names, entry)
			continue
		}
		if p, err = canonical(p); err != nil {
			return fmt.Errorf("allow-list: %w", err)
		}
		listed = append(listed, exemption{p, "on the allow-list"})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range n.names {
		if !slices.Contains(names, name) {
			delete(n.parts, "name "+name)
		}
	}
	n.names = names
	n.parts["allow"] = listed
	n.build()
	return nil
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
