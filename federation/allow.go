package federation

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// checkAllowed wants an address, a prefix or a host name: one entry that none can
// follow would cost all members the whole list.
func checkAllowed(entry string) error {
	if addr, err := netip.ParseAddr(entry); err == nil {
		if addr.Zone() != "" {
			return fmt.Errorf("allow-list: %.64q: a zone means something on one host only, leave it out", entry)
		}
		return nil
	}
	if p, err := netip.ParsePrefix(entry); err == nil {
		if p.Addr().Is4In6() && p.Bits() < 96 {
			return fmt.Errorf("allow-list: %.64q is wider than all of IPv4: write it as an IPv4 prefix", entry)
		}
		return nil
	}
	if !isHostName(entry) {
		return fmt.Errorf("allow-list: %.64q: want an address, a prefix or a host name", entry)
	}
	return nil
}

var (
	hostLabel = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$`)
	letter    = regexp.MustCompile(`[a-zA-Z]`)
)

// isHostName follows RFC 1123, 2.1; a name of digits only is a mistyped address.
func isHostName(s string) bool {
	if len(s) > 253 || !letter.MatchString(s) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}
