package block

import (
	"fmt"
	"strings"
)

// Mode is what others' evidence may do to this host's firewall. What the host
// has seen itself always blocks.
type Mode string

const (
	Auto    Mode = "auto"    // it blocks
	Approve Mode = "approve" // it waits for a person
	Observe Mode = "observe" // it is only shown
)

// ParseMode reads the text form of a mode.
func ParseMode(s string) (Mode, error) {
	m := Mode(strings.ToLower(strings.TrimSpace(s)))
	return m, m.validate()
}

func (m Mode) validate() error {
	switch m {
	case Auto, Approve, Observe:
		return nil
	}
	return fmt.Errorf("mode %q: want auto, approve or observe", string(m))
}
