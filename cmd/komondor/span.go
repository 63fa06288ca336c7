package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// span is a flag's time: 90m or 1h30m, and with days before that, 7d or 1d12h, as files of rules have them.
type span time.Duration

func (s *span) Set(text string) error {
	days, rest, ok := strings.Cut(text, "d")
	switch {
	case !ok:
		days, rest = "0", text
	case rest == "":
		rest = "0s"
	}
	n, err := strconv.ParseUint(days, 10, 16)
	d, errRest := time.ParseDuration(rest)
	if err != nil || errRest != nil {
		return errors.New("want a time, for instance 90m, 12h or 7d")
	}
	*s = span(time.Duration(n)*24*time.Hour + d)
	return nil
}

func (s *span) String() string {
	const day = 24 * time.Hour
	switch d := time.Duration(*s); {
	case d == 0:
		return "" // by which pflag knows that there is no default
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	default:
		return d.String()
	}
}

func (s *span) Type() string { return "duration" }
