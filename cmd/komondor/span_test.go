package main

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour, "365d": 365 * 24 * time.Hour, "0s": 0, "-1h": -time.Hour,
		"": -1, "d": -1, "x": -1, "1x": -1, "1w": -1, "-1d": -1, "1d1": -1, "1d1d": -1, "99999999d": -1,
	} {
		s := span(-1)
		if err := s.Set(text); time.Duration(s) != want || (err == nil) != (want != -1) {
			t.Errorf("%q: got %v, error %v", text, time.Duration(s), err)
		}
	}
	for d, want := range map[time.Duration]string{0: "", time.Hour: "1h0m0s", 24 * time.Hour: "1d", 36 * time.Hour: "36h0m0s"} {
		if s := span(d); s.String() != want {
			t.Errorf("%v: got %q, want %q", d, s.String(), want)
		}
	}
}
