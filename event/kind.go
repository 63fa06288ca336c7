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
	// IDSSuccess and HTTPExploitSuccess are made of two records by a relation that confirms (docs/correlation.md).
	IDSSuccess Kind = "ids.alert.success" // an attack that was alerted of, and answered as one that succeeds

	HTTPScan           Kind = "http.scan"            // a request for a program or file that is looked for in order to attack it, and is not here
	HTTPExploit        Kind = "http.exploit"         // a request that exploits a known weakness, or tries a class of them
	HTTPExploitSuccess Kind = "http.exploit.success" // a request that exploits a weakness, after which the server's account ran a program
	HTTPLoginFailed    Kind = "http.login.failed"    // a password was refused by the server, by a login form or by an administration panel
	HTTPRefused        Kind = "http.refused"         // the server's configuration or an authorisation keeps the request out
	HTTPMalformed      Kind = "http.malformed"       // no HTTP: another protocol, or a scanner's greeting

	FTPLoginFailed  Kind = "ftp.login.failed"  // a login to a file server was refused
	MailLoginFailed Kind = "mail.login.failed" // a login to SMTP, IMAP or POP3 was refused
	MailRefused     Kind = "mail.refused"      // a message or a recipient was refused: relaying, unknown users, a listed sender
	MailProtocol    Kind = "mail.protocol"     // not a mail client, or one that left before it logged in
	SQLLoginFailed  Kind = "sql.login.failed"  // a login to a database was refused
	VPNLoginFailed  Kind = "vpn.login.failed"  // a login to a VPN, or to a remote desktop or file share, was refused
	SIPLoginFailed  Kind = "sip.login.failed"  // a registration or call was refused by a telephone exchange
	DNSRefused      Kind = "dns.refused"       // a name server refused a query, a transfer or an update

	// HoneypotContact and the two after it come from hosts that have no users: whoever comes there is looking.
	HoneypotContact Kind = "honeypot.contact" // a connection
	HoneypotLogin   Kind = "honeypot.login"   // a login was tried
	HoneypotCommand Kind = "honeypot.command" // a command was run, or a file brought

	ConnectionRefused Kind = "connection.refused" // an attempt at a port where nothing answers, or that a firewall keeps closed
	ConnectionChain   Kind = "connection.chain"   // a session that goes on from here to somewhere else: a stepping stone
	ConnectionLost    Kind = "connection.lost"    // an SSH session broke off without an end

	ScanPort       Kind = "scan.port"       // an IDS saw a port scan or sweep
	ScanHorizontal Kind = "scan.horizontal" // one port of many hosts
	ScanVertical   Kind = "scan.vertical"   // many ports of one host
	ScanMixed      Kind = "scan.mixed"      // many ports of many hosts
	ScanSweep      Kind = "scan.sweep"      // many hosts by ICMP
	ScanStealth    Kind = "scan.stealth"    // flags that no program sends in earnest: FIN, NULL, XMAS

	FloodSYN      Kind = "flood.syn"       // connections begun at a rate, and not completed
	FloodUDP      Kind = "flood.udp"       // datagrams at a rate
	FloodICMP     Kind = "flood.icmp"      // ICMP messages at a rate
	DNSFloodQuery Kind = "dns.flood.query" // queries at a rate, of random names too
	DNSFloodReply Kind = "dns.flood.reply" // replies that nobody asked for, or with wrong ids: the cache is to be poisoned

	SpoofSource Kind = "spoof.source" // a packet from outside whose source cannot be there: our own address, or nobody's
	SpoofEgress Kind = "spoof.egress" // a packet that leaves here with a source that is not ours: a host here takes part in an attack

	BruteForce Kind = "service.bruteforce" // many short sessions with an encrypted service: passwords are being guessed
	Worm       Kind = "worm.payload"       // a datagram or stream that is a known worm's

	PayloadHigh     Kind = "payload.high"     // a YARA rule of high severity matched
	PayloadMedium   Kind = "payload.medium"   // one of medium severity
	PayloadLow      Kind = "payload.low"      // one of low severity
	PayloadOverflow Kind = "payload.overflow" // what overruns a buffer: a slide of no-operations, shell code

	ProcessExec   Kind = "process.exec"   // a program was run that a rule of the host names
	ProcessKilled Kind = "process.killed" // a process that a rule names was killed

	AnomalyRate Kind = "anomaly.rate" // a service or source is used far more than was learned: counts together with other evidence only

	ProbeSilent Kind = "probe.silent" // a sensor that used to write has stopped
	ProbeClock  Kind = "probe.clock"  // a sensor's clock was off, and its times were corrected

	ConsequenceMissing Kind = "consequence.missing" // what had to follow an event did not come (docs/correlation.md)
)

