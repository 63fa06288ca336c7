package node

import (
	"bytes"
	"compress/gzip"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/follow"
)

// snortAlert ends without a blank line: only the end of the input says that it is complete.
const snortAlert = `[**] [1:1418:11] SNMP request tcp [**]
[Classification: Attempted Information Leak] [Priority: 2]
11/21/23-22:13:20.820000 203.0.113.66:29686 -> 198.51.100.7:161
TCP TTL:56 TOS:0x0 ID:11232 IpLen:20 DgmLen:44
`

// Rotated logs and captures are read as they lie, compressed.
func TestReadCompressed(t *testing.T) {
	for format, plain := range map[string][]byte{"snort-full": []byte(snortAlert), Pcap: capture(t)} {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(plain)
		_ = w.Close()
		path := filepath.Join(t.TempDir(), "old.gz")
		if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		sources := map[string]bool{}
		state, err := Read(t.Context(), Source{Format: "auto", Path: path}, func(e event.Event) error {
			sources[e.Source.Addr.String()] = true
			return nil
		})
		if err != nil || state.Format != format || !sources["203.0.113.66"] {
			t.Errorf("%s: state %+v, sources %v, error %v", format, state, sources, err)
		}
		if format == "snort-full" && state.Lines != 4 {
			t.Errorf("%d lines, want 4", state.Lines)
		}
		if err := os.WriteFile(path, packed.Bytes()[:packed.Len()-9], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(t.Context(), Source{Format: "auto", Path: path}, func(event.Event) error { return nil }); err == nil {
			t.Errorf("%s: what is cut off is taken for all of it", format)
		}
	}
}

// What can only be watched while it happens is no file.
func TestReadWatched(t *testing.T) {
	for _, format := range []string{Live, Process} {
		if _, err := Read(t.Context(), Source{Format: format, Path: "x"}, nil); err == nil || !strings.Contains(err.Error(), "komondor join --read "+format+"=x") {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

// When the writer of a pipe has ended, what it wrote last is an event, and the source says that no more comes.
func TestPipeThatEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes with names here: ", err)
	}
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer w.Close()
		_, _ = w.WriteString(snortAlert)
	}()
	var seen []event.Event
	src := newSource(Source{Format: "snort-full", Path: path}, slog.New(slog.DiscardHandler), func(_ context.Context, s sighting, _ bool) error {
		if s.event != nil {
			seen = append(seen, *s.event)
		}
		return nil
	})
	if err := src.run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	state := src.status()
	if len(seen) != 1 || state.Events != 1 || state.Lines != 4 || state.Notice != "not read any more: it has ended" ||
		state.State != control.Ended || state.LastEvent.IsZero() {
		t.Errorf("events %+v, state %+v", seen, state)
	}
}

// What a parser makes of an attacker's line may be wrong, and ends its source alone.
func TestAPanicEndsItsSource(t *testing.T) {
	s := newSource(Source{Format: "sshd", Path: "auth.log", Follow: func(context.Context, follow.Position, func(follow.Line) error) error {
		panic("index out of range")
	}}, slog.New(slog.DiscardHandler), nil)
	if err := s.run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if state := s.status(); state.State != control.Failed || !strings.Contains(state.Notice, "index out of range") {
		t.Errorf("state %+v", state)
	}
}

// A source says whether there is anything to read, and how far it has got.
func TestStatesOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.log")
	heard := make(chan struct{}, 1)
	s := newSource(Source{Format: "sshd", Path: path}, slog.New(slog.DiscardHandler), func(context.Context, sighting, bool) error {
		heard <- struct{}{}
		return nil
	})
	if state := s.status().State; state != control.Waiting {
		t.Errorf("before it runs: %q", state)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.run(ctx, nil) })
	defer running.Wait()
	defer stop()
	line := "2026-11-25T12:00:00Z host sshd[1]: Failed password for root from 203.0.113.66 port 22 ssh2\n"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	<-heard
	want := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	if state := s.status(); state.State != control.Reading || state.Lines != 1 || state.Events != 1 || !state.LastEvent.Equal(want) {
		t.Errorf("it is read: %+v", state)
	}
	s.silent(want)
	if state := s.status().State; state != control.Silent {
		t.Errorf("it is silent: %q", state)
	}
	s.silent(time.Time{})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if state := s.status().State; state != control.Waiting {
		t.Errorf("it is gone: %q", state)
	}
}
