package event

import "strings"

// Kind is a dotted name from the documented list below, from the general to the
// particular: rules match whole kinds or a prefix of them ("ssh.*").
type Kind string

// The kinds that today's probes produce.
const (
	SSHLoginFailed    Kind = "ssh.login.failed"    // a password, key or keyboard-interactive login was refused
	SSHPAMFailed      Kind = "ssh.pam.failed"      // PAM's own line on a failed login: the same attempt once more
	SSHUserInvalid    Kind = "ssh.user.invalid"    // a login to an account that does not exist
	SSHUserRefused    Kind = "ssh.user.refused"    // an account that policy keeps out (AllowUsers, root login, locked)
	SSHTriesExceeded  Kind = "ssh.tries.exceeded"  // one connection used up its login attempts
	SSHPenalty        Kind = "ssh.penalty"         // sshd refuses the source (PerSourcePenalties of OpenSSH 9.8, hosts.deny)
	SSHPreauthClosed  Kind = "ssh.preauth.closed"  // the connection ended before a login
	SSHPreauthTimeout Kind = "ssh.preauth.timeout" // LoginGraceTime ran out
	SSHProtocol       Kind = "ssh.protocol"        // not an SSH client, or a scanner's handshake
	SSHLoginAccepted  Kind = "ssh.login.accepted"  // a login succeeded: credit

	IDSHigh   Kind = "ids.alert.high"   // Snort or Suricata priority 1
	IDSMedium Kind = "ids.alert.medium" // priority 2
	IDSLow    Kind = "ids.alert.low"    // priority 3
	IDSInfo   Kind = "ids.alert.info"   // priority 4 and lower

	ScanPort Kind = "scan.port" // an IDS saw a port scan or sweep

	HTTPScan        Kind = "http.scan"         // a request for a program or file that is looked for in order to attack it, and is not here
	HTTPExploit     Kind = "http.exploit"      // a request that exploits a known weakness, or tries a class of them
	HTTPLoginFailed Kind = "http.login.failed" // a password was refused by the server or by a login form
	HTTPRefused     Kind = "http.refused"      // the server's configuration or an authorisation keeps the request out
	HTTPMalformed   Kind = "http.malformed"    // no HTTP: another protocol, or a scanner's greeting

	FTPLoginFailed Kind = "ftp.login.failed" // a login to a file server was refused
)

// Kinds returns the list.
func Kinds() []Kind {
	return []Kind{
		SSHLoginFailed, SSHPAMFailed, SSHUserInvalid, SSHUserRefused, SSHTriesExceeded, SSHPenalty,
		SSHPreauthClosed, SSHPreauthTimeout, SSHProtocol, SSHLoginAccepted,
		IDSHigh, IDSMedium, IDSLow, IDSInfo, ScanPort,
		HTTPScan, HTTPExploit, HTTPLoginFailed, HTTPRefused, HTTPMalformed, FTPLoginFailed,
	}
}

// Severity returns the kind's default points, which a federation's policy can
// override. The kinds that prove intent most weigh most; an unknown kind has none.
func (k Kind) Severity() int {
	switch k {
	case SSHTriesExceeded, IDSHigh, HTTPExploit:
		return 5
	case SSHUserInvalid, SSHUserRefused, SSHPenalty, IDSMedium:
		return 3
	case SSHLoginFailed, SSHPreauthTimeout, SSHProtocol, ScanPort, HTTPScan, HTTPLoginFailed, FTPLoginFailed:
		return 2
	case SSHPreauthClosed, IDSLow, HTTPRefused, HTTPMalformed:
		return 1
	case SSHLoginAccepted:
		return -5
	}
	return 0 // SSHPAMFailed, IDSInfo
}

// Matches reports whether the kind is the pattern, or lies below a pattern that
// ends in ".*".
func (k Kind) Matches(pattern string) bool {
	if strings.HasSuffix(pattern, ".*") {
		return strings.HasPrefix(string(k), strings.TrimSuffix(pattern, "*"))
	}
	return string(k) == pattern
}
