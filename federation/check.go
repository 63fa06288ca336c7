package federation

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checkName holds names to what can be shown, compared and typed anywhere.
func checkName(what, name string) error {
	if len(name) < 1 || len(name) > 64 {
		return fmt.Errorf("%s's name %.70q: want 1 to 64 characters", what, name)
	}
	for _, c := range []byte(name) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", rune(c)) {
			return fmt.Errorf("%s's name %q: want lower case letters, digits, and - _ . only", what, name)
		}
	}
	return nil
}

func checkFederation(name string) error {
	if name == openName {
		return fmt.Errorf("federation's name %q is that of overlays without members: choose another", name)
	}
	return checkName("federation", name)
}

// checkText holds what people have written to one line that no terminal obeys.
func checkText(text string, longest int) error {
	if len(text) > longest {
		return fmt.Errorf("text of %d bytes: want up to %d", len(text), longest)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("text %q: want printable characters on one line", text)
	}
	return nil
}

// endOfTime is the last second that RFC 3339 can write.
const endOfTime = 253402300799

func checkDates(from, to int64, longest time.Duration) error {
	if from < 0 || to > endOfTime || from >= to || to-from > int64(longest/time.Second) {
		return fmt.Errorf("it runs from %d to %d: want Unix seconds, at most %d days", from, to, longest/day)
	}
	return nil
}

// valid says what is wrong with the time, here or there.
func valid(now time.Time, what string, from, to int64) error {
	if now.Unix() >= to {
		return fmt.Errorf("%s ended %s: %w: renew it, or check the clock (here it is %s)", what, stamp(to), ErrExpired, stamp(now.Unix()))
	}
	return begun(now, what, from)
}

func begun(now time.Time, what string, from int64) error {
	if now.Add(skew).Unix() < from {
		return fmt.Errorf("%s begins %s: %w: check the clock (here it is %s)", what, stamp(from), ErrEarly, stamp(now.Unix()))
	}
	return nil
}

func stamp(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// newSerial never repeats and is never 0, which means "no serial".
func newSerial() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return max(binary.BigEndian.Uint64(b[:]), 1)
}
