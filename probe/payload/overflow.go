package payload

import (
	"bytes"

	"github.com/komondor/komondor/event"
)

// This is the sensor for buffer overflows of the paper (García et al., section VI.A: "a sensor to
// detect buffer overflows on the packet payload"), as far as it needs no rules. It is here and not
// among the rules so that builds without libyara have it too.

const (
	slideLength = 48 // longer than compilers fill up with between functions
	entryLength = 64 // bytes behind a slide in which its code has to begin
)

var slideClass = &class{kind: event.PayloadOverflow, vulnerability: "overflow:slide", detail: "a slide of no-operations with code behind it"}
var shellClass = &class{kind: event.PayloadOverflow, vulnerability: "overflow:shell", detail: "code that runs a shell"}

// noOperation tells which bytes do no harm to code that comes after them: NOP, exchanges with
// the accumulator, flags. Those that are printable do as well (INC and DEC are letters), and are left out,
// because so is text.
var noOperation = func() (table [256]bool) {
	for _, b := range []byte("\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9b\x9e\x9f\xd6\xf5\xf8\xf9\xfc\xfd") {
		table[b] = true
	}
	return table
}()

// entries are what shell code begins with on x86: it finds out where it is, clears
// registers, calls the kernel.
var entries = [][]byte{
	[]byte("\xcd\x80"), []byte("\x0f\x05"), []byte("\x0f\x34"), // int 80h, syscall, sysenter
	[]byte("\xe8\xff\xff\xff\xff"), []byte("\xe8\x00\x00\x00\x00"), // call the next instruction
	[]byte("\xd9\x74\x24\xf4"),                                                     // fnstenv [esp-12]
	[]byte("\x31\xc0"), []byte("\x31\xdb"), []byte("\x31\xc9"), []byte("\x31\xd2"), // xor a register with itself
	[]byte("\x33\xc0"), []byte("\x33\xdb"), []byte("\x33\xc9"), []byte("\x33\xd2"), // the same, as other assemblers write it
	[]byte("\x29\xc0"), []byte("\x29\xc9"), []byte("\x2b\xc9"), []byte("\x64\xa1\x30\x00"), // sub; the process's environment block
}

// shells are how the name of a shell is brought to a stack.
var shells = [][]byte{
	[]byte("h//shh/bin"), []byte("hn/shh//bi"), []byte("h/sh\x00h/bin"), // push "//sh", push "/bin"
	[]byte("\xb8/bin//sh"), []byte("\xbb/bin//sh"), []byte("\xbf/bin//sh"), // mov rax, "/bin//sh"
	[]byte("\xb8/bin/sh\x00"), []byte("\xbb/bin/sh\x00"), []byte("\xbf/bin/sh\x00"),
	[]byte("\xb8//bin/sh"), []byte("\xbb//bin/sh"), []byte("\xbf//bin/sh"),
}

// shellName is in all of them.
var shellName = []byte("bi")

// overflow looks for what overruns a buffer and what it wants to run there; nil if there is nothing.
func overflow(data []byte) *class {
	if slide(data) {
		return slideClass
	}
	for at := 0; ; {
		n := bytes.Index(data[at:], shellName)
		if n < 0 {
			return nil
		}
		at += n
		for _, s := range shells {
			i := bytes.Index(s, shellName)
			if at >= i && bytes.HasPrefix(data[at-i:], s) {
				return shellClass
			}
		}
		at++
	}
}

// slide tells whether slideLength no-operations lie in a row with the beginning of code behind them.
func slide(data []byte) bool {
	for at := slideLength - 1; at < len(data); {
		if !noOperation[data[at]] {
			at += slideLength // so that no slide lies between two looks
			continue
		}
		first := at
		for first > 0 && at-first < slideLength-1 && noOperation[data[first-1]] {
			first--
		}
		end := at + 1
		for end < len(data) && noOperation[data[end]] {
			end++
		}
		if end-first >= slideLength {
			entry := data[end:min(end+entryLength, len(data))]
			for _, e := range entries {
				if bytes.Contains(entry, e) {
					return true
				}
			}
			if jumpsToCall(entry) {
				return true
			}
		}
		at = end + slideLength - 1
	}
	return false
}

// jumpsToCall recognises the code that jumps to a call, which comes back with its own address:
// jmp short, pop.
func jumpsToCall(entry []byte) bool {
	for i := 0; i+2 < len(entry); i++ {
		if entry[i] == 0xeb && entry[i+1] < 0x80 && entry[i+2]&0xf8 == 0x58 {
			return true
		}
	}
	return false
}
