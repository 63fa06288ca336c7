package packet

// truthDifferences says where we count other packets than tshark does, and why.
var truthDifferences = []struct {
	why   string
	files []string
}{
	{
		why: "a packet in VXLAN or Geneve is told of by its inside, where tshark counts the datagram around it too",
		files: []string{
			"PcapPlusPlus-Tests_Packet++Test_PacketExamples_Vxlan2.pcap",
			"suricata-verify-geneve-decoder_input.pcap",
			"suricata-verify-vxlan-non-zero-reserved-fields_input.pcap",
			"tcpdump-geneve-gcp.pcap",
			"tcpdump-gso-ipv4-geneve-ipv4.pcap",
			"tcpdump-gso-ipv6-geneve-ipv4.pcap",
			"tcpdump-gso-ipv6-vxlan-ipv6.pcap",
			"tcpdump-vxlan.pcap",
			"tcpdump-vxlan_port_8472.pcap", // and tshark does not know Linux' old port
			"zeek-doc_advanced_devel_plugins_connkey-vxlan-fivetuple-plugin-src_Traces_vxlan-overlapping-http-get.pcap",
			"zeek-tunnels_geneve-inner-tcp-bad-checksum.pcap",
			"zeek-tunnels_geneve-many-options.pcap",
			"zeek-tunnels_vxlan-encapsulated-http.pcap",
			"zeek-tunnels_vxlan-encapsulated-igmp-v2.pcap",
		},
	},
	{
		why: "GTP, Teredo, AYIYA and MPLS over UDP, Ethernet after an IPv6 header, and Cisco's metadata in GRE are not looked into",
		files: []string{
			"PcapPlusPlus-Tests_Packet++Test_PacketExamples_gtp.pcap",
			"nDPI-teredo.pcap",
			"suricata-verify-decode-teredo-01_input.pcap",
			"tcpdump-ipv6-srh-ipproto-ether.pcap",
			"tcpdump-mpls-over-udp.pcap",
			"tcpdump-various_gre.pcap",
			"zeek-tunnels_ayiya3.pcap",
			"zeek-tunnels_gtp_gtp9_unknown_or_too_short_payload.pcap",
		},
	},
	{
		why: "link types that are not read: 802.11, PPI, PKTAP, ARCNET, FDDI, InfiniBand, Solaris' ipnet",
		files: []string{
			"nDPI-someip_sd_sample.pcap",
			"tcpdump-LINKTYPE_PKTAP.pcap",
			"tcpdump-arcnet-rfc1051-arp-icmp-http.pcap",
			"tcpdump-e1000g.pcap",
			"tcpdump-ipoib.pcap",
			"zeek-dns-inverse-query.pcap",
			"zeek-radiotap.pcap",
			"zeek-wlanmon.pcap",
		},
	},
	{
		why: "link headers that are not read: VN-Tag, Cisco's metadata, Ethernet after MPLS labels, Cisco's HDLC under the link type of the loopback",
		files: []string{
			"PcapPlusPlus-Tests_Packet++Test_PacketExamples_MplsPackets.pcap",
			"PcapPlusPlus-Tests_Packet++Test_PacketExamples_NullLoopback.pcap",
			"PcapPlusPlus-null_loopback.pcap",
			"tcpdump-icmp-rfc8335-missing-bytes.pcap",
			"zeek-vntag_vlan_sandwich_clean.pcap",
		},
	},
	{
		why: "fragments that overlap, or are fragments of fragments: hosts do not agree what they mean, so they are given up",
		files: []string{
			"suricata-verify-ipv6-evasion_ipv6-malformed-fragments-35_frag-35.pcap",
			"suricata-verify-ipv6-evasion_ipv6-malformed-fragments-36_frag-36.pcap",
			"zeek-ipv4_fragmented-1.pcap",
		},
	},
	{
		why: "a first fragment of which a part was not captured: it is handed on as a fragment, and tshark takes it for all there is",
		files: []string{
			"tcpdump-dhcp6_reconf_asan.pcap",
			"tcpdump-esp_truncated.pcap",
		},
	},
	{
		why:   "a packet of IP options that contradict themselves, which no host takes",
		files: []string{"tcpdump-extract_read2_asan.pcap"},
	},
	{
		why:   "an IPv6 packet of length 0, as captures before segmentation by the card have: tshark wants a jumbogram",
		files: []string{"tcpdump-icmpv6-length-zero.pcapng"},
	},
	{
		why:   "an ICMPv6 redirect, which is no error: what it quotes as an option is not looked at",
		files: []string{"zeek-icmp_icmp6-redirect-hdr-opt.pcap"},
	},
	{
		why:   "a packet that claims to be longer than the bound of 256 KiB: the capture was damaged by a fuzzer",
		files: []string{"nDPI-fuzz-2021-10-13.pcap"},
	},
}
