package event

import (
	"strings"
	"testing"
)

func opinion() Opinion {
	return Opinion{Federation: "f", Member: "m", Rule: "ssh-brute-force", Key: Key{BySource, "203.0.113.9"}, Said: 1795314050123, False: true, Reason: "our own scanner"}
}

func TestOpinion(t *testing.T) {
	body, err := opinion().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeOpinion(body); err != nil || got != opinion() {
		t.Errorf("%+v, %v", got, err)
	}
	// What is signed as the one is not good for the other.
	if _, err := DecodeReport(body); err == nil {
		t.Error("an opinion is a report")
	}
	if _, err := DecodeOpinion(encode(t, sample())); err == nil {
		t.Error("a report is an opinion")
	}
	back := opinion()
	back.False, back.Reason = false, ""
	if _, err := back.Encode(); err != nil {
		t.Errorf("taken back: %v", err)
	}
	for want, change := range map[string]func(*Opinion){
		"say why":              func(o *Opinion) { o.Reason = " " },
		"want up to 200":       func(o *Opinion) { o.Reason = strings.Repeat("x", 201) },
		"printable characters": func(o *Opinion) { o.Reason = "a\nb" },
		"on one line":          func(o *Opinion) { o.Reason = "\u202e" },
		"name of 0 bytes":      func(o *Opinion) { o.Rule = "" },
		"name of 129 bytes":    func(o *Opinion) { o.Rule = strings.Repeat("x", 129) },
		"1970 to 9999":         func(o *Opinion) { o.Said = -1 },
		"over the 1024":        func(o *Opinion) { o.Key.Value = strings.Repeat("x", 1024) },
	} {
		bad := opinion()
		change(&bad)
		if _, err := bad.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		raw := append([]byte(opinionDomain), encode(t, bad)...)
		if _, err := DecodeOpinion(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decoded: %v, want %q", err, want)
		}
	}
}

func FuzzDecodeOpinion(f *testing.F) {
	body, err := opinion().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(opinionDomain))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := DecodeOpinion(data)
		if err != nil {
			return
		}
		again, err := o.Encode()
		if err != nil {
			return // written with less than the shortest encoding it fits, and not otherwise
		}
		if back, err := DecodeOpinion(again); err != nil || back != o {
			t.Fatalf("%v: %+v came back as %+v", err, o, back)
		}
	})
}
