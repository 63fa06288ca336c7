package probe

import "strings"

// truthDifference is where the parsers and a truth file differ on purpose. An item
// that ends in "*" stands for all that begin like it.
type truthDifference struct {
	reason string
	files  []string
	items  []string
}

// find tells which item a difference is listed as, if it is.
func (d *truthDifference) find(file, difference string) (item string, ok bool) {
	for _, f := range d.files {
		for _, item := range d.items {
			if f == file && (item == difference || strings.HasSuffix(item, "*") && strings.HasPrefix(difference, item[:len(item)-1])) {
				return item, true
			}
		}
	}
	return "", false
}

var truthDifferences = []truthDifference{
	{
		reason: "the banner grab ended before the key exchange, where sshd writes no [preauth]: the line before it, of the same process, says so",
		files:  []string{"lab/probe1/auth.iso.log", "lab/probe1/auth.log"},
		items: []string{
			"closed before login: 18, not 17",
		},
	},
	{
		reason: "the banner grab ended before the key exchange, where sshd writes no [preauth]: the line before it, of the same process, says so",
		files:  []string{"lab/probe2/auth.iso.log", "lab/probe2/auth.log", "lab/probe3/auth.iso.log", "lab/probe3/auth.log", "lab/probe4/auth.iso.log", "lab/probe4/auth.log"},
		items: []string{
			"closed before login: 6, not 5",
		},
	},
	{
		reason: "sshd has no method that adds text behind the address of a failed password: what ends the line would be the address",
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 12: , not 127.0.0.1",
			"line 13: , not 127.0.0.1",
			"line 14: , not aaaa:bbbb:cccc:1234::1:1",
		},
	},
	{
		reason: "sshd has no method that adds text behind the address of a failed password: what ends the line would be the address",
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 13: , not 127.0.0.1",
			"line 14: , not 127.0.0.1",
			"line 15: , not aaaa:bbbb:cccc:1234::1:1",
		},
	},
	{
		reason: `the end of the line is sshd's, so this is what a user named "test from 127.0.0.1 port 58946 ssh2:" gives who comes from 10.10.1.2`,
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 17: 10.10.1.2, not 127.0.0.1",
		},
	},
	{
		reason: `the end of the line is sshd's, so this is what a user named "test from 127.0.0.1 port 58946 ssh2:" gives who comes from 10.10.1.2`,
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 18: 10.10.1.2, not 127.0.0.1",
		},
	},
	{
		reason: "the address is on another line only, which sshd writes at LogLevel VERBOSE (versions before 6.8, and patched ones)",
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 28: , not 115.249.163.77",
			"line 49: , not 127.0.0.1",
			"line 51: , not 127.0.0.1",
			"line 53: , not 192.0.2.10",
			"line 54: , not 192.0.2.10",
			"line 69: , not 192.0.2.3",
			"line 70: , not 192.0.2.3",
			"line 72: , not 192.0.2.1",
		},
	},
	{
		reason: "the address is on another line only, which sshd writes at LogLevel VERBOSE (versions before 6.8, and patched ones)",
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 29: , not 115.249.163.77",
			"line 48: , not 127.0.0.1",
			"line 50: , not 127.0.0.1",
			"line 59: , not 192.0.2.3",
			"line 60: , not 192.0.2.3",
			"line 62: , not 192.0.2.1",
		},
	},
	{
		reason: "PAM's line is a copy of the failure, of a kind of its own; and a login that succeeds is credit, whatever went before",
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 38: , not 192.0.2.114",
			"line 39: , not 192.0.2.114",
			"line 43: , not 192.0.2.116",
		},
	},
	{
		reason: "PAM's line is a copy of the failure, of a kind of its own; and a login that succeeds is credit, whatever went before",
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 37: , not 192.0.2.114",
			"line 38: , not 192.0.2.114",
			"line 42: , not 192.0.2.116",
		},
	},
	{
		reason: "evidence here; fail2ban has counted the line before it. Lines of one process count once later on",
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 31: 192.0.2.7, not ",
		},
	},
	{
		reason: "a connection that ended before a login is weak evidence; fail2ban counts it in the modes ddos and aggressive",
		files:  []string{"fail2ban/ssh/sshd-halfA.log"},
		items: []string{
			"line 47: 192.0.2.6, not ",
		},
	},
	{
		reason: "a connection that ended before a login is weak evidence; fail2ban counts it in the modes ddos and aggressive",
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 46: 192.0.2.6, not ",
		},
	},
	{
		reason: `sshd writes no "kernel:[…]" before a message, and what else may write it is not known`,
		files:  []string{"fail2ban/ssh/sshd-journal-halfA.log"},
		items: []string{
			"line 7: , not 205.186.180.55",
			"line 8: , not 192.0.2.10",
			"line 9: , not 2001:db8::1",
		},
	},
	{
		reason: `sshd has no method "XYZ": only keys and hosts add text behind the address`,
		files:  []string{"sshguard/tests-halfA.log"},
		items: []string{
			"line 6: , not 2001:db8::a11:beef:7ac1",
			"line 7: , not 1.2.3.4",
		},
	},
	{
		reason: "PAM's line is a copy of the failure, of a kind of its own",
		files:  []string{"sshguard/tests-halfA.log"},
		items: []string{
			"line 9: , not 6.6.6.6",
		},
	},
	{
		reason: "no process tag: not known to be sshd (socklog, busybox without tag)",
		files:  []string{"sshguard/tests-halfA.log"},
		items: []string{
			"line 20: , not 192.168.2.1",
			"line 21: , not 2001:db8::a11:beef:7ac0",
			"line 104: , not 1.2.3.4",
			"line 105: , not 1.2.3.4",
		},
	},
	{
		reason: "a client that has no way left to log in: weak evidence here, none for SSHGuard",
		files:  []string{"sshguard/tests-halfA.log"},
		items: []string{
			"line 22: 192.168.2.200, not ",
			"line 23: 2001:db8::a11:beef:7ac0, not ",
		},
	},
	{
		reason: "no address in the line",
		files:  []string{"prelude/ssh.log"},
		items: []string{
			"line 11: , not failed",
			"line 8: , not failed",
		},
	},
	{
		reason: "a host name: its address could only be had from the name service, which the attacker may own",
		files:  []string{"prelude/ssh.log"},
		items: []string{
			"line 16: , not failed hostname",
			"line 17: , not failed unknown.anywhere.net",
			"line 18: , not failed unknown.anywhere.net",
		},
	},
	{
		reason: "a scanner's handshake: OSSEC has it in no group of failures",
		files:  []string{"ossec/sshd.log"},
		items: []string{
			"line 15: true, not false",
			"line 16: true, not false",
			"line 30: true, not false",
		},
	},
	{
		reason: "nothing has failed yet: the exchange goes on",
		files:  []string{"ossec/sshd.log"},
		items: []string{
			"line 18: false, not true",
		},
	},
	{
		reason: "no address in the line",
		files:  []string{"ossec/sshd.log"},
		items: []string{
			"line 22: false, not true",
			"line 24: false, not true",
			"line 28: false, not true",
		},
	},
	{
		reason: `"none" is how every client asks what it may try`,
		files:  []string{"ossec/sshd.log"},
		items: []string{
			"line 26: false, not true",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort2-bogon-and-odd-flags.alert_fast", "snort/snort2-bogon-and-odd-flags.alert_full"},
		items: []string{
			"signature (snort_decoder) WARNING: IPV4 packet from 'current net' source address: 0 0 0, not 20 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet from multicast source address: 0 0 0, not 20 1 1",
			"signature BAD-TRAFFIC same SRC/DST: 20 1 1, not 40 2 1",
			"signature LOCAL SYN flood: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 41 1",
			"source 224.0.0.5: 0 0, not 20 1",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort2-ndpi-gnutella.alert_fast"},
		items: []string{
			"signature (snort_decoder) WARNING: ICMP6 type not decoded: 17 1 2, not 18 2 3",
			"signature (snort_decoder) WARNING: IPV4 packet from 'current net' source address: 0 0 0, not 1 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to broadcast dest address: 0 0 0, not 1 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to reserved dest address: 0 0 0, not 1 1 1",
			"signature BAD-TRAFFIC same SRC/DST: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 3 1",
			"source 0000:0000:0000:0000:0000:0000:0000:0000: 0 0, not 2 1",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort2-slips-test7-malicious.alert_fast", "snort/snort2-slips-test7-malicious.alert_full"},
		items: []string{
			"signature (snort_decoder) WARNING: ICMP6 type not decoded: 7 2 1, not 10 3 2",
			"signature (snort_decoder) WARNING: IPV4 packet from 'current net' source address: 0 0 0, not 52 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to broadcast dest address: 0 0 0, not 52 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to reserved dest address: 6 1 6, not 58 2 7",
			"signature BAD-TRAFFIC same SRC/DST: 0 0 0, not 3 1 2",
			"source 0.0.0.0: 0 0, not 156 1",
			"source 0000:0000:0000:0000:0000:0000:0000:0000: 0 0, not 6 2",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort3-bogon-and-odd-flags.alert_fast", "snort/snort3-bogon-and-odd-flags.alert_full", "snort/snort3-bogon-and-odd-flags.alert_json_allfields.txt"},
		items: []string{
			"signature (ipv4) IPv4 packet from 'current net' source address: 0 0 0, not 20 1 1",
			"signature (ipv4) IPv4 packet from multicast source address: 0 0 0, not 20 1 1",
			"source 0.0.0.0: 0 0, not 20 1",
			"source 224.0.0.5: 0 0, not 20 1",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort3-ndpi-gnutella.alert_fast", "snort/snort3-ndpi-gnutella.alert_full"},
		items: []string{
			"signature (ipv4) IPv4 packet from 'current net' source address: 0 0 0, not 1 1 1",
			"signature (ipv4) IPv4 packet to broadcast dest address: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 2 1",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort3-slips-test7-malicious.alert_fast", "snort/snort3-slips-test7-malicious.alert_full"},
		items: []string{
			"signature (ipv4) IPv4 packet from 'current net' source address: 0 0 0, not 52 1 1",
			"signature (ipv4) IPv4 packet to broadcast dest address: 0 0 0, not 52 1 1",
			"source 0.0.0.0: 0 0, not 104 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or ::; and the truth took timestamps of 1970, which Snort 2 writes without a blank behind, for part of the address",
		files:  []string{"snort/snort2-ndpi-gnutella.alert_full"},
		items: []string{
			"signature (snort_decoder) WARNING: ICMP6 type not decoded: 17 1 2, not 18 18 3",
			"signature (snort_decoder) WARNING: IPV4 packet from 'current net' source address: 0 0 0, not 1 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to broadcast dest address: 0 0 0, not 1 1 1",
			"signature (snort_decoder) WARNING: IPV4 packet to reserved dest address: 0 0 0, not 1 1 1",
			"signature (snort_decoder) WARNING: MISC IP option set: 12 1 1, not 12 11 1",
			"signature BAD-TRAFFIC same SRC/DST: 0 0 0, not 1 1 1",
			"signature ICMP Destination Unreachable Host Unreachable: 4 1 1, not 4 4 1",
			"signature SCAN UPnP service discover attempt: 46 2 2, not 46 46 2",
			"source 01/01/-30*",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"snort/snort3-bogon-and-odd-flags.alert_json.txt"},
		items: []string{
			"signature 116:408: 0 0 0, not 20 1 1",
			"signature 116:410: 0 0 0, not 20 1 1",
			"source 0.0.0.0: 0 0, not 20 1",
			"source 224.0.0.5: 0 0, not 20 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-ndpi-gnutella.alert_json.txt"},
		items: []string{
			"signature 112:1: 0 0 0, not 6 1 1",
			"signature 116:408: 0 0 0, not 1 1 1",
			"signature 116:414: 0 0 0, not 1 1 1",
			"signature 116:424: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 2 1",
			"source : 0 0, not 7 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-slips-test19-ssh-bruteforce.alert_json.txt"},
		items: []string{
			"signature 116:6: 0 0 0, not 47 1 1",
			"source : 0 0, not 47 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-slips-test7-malicious.alert_json.txt"},
		items: []string{
			"signature 112:1: 0 0 0, not 8 1 1",
			"signature 116:408: 0 0 0, not 52 1 1",
			"signature 116:414: 0 0 0, not 52 1 1",
			"source 0.0.0.0: 0 0, not 104 1",
			"source : 0 0, not 8 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-ndpi-gnutella.alert_json_allfields.txt"},
		items: []string{
			"signature (arp_spoof) unicast ARP request: 0 0 0, not 6 1 1",
			"signature (eth) truncated ethernet header: 0 0 0, not 1 1 1",
			"signature (ipv4) IPv4 packet from 'current net' source address: 0 0 0, not 1 1 1",
			"signature (ipv4) IPv4 packet to broadcast dest address: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 2 1",
			"source : 0 0, not 7 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-slips-test19-ssh-bruteforce.alert_json_allfields.txt"},
		items: []string{
			"signature (ipv4) IPv4 datagram length > captured length: 0 0 0, not 47 1 1",
			"source : 0 0, not 47 1",
		},
	},
	{
		reason: "the source is 0.0.0.0 or :: (names nobody), or the alert is on ARP or on a broken packet and has none",
		files:  []string{"snort/snort3-slips-test7-malicious.alert_json_allfields.txt"},
		items: []string{
			"signature (arp_spoof) unicast ARP request: 0 0 0, not 8 1 1",
			"signature (ipv4) IPv4 packet from 'current net' source address: 0 0 0, not 52 1 1",
			"signature (ipv4) IPv4 packet to broadcast dest address: 0 0 0, not 52 1 1",
			"source 0.0.0.0: 0 0, not 104 1",
			"source : 0 0, not 8 1",
		},
	},
	{
		reason: "the source is 0.0.0.0, :: or a multicast address, which names nobody who could be blamed",
		files:  []string{"suricata/wrccdc-2017-alerts.json"},
		items: []string{
			"signature ET POLICY Possible Kali Linux hostname in DHCP Request Packet: 0 0 0, not 1 1 1",
			"source 0.0.0.0: 0 0, not 1 1",
		},
	},
	{
		reason: "a request that the server's configuration keeps out is evidence, if weak, whatever module says so and whatever referer follows",
		files:  []string{"fail2ban/web/apache-auth.log"},
		items:  []string{"line 39: 192.0.2.1, not "},
	},
	{
		reason: "mail, mail_this_entry, pmapper and mails are no names of programs with a past, but what anybody's link may be named; the names on our list are compared whole",
		files:  []string{"fail2ban/web/apache-botsearch.log"},
		items: []string{
			"line 5: , not 115.249.248.145", "line 7: , not 46.23.77.174", "line 8: , not 46.23.77.174",
			"line 9: , not 46.23.77.174", "line 15: , not 183.60.244.49",
		},
	},
	{
		reason: "kept out by the server's configuration: evidence, if weak",
		files:  []string{"fail2ban/web/apache-botsearch.log"},
		items:  []string{"line 19: 122.49.201.178, not "},
	},
	{
		reason: "a missing home directory is a mistyped address",
		files:  []string{"fail2ban/web/apache-nohome.log"},
		items:  []string{"line 1: , not 1.2.3.4", "line 2: , not 192.0.2.12"},
	},
	{
		reason: "an empty request is a browser that opened a connection ahead and did not use it",
		files:  []string{"fail2ban/web/nginx-bad-request.log"},
		items:  []string{"line 1: , not 12.34.56.78", "line 2: , not 12.34.56.78"},
	},
	{
		reason: "two clients are named in the line, and a user can name himself like that",
		files:  []string{"fail2ban/web/nginx-http-auth.log"},
		items:  []string{"line 6: , not 192.0.2.2"},
	},
	{
		reason: "there is no timestamp before the host: no syslog file looks like that",
		files:  []string{"fail2ban/web/nginx-http-auth.log"},
		items:  []string{"line 8: , not 192.0.2.3", "line 9: , not 192.0.2.120"},
	},
}
