package event

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxReason is the longest reason of an opinion in bytes.
	MaxReason  = 200
	maxOpinion = 1024
	maxRule    = 128
)

// opinionDomain stands before what is signed, so that no report is good for an opinion, nor the
// other way round.
const opinionDomain = "komondor opinion 1\x00"

// Opinion is what a person at a member says of an attack: that the alert on it is false, and why;
// or, later, that this is taken back. It is about the attack that goes on when it is said, and not
// about what the same source does another time.
type Opinion struct {
	Federation string `cbor:"1,keyasint"`
	// Member is the libp2p peer ID of the node that the person has told.
	Member string `cbor:"2,keyasint"`
	Rule   string `cbor:"3,keyasint"`
	Key    Key    `cbor:"4,keyasint"`
	// Said is when, in Unix milliseconds: of a member's opinions on one rule and key the latest counts.
	Said int64 `cbor:"5,keyasint"`
	// False is what is said of the alert; it is unset where that is taken back.
	False bool `cbor:"6,keyasint,omitempty"`
	// Reason is for people: up to MaxReason bytes on one line, and never empty where False.
	Reason string `cbor:"7,keyasint,omitempty"`
}

// SaidAt is when it was said.
func (o Opinion) SaidAt() time.Time { return time.UnixMilli(o.Said).UTC() }

// Encode returns what is to be signed of it; the error says what is wrong with it.
func (o Opinion) Encode() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	body, err := Encode(o)
	if err != nil {
		return nil, err
	}
	if len(opinionDomain)+len(body) > maxOpinion {
		return nil, fmt.Errorf("opinion of %d bytes is over the %d allowed", len(opinionDomain)+len(body), maxOpinion)
	}
	return append([]byte(opinionDomain), body...), nil
}

// DecodeOpinion reads what Opinion.Encode wrote, and checks what can be checked of it alone.
func DecodeOpinion(data []byte) (Opinion, error) {
	var o Opinion
	if len(data) > maxOpinion {
		return o, fmt.Errorf("opinion of %d bytes is over the %d allowed", len(data), maxOpinion)
	}
	body, ok := bytes.CutPrefix(data, []byte(opinionDomain))
	if !ok {
		return o, errors.New("this is no opinion")
	}
	if err := Decode(body, &o); err != nil {
		return o, fmt.Errorf("decode opinion: %w", err)
	}
	return o, o.check()
}

func (o Opinion) check() error {
	switch {
	case o.Said < 0 || o.Said > maxTime*1000:
		return fmt.Errorf("opinion of %d: want Unix milliseconds of 1970 to 9999", o.Said)
	case o.Rule == "" || len(o.Rule) > maxRule:
		return fmt.Errorf("opinion on a rule with a name of %d bytes: want 1 to %d", len(o.Rule), maxRule)
	case o.False && strings.TrimSpace(o.Reason) == "":
		return errors.New("opinion without a reason: say why the alert is false")
	case len(o.Reason) > MaxReason:
		return fmt.Errorf("reason of %d bytes: want up to %d", len(o.Reason), MaxReason)
	case !utf8.ValidString(o.Reason) || strings.ContainsFunc(o.Reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("reason %q: want printable characters on one line", o.Reason)
	}
	return nil
}
