// Package respond carries out what a node does against an attack beyond blocking
// whom its evidence names: it drops one flow, undoes a SYN flood that leaves this
// host, ends a process, runs a program of the operator's. Each of these is a unit,
// with a file of its own and a mode (off, observe, approve, auto). The Manager
// decides by the modes, asks a person where one has to decide, and remembers what
// was done, why, and how to undo it.
package respond

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The actions.
const (
	BlockSource   = "block-source"    // of Source, whatever it sends and is sent
	BlockTarget   = "block-target"    // what this host sends to Target, in whatever name
	BlockFlow     = "block-flow"      // from Source to Target; Protocol and Port narrow it
	ResetHalfOpen = "reset-half-open" // of the connections that leave this host for Target (and Port)
	KillProcess   = "kill-process"    // that run Executable as User
	RunHook       = "run-hook"        // named Hook
)

// Action is what somebody asks for, and why. Which fields it needs depends on its
// name; those that its unit does not know do not matter.
type Action struct {
	Name   string     `json:"action"`
	Source netip.Addr `json:"source,omitzero"`
	Target netip.Addr `json:"target,omitzero"`
	// Protocol is tcp, udp or icmp, and empty for any; Port is the target's, 0 for any.
	Protocol string `json:"protocol,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	// Executable is the file's absolute path; User a name or a number.
	Executable string `json:"executable,omitempty"`
	User       string `json:"user,omitempty"`
	Hook       string `json:"hook,omitempty"`

	Reason   string `json:"reason"`             // for people
	Alert    string `json:"alert,omitempty"`    // the alert's id, if one asks
	Scenario string `json:"scenario,omitempty"` // the scenario's name, if one asks
	// Evidence is the time of the latest evidence; what a person has rejected or
	// undone is done again on newer evidence only.
	Evidence time.Time `json:"evidence,omitzero"`
	// Local says that this host has seen the evidence itself.
	Local bool `json:"local,omitempty"`
	// Hold is why a person has to approve this one even in mode auto, for people.
	Hold string `json:"hold,omitempty"`
}

// String is what the action does, without why: "block-flow udp 192.0.2.53 > 198.51.100.7:53".
func (a Action) String() string {
	var words []string
	add := func(s string) {
		if s != "" {
			words = append(words, s)
		}
	}
	add(a.Name)
	add(a.Protocol)
	if a.Source.IsValid() {
		add(a.Source.String())
	}
	if a.Target.IsValid() {
		target := a.Target.String()
		if a.Port != 0 {
			target = netip.AddrPortFrom(a.Target, a.Port).String()
		}
		add("> " + target)
	}
	for _, s := range []string{a.Executable, a.User, a.Hook} {
		if s != "" {
			add(strconv.Quote(s))
		}
	}
	return strings.Join(words, " ")
}

// canonical is the action with addresses in one form, so that equal ones are equal.
func (a Action) canonical() Action {
	a.Source, a.Target = a.Source.Unmap().WithZone(""), a.Target.Unmap().WithZone("")
	return a
}

// same tells whether two actions do the same.
func (a Action) same(b Action) bool { return a.key() == b.key() }

// key is what an action does, without why.
func (a Action) key() Action {
	a.Reason, a.Alert, a.Scenario, a.Evidence, a.Local, a.Hold = "", "", "", time.Time{}, false, ""
	return a
}

// Mode is what a unit may do.
type Mode string

const (
	Off     Mode = "off"     // nothing
	Observe Mode = "observe" // it says what it would do
	Approve Mode = "approve" // a person decides
	Auto    Mode = "auto"    // it acts
)

// ParseMode reads the text form of a mode.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Off, Observe, Approve, Auto:
		return m, nil
	}
	return "", fmt.Errorf("mode %q: want off, observe, approve or auto", s)
}

// Refusal is the error of a unit that will not do what it is asked for, with the
// reason for people. Other errors say that it could not.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }
