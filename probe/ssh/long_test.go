package ssh

import (
	"bytes"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/text"
)

// TestLongMessages gives every form of message a long rest that is built to make the parser
// start over again and again: quadratic work would take minutes.
func TestLongMessages(t *testing.T) {
	const header = "Nov 22 05:00:00 gate sshd[700]: "
	fillers := []string{" from ", " from x port 1 ssh2: ", " for ", ": ", "[", "]", " port 1", " rhost=", "\x00", "\xff", "1",
		": Change of username or service not allowed: (", `"`, " (", ","}
	start := time.Now()
	p := sshdFormat().New(text.Clock{Zone: time.UTC})
	for _, filler := range fillers {
		try := func(prefix string, size int) {
			b := append([]byte(header+prefix), bytes.Repeat([]byte(filler), size/len(filler))...)
			_, _, _ = p.Parse(text.Line{File: "x.log", Number: 1, Bytes: b})
		}
		try("Failed publickey for invalid user ", 1<<20)
		for _, form := range sshForms {
			try(form.prefix, 32<<10)
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}
