package event

import (
	"bytes"
	"encoding/hex"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func sample() Report {
	return Report{
		Federation: "f", Member: "m", Key: Key{ByPort, "tcp/22"}, Version: 3, Shed: 1,
		Tallies: []Tally{
			{Kind: ScanPort, Source: netip.MustParsePrefix("203.0.113.9/32"), First: 60, Last: 100, Spoofable: 4, Values: Sketch{1, 9}},
			{Kind: IDSHigh, Source: netip.MustParsePrefix("2001:db8::/64"), First: 60, Last: 60, Proven: 1},
			{Kind: IDSHigh, First: 120, Last: 121, Proven: math.MaxUint32, Spoofable: math.MaxUint32},
		},
	}
}

func encode(t testing.TB, v any) []byte {
	body, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The bytes are signed and shipped: a change in them is a change of the protocol.
func TestCanonicalBytes(t *testing.T) {
	r := Report{Federation: "f", Member: "m", Key: Key{BySource, "203.0.113.9"}, Version: 500,
		Tallies: []Tally{{Kind: "a.b", First: 60, Last: 61, Proven: 24, Values: Sketch{7}}}}
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"report", r, "a5" + "016166" + "02616d" + "03a201" + "69736f757263652e6970" + "02" + "6b3230332e302e3131332e39" + "041901f4" +
			"0581a5" + "0163612e62" + "03183c" + "04183d" + "051818" + "078107"},
		{"sealed", Sealed{Body: []byte{1}, Signer: "s", Signature: []byte{2}}, "a3014101026173034102"},
		{"alert", Alert{Federation: "f", Rule: "r", Key: Key{"s", "v"}, Episode: 1}, "a5016166026172" + "03a2016173026176" + "0401" + "05f6"},
	} {
		if got := hex.EncodeToString(encode(t, c.v)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestReportRoundTrip(t *testing.T) {
	want := sample()
	body := encode(t, want)
	got, err := DecodeReport(body)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v: got %+v, want %+v", err, got, want)
	}
	if !bytes.Equal(encode(t, got), body) {
		t.Error("a decoded report is encoded differently")
	}
	if got.Tallies[2].Count() != 2*math.MaxUint32 {
		t.Errorf("count %d", got.Tallies[2].Count())
	}
	// Room for new fields: what is unknown is ignored.
	if _, err := DecodeReport(encode(t, map[int]any{2: "m", 3: map[int]string{1: "target.port", 2: "tcp/22"}, 99: "new"})); err != nil {
		t.Errorf("a report with a new field: %v", err)
	}
}

func TestDecodeReportRefuses(t *testing.T) {
	tally := func(change func(*Tally)) func(*Report) {
		return func(r *Report) { change(&r.Tallies[0]) }
	}
	for _, c := range []struct {
		name   string
		change func(*Report)
		want   string
	}{
		{"too large", func(r *Report) { r.Member = strings.Repeat("m", MaxReport) }, "over the 1024"},
		{"a source with another spelling", func(r *Report) { r.Key, r.Tallies = Key{BySource, "::ffff:203.0.113.9"}, nil }, "want an IPv4 address"},
		{"a source named twice", func(r *Report) { r.Key = Key{BySource, "203.0.113.9"} }, "which the key does already"},
		{"a subnet with another spelling", func(r *Report) { r.Key, r.Tallies = Key{BySourceSubnet, "203.0.113.9/24"}, nil }, "want an IPv4 /24"},
		{"a source of another subnet", func(r *Report) { r.Key = Key{BySourceSubnet, "198.51.100.0/24"} }, "not of that subnet"},
		{"the end before the beginning", tally(func(t *Tally) { t.First = t.Last + 1 }), "ends before it begins"},
		{"before 1970", tally(func(t *Tally) { t.First = math.MinInt64 }), "1970 to 9999"},
		{"after 9999", tally(func(t *Tally) { t.Last = math.MaxInt64 }), "1970 to 9999"},
		{"a network", tally(func(t *Tally) { t.Source = netip.MustParsePrefix("203.0.113.0/24") }), "no IPv4 address"},
		{"an IPv6 address", tally(func(t *Tally) { t.Source = netip.MustParsePrefix("2001:db8::1/128") }), "no IPv4 address"},
		{"host bits", tally(func(t *Tally) { t.Source = netip.MustParsePrefix("2001:db8::1/64") }), "no IPv4 address"},
		{"IPv4 in IPv6 clothes", tally(func(t *Tally) { t.Source = netip.MustParsePrefix("::ffff:203.0.113.9/128") }), "no IPv4 address"},
		{"a sketch in disorder", tally(func(t *Tally) { t.Values = Sketch{9, 1} }), "ascending"},
		{"a sketch with doubles", tally(func(t *Tally) { t.Values = Sketch{1, 1} }), "ascending"},
		{"a large sketch", tally(func(t *Tally) {
			for i := range uint32(SketchSize + 1) {
				t.Values = append(t.Values, 100+i)
			}
		}), "want up to 16"},
	} {
		r := sample()
		c.change(&r)
		if _, err := DecodeReport(encode(t, r)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	body := encode(t, sample())
	for name, raw := range map[string]string{
		"nothing":            "",
		"text":               "report",
		"cut off":            string(body[:len(body)-1]),
		"something behind":   string(body) + "\x00",
		"a field twice":      "\xa2\x02\x61m\x02\x61m",
		"indefinite length":  "\xbf\x02\x61m\xff",
		"a negative version": "\xa1\x04\x20",
		"a count over 32 b":  "\xa1\x05\x81\xa1\x05\x1b\x00\x00\x00\x01\x00\x00\x00\x00",
		"a float":            "\xa1\x04\xf9\x3c\x00",
		"invalid UTF-8":      "\xa1\x02\x61\xff",
		"a prefix of 200":    "\xa1\x05\x81\xa1\x02\x45\xcb\x00\x71\x09\xc8", // which net/netip decodes without an error
		"a prefix of 3 b":    "\xa1\x05\x81\xa1\x02\x43\xcb\x00\x71",
		"deep nesting":       strings.Repeat("\x81", 100) + "\x00",
	} {
		if r, err := DecodeReport([]byte(raw)); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}

func TestDecodeAlert(t *testing.T) {
	evidence := func(n, size int) []Sealed {
		var all []Sealed
		for i := range n {
			all = append(all, Sealed{Body: make([]byte, size), Signer: strings.Repeat("s", i+1), Signature: make([]byte, 64)})
		}
		return all
	}
	twice := evidence(2, 10)
	twice[1].Signer = twice[0].Signer
	for _, c := range []struct {
		name     string
		evidence []Sealed
		want     string
	}{
		{"one report", evidence(1, MaxReport), ""},
		{"as many reports as there may be, as large as they may be", evidence(MaxEvidence, MaxReport), ""},
		{"no report", nil, "carries 0 reports"},
		{"one too many", evidence(MaxEvidence+1, 1), "carries 33 reports"},
		{"too large", evidence(1, MaxAlert), "over the 61440"},
		{"one member twice", twice, "evidence counts once"},
	} {
		want := Alert{Federation: "f", Rule: "r", Key: Key{BySource, "203.0.113.9"}, Episode: 5, Evidence: c.evidence}
		got, err := DecodeAlert(encode(t, want))
		switch {
		case c.want == "" && (err != nil || !reflect.DeepEqual(got, want)):
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := DecodeAlert([]byte("\xa1\x05")); err == nil {
		t.Error("half an alert was accepted")
	}
}

// What is decoded without an error is encoded and decoded again to the same.
func FuzzDecodeReport(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, Report{Key: Key{BySource, "2001:db8::/64"}}))
	f.Add(encode(f, Report{Key: Key{BySourceSubnet, "2001:db8::/48"}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DecodeReport(body)
		if err != nil {
			return
		}
		for _, tally := range r.Tallies {
			_ = tally.Values.Estimate()
			if _, err := tally.LastTime().MarshalText(); err != nil {
				t.Fatalf("a time that cannot be written: %v", err)
			}
		}
		canonical := encode(t, r)
		var again Report
		if err := Decode(canonical, &again); err != nil || !bytes.Equal(encode(t, again), canonical) {
			t.Fatalf("%v: %+v came back as %+v", err, r, again)
		}
	})
}

func FuzzDecodeAlert(f *testing.F) {
	f.Add(encode(f, Alert{Federation: "f", Rule: "r", Key: Key{BySource, "203.0.113.9"}, Evidence: []Sealed{{Body: []byte("b"), Signer: "s"}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := DecodeAlert(data)
		if err != nil {
			return
		}
		if len(a.ID()) != 32 {
			t.Fatalf("id %q", a.ID())
		}
		if again, err := DecodeAlert(encode(t, a)); err == nil && again.ID() != a.ID() {
			t.Fatalf("%s came back as %s", a.ID(), again.ID())
		}
	})
}

func FuzzSealed(f *testing.F) {
	f.Add(encode(f, Sealed{Body: []byte("b"), Signer: "s", Signature: []byte("g")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s, again Sealed
		if err := Decode(data, &s); err != nil {
			return
		}
		if err := Decode(encode(t, s), &again); err != nil || !bytes.Equal(again.Body, s.Body) || again.Signer != s.Signer {
			t.Fatalf("%v: %+v came back as %+v", err, s, again)
		}
	})
}
