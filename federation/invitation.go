package federation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Invitation is what a node needs to join: whom to ask, how to know the
// federation again, and a token that is good once.
type Invitation struct {
	Federation   string `cbor:"1,keyasint"`
	Organisation string `cbor:"2,keyasint"`
	// Founds says that the organisation is new: the node that joins makes the
	// organisation's key. Otherwise it is a further node of the organisation.
	Founds    bool     `cbor:"3,keyasint,omitempty"`
	Root      []byte   `cbor:"4,keyasint"` // the root's public key
	Token     []byte   `cbor:"5,keyasint"`
	Addresses []string `cbor:"6,keyasint"` // multiaddresses of the node that redeems it, and of others
	Expires   int64    `cbor:"7,keyasint"` // Unix seconds
}

const (
	invitationPrefix = "komondor-invitation-"
	maxInvitation    = 4 << 10 // characters
	tokenSize        = 16
	checksumSize     = 4
)

// IsInvitation tells an invitation from an address.
func IsInvitation(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), invitationPrefix)
}

// String is the invitation as one word of text. Whoever has it can redeem it.
func (i Invitation) String() string {
	body, err := event.Encode(i)
	if err != nil {
		panic(err) // strings, bytes and a number: CBOR can write them all
	}
	data := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
	data = append(data, body...)
	sum := sha256.Sum256(data)
	return invitationPrefix + base64.RawURLEncoding.EncodeToString(append(data, sum[:checksumSize]...))
}

// ParseInvitation reads what String wrote; line breaks and spaces that a mail has
// added do no harm.
func ParseInvitation(text string) (Invitation, error) {
	var i Invitation
	fail := func(format string, args ...any) (Invitation, error) {
		return Invitation{}, fmt.Errorf("invitation: %w", fmt.Errorf(format, args...))
	}
	if len(text) > maxInvitation {
		return fail("%d characters are over the %d that one can have", len(text), maxInvitation)
	}
	coded, ok := strings.CutPrefix(strings.Join(strings.Fields(text), ""), invitationPrefix)
	if !ok {
		return fail("it does not begin with %s: copy all of it", invitationPrefix)
	}
	if at := strings.IndexFunc(coded, func(r rune) bool { return r > 127 || !strings.ContainsRune(base64Letters, r) }); at >= 0 {
		return fail("damaged at character %d: copy it again", len(invitationPrefix)+at+1)
	}
	if len(coded)%4 == 1 {
		coded = coded[:len(coded)-1] // no whole byte: the length tells
	}
	data, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return fail("damaged (%w): copy it again", err)
	}
	const frame = 2 + checksumSize
	if len(data) < frame || len(data) < frame+int(binary.BigEndian.Uint16(data)) {
		return fail("truncated: copy all of it")
	}
	if len(data) > frame+int(binary.BigEndian.Uint16(data)) {
		return fail("damaged: it goes on after its end, or its length is wrong: copy it again")
	}
	framed, sum := data[:len(data)-checksumSize], data[len(data)-checksumSize:]
	if want := sha256.Sum256(framed); !bytes.Equal(sum, want[:checksumSize]) {
		return fail("damaged: the checksum is another: copy it again")
	}
	if err := decodeExact(framed[2:], &i); err != nil {
		return fail("%w", err)
	}
	if err := i.check(); err != nil {
		return fail("%w", err)
	}
	return i, nil
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (i Invitation) check() error {
	if err := errors.Join(checkFederation(i.Federation), checkName("organisation", i.Organisation)); err != nil {
		return err
	}
	switch {
	case len(i.Root) != ed25519.PublicKeySize:
		return fmt.Errorf("root's key of %d bytes, want %d", len(i.Root), ed25519.PublicKeySize)
	case len(i.Token) != tokenSize:
		return fmt.Errorf("token of %d bytes, want %d", len(i.Token), tokenSize)
	case len(i.Addresses) < 1 || len(i.Addresses) > 16:
		return fmt.Errorf("%d addresses, want 1 to 16", len(i.Addresses))
	case i.Expires < 0 || i.Expires > endOfTime:
		return fmt.Errorf("it expires at %d: want Unix seconds", i.Expires)
	}
	for _, a := range i.Addresses {
		if err := checkText(a, 256); err != nil {
			return fmt.Errorf("address: %w", err)
		}
	}
	return nil
}

// Expired says whether it is too late to redeem the invitation.
func (i Invitation) Expired(now time.Time) bool { return now.Unix() >= i.Expires }