// Kinds returns the list.
func Kinds() []Kind {
	return []Kind{
		SSHLoginFailed, SSHPAMFailed, SSHUserInvalid, SSHUserRefused, SSHTriesExceeded, SSHPenalty,
		SSHPreauthClosed, SSHPreauthTimeout, SSHProtocol, SSHLoginAccepted,
		IDSHigh, IDSMedium, IDSLow, IDSInfo, IDSSuccess,
		HTTPScan, HTTPExploit, HTTPExploitSuccess, HTTPLoginFailed, HTTPRefused, HTTPMalformed,
		FTPLoginFailed, MailLoginFailed, MailRefused, MailProtocol, SQLLoginFailed, VPNLoginFailed, SIPLoginFailed, DNSRefused,
		HoneypotContact, HoneypotLogin, HoneypotCommand,
		ConnectionRefused, ConnectionChain, ConnectionLost,
		ScanPort, ScanHorizontal, ScanVertical, ScanMixed, ScanSweep, ScanStealth,
		FloodSYN, FloodUDP, FloodICMP, DNSFloodQuery, DNSFloodReply, SpoofSource, SpoofEgress,
		BruteForce, Worm, PayloadHigh, PayloadMedium, PayloadLow, PayloadOverflow,
		ProcessExec, ProcessKilled, AnomalyRate, ProbeSilent, ProbeClock, ConsequenceMissing,
	}
}

// Severity returns the kind's default points, which a federation's policy can
// override. The kinds that prove intent most weigh most; an unknown kind has none.
func (k Kind) Severity() int {
	switch k {
	case Worm, IDSSuccess, HTTPExploitSuccess:
		return 10
	case SSHTriesExceeded, IDSHigh, HTTPExploit, HoneypotLogin, HoneypotCommand, BruteForce, PayloadHigh, PayloadOverflow,
		FloodSYN, FloodUDP, FloodICMP, DNSFloodQuery, DNSFloodReply, ProcessExec:
		return 5
	case SSHUserInvalid, SSHUserRefused, SSHPenalty, IDSMedium, HoneypotContact, PayloadMedium,
		ScanHorizontal, ScanVertical, ScanMixed, ScanStealth, SpoofEgress, ProcessKilled, ConsequenceMissing:
		return 3
	case SSHLoginFailed, SSHPreauthTimeout, SSHProtocol, ScanPort, ScanSweep, HTTPScan, HTTPLoginFailed,
		FTPLoginFailed, MailLoginFailed, SQLLoginFailed, VPNLoginFailed, SIPLoginFailed, ConnectionChain:
		return 2
	case SSHPreauthClosed, IDSLow, HTTPRefused, HTTPMalformed, MailRefused, MailProtocol, DNSRefused, ConnectionRefused,
		SpoofSource, PayloadLow, AnomalyRate:
		return 1
	case SSHLoginAccepted:
		return -5
	}
	return 0 // SSHPAMFailed, IDSInfo, ConnectionLost, ProbeSilent, ProbeClock
}

// Selected is the kind under which events that a selection has picked out are counted:
// "ssh.login.failed=root-login". What they are worth is still said by the kind.
func (k Kind) Selected(by string) Kind { return k + Kind(selection+by) }

const selection = "="

// Plain is the kind without what picked its events out.
func (k Kind) Plain() Kind {
	if i := strings.Index(string(k), selection); i >= 0 {
		return k[:i]
	}
	return k
}

// Matches reports whether the kind is the pattern, or lies below a pattern that
// ends in ".*". The pattern "=NAME" is for all kinds that the selection NAME has picked out, which
// no other pattern matches.
func (k Kind) Matches(pattern string) bool {
	if name, ok := strings.CutPrefix(pattern, selection); ok {
		return strings.HasSuffix(string(k), pattern) && name != ""
	}
	if strings.Contains(string(k), selection) {
		return false
	}
	if strings.HasSuffix(pattern, ".*") {
		return strings.HasPrefix(string(k), strings.TrimSuffix(pattern, "*"))
	}
	return string(k) == pattern
}
