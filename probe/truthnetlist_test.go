package probe

var networkDifferences = []truthDifference{
	{
		reason: "over lo: the host itself",
		files:  []string{"firewall/psad-fwknop_spa_pkt.log"},
		items: []string{
			"lines of 192.168.10.55: 0, not 1",
			"targets of 192.168.10.55: 0, not 1",
			"services of 192.168.10.55: 0, not 1",
		},
	},
	{
		reason: "over lo: the host itself",
		files:  []string{"crowdsec/iptables-scan-multi-port/iptables-scan-multi-port.log"},
		items: []string{
			"iptables-scan-multi_ports of 127.0.0.2: false, not true",
		},
	},
	{
		reason: "neighbour solicitations and IGMP, to groups: how hosts find their neighbours, and nobody who was tried",
		files:  []string{"firewall/psad-ipv6_ping_scan.log"},
		items: []string{
			"lines of 2001:db8:0:f101::2: 0, not 2",
			"targets of 2001:db8:0:f101::2: 0, not 1",
			"services of 2001:db8:0:f101::2: 0, not 1",
		},
	},
	{
		reason: "neighbour solicitations and IGMP, to groups: how hosts find their neighbours, and nobody who was tried",
		files:  []string{"firewall/psad-ipv6_tcp_connect_nmap_default_scan.log"},
		items: []string{
			"lines of 2001:db8:0:f101::2: 1002, not 1009",
			"targets of 2001:db8:0:f101::2: 1, not 2",
			"services of 2001:db8:0:f101::2: 1000, not 1001",
		},
	},
	{
		reason: "neighbour solicitations and IGMP, to groups: how hosts find their neighbours, and nobody who was tried",
		files:  []string{"firewall/psad-syslog_time_fmt1.log"},
		items: []string{
			"lines of 10.0.0.0: 0, not 4",
			"targets of 10.0.0.0: 0, not 1",
			"services of 10.0.0.0: 0, not 1",
		},
	},
	{
		reason: "the truth found no header, because a blank was put before it; awk counts 16 unanswered connections, none to a group",
		files:  []string{"zeek/slips-test10-conn.log"},
		items: []string{
			"state S0: 16, not 0",
		},
	},
	{
		reason: "to groups and to everybody (multicast DNS, SSDP, 255.255.255.255), or of ICMP",
		files:  []string{"zeek/slips-test9-conn.log"},
		items: []string{
			"state S0: 5, not 35",
		},
	},
	{
		reason: "to groups and to everybody (multicast DNS, SSDP, 255.255.255.255), or of ICMP",
		files:  []string{"zeek/vast-m57-conn.log"},
		items: []string{
			"state S0: 1530, not 1855",
		},
	},
	{
		reason: "connections of the honeypot's own (connect, listen): nobody who came",
		files:  []string{"honeypot/dioneae_20k.json.gz"},
		items: []string{
			"records of ftpdatalisten: 0, not 8",
			"records of mirrorc: 0, not 52",
			"records: 20739, not 20799",
			"records of 8.209.105.161: 37, not 46",
			"ports of 8.209.105.161: 3, not 12",
			"records of 128.14.239.38: 9, not 18",
			"ports of 128.14.239.38: 1, not 10",
			"records of 45.142.193.91: 16, not 18",
			"ports of 45.142.193.91: 8, not 10",
			"records of 47.253.47.101: 9, not 18",
			"ports of 47.253.47.101: 1, not 10",
		},
	},
	{
		reason: "records without an attacker: 0.0.0.0, protocol ip",
		files:  []string{"honeypot/honeytrap_5k.json.gz"},
		items: []string{
			"records: 4314, not 4999",
			"records of 0.0.0.0: 0, not 685",
			"ports of 0.0.0.0: 0, not 1",
		},
	},
	{
		reason: "many honest requests: a flood is a matter of rates, which one line does not show",
		files:  []string{"crowdsec/http-dos-bypass-cache/http_dos_bypass_cache.log"},
		items: []string{
			"http-dos-bypass-cache of 127.0.0.4: false, not true",
			"http-dos-bypass-cache of 127.0.0.3: false, not true",
			"http-dos-bypass-cache of 127.0.0.2: false, not true",
			"http-dos-bypass-cache of 127.0.0.1: false, not true",
		},
	},
	{
		reason: "sums for people (rules 980…) of warnings that are evidence already",
		files:  []string{"crowdsec/modsecurity-logs/modsecurity-logs.log"},
		items: []string{
			"modsecurity line 10: , not ::1",
			"modsecurity line 11: , not 192.168.1.1",
		},
	},
	{
		reason: "PSH ACK: a packet of a connection that the filter has forgotten",
		files:  []string{"crowdsec/pf-logs/pf-logs.log"},
		items: []string{
			"pf-logs-drop line 1: , not 10.0.2.2",
		},
	},
	{
		reason: "out: a packet of this side",
		files:  []string{"crowdsec/pf-logs/pf-logs.log"},
		items: []string{
			"pf-logs-drop line 3: , not 10.0.2.15",
		},
	},
	{
		reason: "a message of the program's own among the requests: malformed, and passed over",
		files:  []string{"crowdsec/traefik_json/traefik_json.log"},
		items: []string{
			"error 0: traefik record*",
		},
	},
	{
		reason: "an administrator who logged in",
		files:  []string{"crowdsec/unifi-cef/cef-logs.log"},
		items: []string{
			"unifi-cef line 1: , not 10.72.1.222",
		},
	},
	{
		reason: "WAN_LOCAL-A: the packet was accepted",
		files:  []string{"crowdsec/unifi-logs/unifi-logs.log"},
		items: []string{
			"iptables-logs line 3: , not 192.168.1.2",
		},
	},
	{
		reason: "a login to a honeypot, whether it lets in or not",
		files:  []string{"fail2ban/honeypot/cowrie.log"},
		items: []string{
			"line 4: 137.184.154.9, not ",
		},
	},
	{
		reason: "IN= is empty: a packet of the host's own",
		files:  []string{"prelude/netfilter.log"},
		items: []string{
			"line 10: , not 1.1.1.1",
		},
	},
	{
		reason: "what PortSentry did about the line before",
		files:  []string{"prelude/portsentry.log"},
		items: []string{
			"line 5: , not 195.220.107.15",
			"line 6: , not 2.0.0.3",
		},
	},
	{
		reason: "a packet of no connection: an answer to what somebody else has sent in this name would look like that",
		files:  []string{"prelude/honeyd.log"},
		items: []string{
			"line 3: , not 127.0.0.1",
		},
	},
	{
		reason: "what the honeypot itself does: its own address",
		files:  []string{"prelude/honeyd.log"},
		items: []string{
			"line 4: , not 192.168.1.20",
			"line 5: , not 192.168.1.20",
		},
	},
	{
		reason: "the end of what has been reported when it began",
		files:  []string{"prelude/honeyd.log"},
		items: []string{
			"line 14: , not 11.11.11.11",
		},
	},
	{
		reason: "a favicon, a directory without a page, a program that failed, a client that went away",
		files:  []string{"prelude/httpd.log"},
		items: []string{
			"line 16: , not 127.0.0.1",
			"line 17: , not 127.0.0.1",
			"line 18: , not 127.0.0.1",
			"line 20: , not 127.0.0.1",
			"line 22: , not ::1",
		},
	},
	{
		reason: "IIS, without the #Fields line that says which field is which",
		files:  []string{"ossec/web_rules.log"},
		items: []string{
			"line 1: false, not true",
			"line 5: false, not true",
		},
	},
	{
		reason: "no server writes a day of the month with one digit",
		files:  []string{"ossec/web_rules.log"},
		items: []string{
			"line 6: false, not true",
			"line 7: false, not true",
		},
	},
	{
		reason: "no client in the line",
		files:  []string{"ossec/nginx.log"},
		items: []string{
			"line 9: false, not true",
			"line 10: false, not true",
		},
	},
	{
		reason: "the agent is named OpenVAS: a scanner",
		files:  []string{"ossec/web_rules.log"},
		items: []string{
			"line 9: true, not false",
		},
	},
}
