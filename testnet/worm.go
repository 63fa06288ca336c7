package testnet

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// recorded are the logs of three hosts whose real sshd was attacked by a worm;
// testdata/worm/README.md says how they were made.
//
//go:embed testdata/worm/*.log
var recorded embed.FS

// What happens in the recording.
const (
	WormPrefix = "203.0.113.66/32"
	UserPrefix = "198.51.100.20/32" // alice: mistypes once, and is innocent
	WormHosts  = 3
)

// Written is a recorded line as it was written to a host's log.
type Written struct {
	Host int // 0 to WormHosts-1
	At   time.Time
	Text string
}

// Worm is the recording, ready to be played.
type Worm struct{ lines []Written }

// LoadWorm reads the recording.
func LoadWorm() (*Worm, error) {
	w := new(Worm)
	for host := range WormHosts {
		name := fmt.Sprintf("testdata/worm/host%d.log", host+1)
		text, err := recorded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			stamp, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			at, err := time.Parse(time.RFC3339Nano, stamp)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			w.lines = append(w.lines, Written{host, at, rest})
		}
	}
	slices.SortStableFunc(w.lines, func(a, b Written) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return w, nil
}

// Play writes the recorded lines into the hosts' logs, one by one, with their
// times shifted to now and the pauses between them cut to at most pause. It
// calls wrote after each line.
func (w *Worm) Play(ctx context.Context, logs []string, pause time.Duration, wrote func(Written)) error {
	var files []*os.File
	for _, path := range logs[:WormHosts] {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	for i, line := range w.lines {
		if i > 0 {
			select {
			case <-time.After(min(line.At.Sub(w.lines[i-1].At), pause)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		line.At = time.Now()
		if _, err := fmt.Fprintf(files[line.Host], "%s %s\n", line.At.Format("2006-01-02T15:04:05.000000Z07:00"), line.Text); err != nil {
			return err
		}
		wrote(line)
	}
	return nil
}
