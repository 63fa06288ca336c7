package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MaxEvidence is how many reports an alert may carry (reference: trust, design 6).
const MaxEvidence = 32

// MaxAlert is the largest encoded alert in bytes: a frame of the overlay has 64 KiB.
const MaxAlert = 60 << 10

// Alert is a verdict that carries its own proof: the smallest set of sealed
// reports that crosses the rule's threshold. It claims no score, no count and
// no time: every receiver works these out of the evidence.
type Alert struct {
	Federation string `cbor:"1,keyasint"`
	Rule       string `cbor:"2,keyasint"`
	Key        Key    `cbor:"3,keyasint"`
	// Episode numbers the rule's timespans since 1970: alerts of one attack in
	// one timespan are one alert, and a later one is its update.
	Episode  int64    `cbor:"4,keyasint"`
	Evidence []Sealed `cbor:"5,keyasint"`
	// Organisation is set where the evidence is one organisation's alone: its
	// members act on it, and all others are warned.
	Organisation string `cbor:"6,keyasint,omitempty"`
}

// ID is the same for all alerts on one attack in one episode, whoever raises
// them: the first 16 bytes of a SHA-256 in hex. What one organisation concludes
// alone is an alert of its own.
func (a Alert) ID() string {
	sum := Key{Selector: Selector("alert " + a.Rule), Value: fmt.Sprintf("%d %s", a.Episode, a.Key)}.Hash(a.Federation, []byte(a.Organisation))
	return hex.EncodeToString(sum[:sha256.Size/2])
}

// DecodeAlert reads an alert and checks what can be checked of it alone.
func DecodeAlert(data []byte) (Alert, error) {
	var a Alert
	if len(data) > MaxAlert {
		return a, fmt.Errorf("alert of %d bytes is over the %d allowed", len(data), MaxAlert)
	}
	if err := Decode(data, &a); err != nil {
		return a, fmt.Errorf("decode alert: %w", err)
	}
	if n := len(a.Evidence); n == 0 || n > MaxEvidence {
		return a, fmt.Errorf("alert on %q carries %d reports, want 1 to %d", a.Key, n, MaxEvidence)
	}
	signers := map[string]bool{}
	for _, s := range a.Evidence {
		if signers[s.Signer] {
			return a, fmt.Errorf("alert on %q carries two reports of %q: evidence counts once", a.Key, s.Signer)
		}
		signers[s.Signer] = true
	}
	return a, nil
}
