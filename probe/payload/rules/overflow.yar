/*
	What is too long or too odd for the place where it stands.
*/

rule overflow_ftp_argument
{
	meta:
		description = "an argument of FTP that is longer than any login or file name"
		kind = "payload.overflow"
	strings:
		$command = /(^|\n)(USER|PASS|ACCT|CWD|SITE|LIST|NLST|RETR|STOR|DELE|MKD|RMD|RNFR|STAT|SIZE|MDTM) [^\r\n]{600}/ nocase
	condition:
		port == 21 and $command
}

rule overflow_mail_argument
{
	meta:
		description = "a command of SMTP or POP3 that is longer than its protocol allows"
		reference = "RFC 5321, section 4.5.3.1.4: 512 octets; RFC 2449, section 4: 255 octets"
		kind = "payload.overflow"
	strings:
		$smtp = /(^|\n)(HELO|EHLO|VRFY|EXPN) [^\r\n]{600}/ nocase
		$pop3 = /(^|\n)(USER|PASS|APOP|LIST|RETR|DELE|TOP|UIDL) [^\r\n]{400}/ nocase
	condition:
		((port == 25 or port == 587) and $smtp) or (port == 110 and $pop3)
}

rule overflow_http_filler
{
	meta:
		description = "a path that is filled up with one character"
		kind = "payload.overflow"
	strings:
		$request = /(GET|HEAD|POST|PUT|OPTIONS|SEARCH|PROPFIND) \//
	condition:
		$request and uint8(@request + 200) > 0x20
		and for all i in (201..600) : (uint8(@request + i) == uint8(@request + 200))
		and not for any i in (5..200) : (uint8(@request + i) == 0x3F) // a question mark: a form may hold anything
}

rule overflow_http_unicode
{
	meta:
		description = "no-operations in the escapes of a URL that Windows servers once decoded"
		kind = "payload.overflow"
	strings:
		$escapes = "%u9090%u9090" nocase
	condition:
		$escapes
}

rule format_string_store
{
	meta:
		description = "conversions that have printf write to memory, at chosen arguments"
		kind = "payload.overflow"
	strings: // one store alone is four bytes, which compressed and encrypted data has now and then
		$padded_word = /%[0-9]{1,8}[cdux]%[0-9]{1,5}\$n/
		$padded_half = /%[0-9]{1,8}[cdux]%[0-9]{1,5}\$hn/
		$padded_byte = /%[0-9]{1,8}[cdux]%[0-9]{1,5}\$hhn/
		$half = /%[0-9]{1,5}\$hn/
		$byte = /%[0-9]{1,5}\$hhn/
		$escaped = /%25[0-9]{1,5}(\$|%24)h{0,2}n/
	condition:
		any of ($padded*) or $escaped or #half + #byte > 1
}

rule format_string_walk
{
	meta:
		description = "conversions in a row walk over the stack, and one writes to memory"
		kind = "payload.overflow"
	strings:
		$walk1 = "%x%x%x%x"
		$walk2 = "%x.%x.%x.%x"
		$walk3 = "%08x%08x%08x"
		$walk4 = "%08x.%08x.%08x"
		$walk5 = "%p%p%p%p"
		$walk6 = "%p.%p.%p.%p"
		$word = "%n"
		$half = "%hn"
		$byte = "%hhn"
	condition:
		for any of ($walk*) : ($word in (@..@ + 128) or $half in (@..@ + 128) or $byte in (@..@ + 128))
}
