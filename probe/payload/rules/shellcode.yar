/*
	Code for x86 processors that shows by its form that it was meant to be run where it should not be:
	it has to find out where it lies, to decode itself, to find its system. Slides of no-operations
	and the name of a shell on the stack are looked for without rules.
*/

rule shellcode_call_into_itself
{
	meta:
		description = "a call into its own last byte: code finds out where it lies (getpc)"
		kind = "payload.overflow"
	strings:
		$call = { E8 FF FF FF FF (C0 | C1 | C2 | C3) 5? }
	condition:
		$call
}

rule shellcode_fpu_decoder
{
	meta:
		description = "fnstenv gives code its address, and a loop decodes what follows"
		kind = "payload.overflow"
	strings:
		$pop_then_count = { D9 74 24 F4 [0-6] (29 | 2B | 31 | 33) C9 [0-6] (B1 | 66 B9 | 83 E9) }
		$count_then_pop = { (29 | 2B | 31 | 33) C9 (B1 | 66 B9 | 83 E9) [1-8] D9 74 24 F4 }
	condition:
		any of them
}

rule shellcode_jump_call_decoder
{
	meta:
		description = "jump, call and pop give code its address, and a loop decodes what follows"
		kind = "payload.overflow"
	strings:
		$loop = { EB ?? (58 | 59 | 5A | 5B | 5D | 5E | 5F) [2-32] (E2 | 75) (E? | F?) [0-4] E8 ?? FF FF FF }
	condition:
		$loop
}

rule shellcode_windows_modules
{
	meta:
		description = "code follows the process environment block to the loaded modules of Windows"
		kind = "payload.overflow"
	strings:
		$x86_any = { 64 A1 30 00 00 00 [0-6] 8B ?? 0C [0-6] 8B ?? (0C | 14 | 1C) }
		$x86_reg = { 64 8B (40 | 49 | 50 | 51 | 52 | 53 | 58 | 5B | 70 | 71 | 72 | 76 | 7F) 30 [0-6] 8B ?? 0C [0-6] 8B ?? (0C | 14 | 1C) }
		$x64_any = { 65 (48 | 4C) 8B (04 | 0C | 14 | 1C | 24 | 34 | 3C) 25 60 00 00 00 [0-6] 8B ?? 18 [0-6] 8B ?? (10 | 20 | 30) }
		$x64_reg = { 65 48 8B (40 | 49 | 50 | 52 | 58 | 5B | 70 | 76) 60 [0-6] 8B ?? 18 [0-6] 8B ?? (10 | 20 | 30) }
	condition:
		any of them
}

rule shellcode_linux_connected_shell
{
	meta:
		description = "a socket is made input and output, in a loop over dup2: a shell over the network"
		kind = "payload.overflow"
	strings:
		$x86_al = { B0 3F CD 80 49 79 F? }
		$x86_push = { 6A 3F 58 CD 80 49 79 F? }
		$x64 = { 6A 21 58 0F 05 75 F? }
	condition:
		any of them
}

rule shellcode_egg_hunter
{
	meta:
		description = "code looks for the rest of itself, a page at a time, by a call of Windows that fails"
		reference = "skape, Safely Searching Process Virtual Address Space, 2004"
		kind = "payload.overflow"
	strings:
		$hunt = { 66 81 CA FF 0F 42 52 6A (02 | 43) 58 CD 2E 3C 05 5A 74 }
	condition:
		$hunt
}
