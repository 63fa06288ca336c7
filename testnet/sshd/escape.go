package sshd

import (
	"fmt"
	"strings"
)

// escape is how sshd keeps clients from writing lines of their own into the log
// (do_log: strnvis with VIS_CSTYLE, VIS_NL, VIS_TAB and VIS_OCTAL).
func escape(message string) string {
	const plain, named = "\a\b\f\n\r\t\v\\", `abfnrtv\`
	var b strings.Builder
	for i := range len(message) {
		c := message[i]
		if n := strings.IndexByte(plain, c); n >= 0 {
			b.WriteByte('\\')
			b.WriteByte(named[n])
		} else if c < ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
