package detect

import "strings"

// difference is where the detectors and the expectation from tshark's counts differ on
// purpose. "no KIND SOURCE" is something expected and not found. An item that ends in "*" stands
// for all that begin like it.
type difference struct {
	reason string
	files  []string
	items  []string
}

func (d *difference) matches(file, item string) bool {
	for _, f := range d.files {
		if !matches(f, file) {
			continue
		}
		for _, pattern := range d.items {
			if matches(pattern, item) {
				return true
			}
		}
	}
	return false
}

func matches(pattern, s string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return s == pattern || open && strings.HasPrefix(s, prefix)
}

var differences = []difference{
	{
		reason: "the resolver passes on what it is asked: it is itself being flooded with the same name, and the flood there is reported",
		files:  []string{"synthetic/bind-birthday-merged.pcap", "synthetic/bind-birthday-probe-resolver.pcap"},
		items:  []string{"no dns.flood.query 10.27.4.53"},
	},
	{
		reason: "720 replies to 500 queries of one client: the counts do not say how many queries went to which server",
		files:  []string{"synthetic/bind-birthday-merged.pcap", "synthetic/bind-birthday-probe-resolver.pcap"},
		items:  []string{"dns.flood.reply 10.27.3.53"},
	},
	{
		reason: "of its 60 packets those with SYN have FIN or RST as well: impossible flags are a stealth scan, whatever ports they go to",
		files:  []string{"synthetic/bogon-and-odd-flags.pcap"},
		items:  []string{"no scan.vertical 203.0.113.155", "scan.stealth 203.0.113.155"},
	},
	{
		reason: "the counts know nothing of addresses that are nobody's, and so name nobody",
		files:  []string{"synthetic/bogon-and-odd-flags.pcap"},
		items:  []string{"spoof.source nobody"},
	},
	{
		reason: "a worm that tries one port of many hosts is a horizontal scan too; the counts have no hosts by UDP source and port",
		files:  []string{"synthetic/slammer-like-*"},
		items:  []string{"scan.horizontal *"},
	},
	{
		reason: "a browser or a peer-to-peer client meets services for the greater part, or tries ports that are no services: hosts and ports alone do not tell",
		files:  []string{"pcap/tryzeek-http.pcap", "pcap/ndpi-gnutella.pcap"},
		items:  []string{"no scan.horizontal 192.168.2.76", "no scan.mixed 10.0.2.15"},
	},
	{
		reason: "136 hosts at nine ports, of which three have 15 hosts and more: it is reported as three horizontal scans instead of a mixed one",
		files:  []string{"pcap/slips-test7-malicious.pcap"},
		items:  []string{"no scan.mixed 192.168.2.16", "scan.horizontal 192.168.2.16"},
	},
	{
		reason: "SSH on port 902, which tshark does not take for it: the client's greeting says so",
		files:  []string{"pcap/slips-test19-ssh-bruteforce.pcap"},
		items:  []string{"service.bruteforce 147.32.80.40"},
	},
	{
		reason: "a session that a side resets in the middle; the counts know resets, not what they end",
		files:  []string{"pcap/slips-test19-ssh-bruteforce.pcap", "lab/probe2/traffic.pcap", "lab/probe3/traffic.pcap"},
		items:  []string{"connection.lost 147.32.80.40", "connection.lost 198.51.100.30"},
	},
}
