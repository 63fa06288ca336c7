/*
	Worms by what they send, each by what its analyses describe.
*/

rule worm_slammer
{
	meta:
		description = "SQL Slammer (Sapphire): one datagram to the SQL Server resolution service"
		reference = "CERT CA-2003-04; D. Moore et al., Inside the Slammer Worm, 2003"
		kind = "worm.payload"
		cve = "CVE-2002-0649"
	strings:
		$request = { 04 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 }
		$address = { 81 F1 03 01 04 9B 81 F1 01 } // xor ecx, 9B040103h; xor ecx, 01010101h: port 1434
		$socket = "sock"
		$send = "send"
	condition:
		port == 1434 and protocol == 17 and $request at 0 and $address and $socket and $send
}

rule worm_code_red
{
	meta:
		description = "Code Red: a request that overruns the indexing service of IIS"
		reference = "CERT CA-2001-19 and CA-2001-23"
		kind = "worm.payload"
		cve = "CVE-2001-0500"
	strings:
		$request = /GET \/[^ ?\r\n]{0,32}\.ida\?(N{100}|X{100})/
	condition:
		$request
}

rule worm_mirai
{
	meta:
		description = "Mirai and its kin ask busybox for an applet that does not exist, to know their own prompt"
		reference = "M. Antonakakis et al., Understanding the Mirai Botnet, USENIX Security 2017"
		kind = "worm.payload"
	strings:
		$applet = /\/bin\/busybox [A-Z]{4,9}\r?\n/
	condition:
		(port == 23 or port == 2323) and $applet
}
