package paper

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/probe/text"
)

// Data is a set of logs that are looked at together. Each log is a probe's.
type Data struct {
	Name  string // short, for the names of files
	About string
	globs []string // where its logs lie, below the folder of all data
	// dealt says that these are the events of the set before, dealt to more probes:
	// the load of its attackers is known already.
	dealt bool
}

// Real are the real logs and the recordings of real programs among the data.
// Where there are several forms of the same events, one of them is taken.
func Real() []Data {
	return []Data{
		{"ec2", "sshd of a host at Amazon, one month of 2014", []string{"auth/ec2-2014-auth.log"}, false},
		{"ec2-4", "the same, dealt to four probes", []string{"auth-4probes/*.log"}, true},
		{"lab", "sshd of four hosts, attacked in a laboratory", []string{"lab/probe*/auth.log"}, false},
		{"suricata", "Suricata 4's alerts: captures, and a honeypot of 2018", []string{"suricata/*.eve.json", "suricata/*.eve.json.gz", "suricata/honeypot-2018-alerts.json"}, false},
		{"snort", "Snort 2's alerts: captures", []string{"snort/snort2-*.alert_fast"}, false},
		{"honeypots", "Cowrie, Dionaea, Honeytrap", []string{"honeypot/*.json", "honeypot/*.json.gz"}, false},
		{"firewalls", "packet filters of DShield and psad", []string{"firewall/*.log"}, false},
	}
}

// Log is what a probe saw.
type Log struct {
	Name   string
	Events []event.Event // by time
}

// read is the year of timestamps without one, and always the same: the logs that
// need it are of 2014, and nothing here depends on it.
var read = text.Clock{Now: func() time.Time { return time.Date(2014, 12, 31, 0, 0, 0, 0, time.UTC) }, Zone: time.UTC}

// Read parses the logs below folder. Unread names those that no parser of ours can
// read.
func (d Data) Read(ctx context.Context, folder string) (logs []Log, unread []string, err error) {
	below := os.DirFS(folder)
	var names []string
	for _, glob := range d.globs {
		found, err := fs.Glob(below, glob)
		if err != nil {
			return nil, nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".truth.json") || strings.HasSuffix(name, ".plan.json") {
			continue // what others know of the log beside it
		}
		log, err := readFile(ctx, below, name)
		if errors.Is(err, errFormat) {
			unread = append(unread, name)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read %s below %s: %w", name, folder, err)
		}
		logs = append(logs, log)
	}
	return logs, unread, nil
}

func readFile(ctx context.Context, below fs.FS, name string) (Log, error) {
	file, err := below.Open(name)
	if err != nil {
		return Log{}, err
	}
	defer file.Close()
	if !strings.HasSuffix(name, ".gz") {
		return Parse(ctx, name, file)
	}
	r, err := gzip.NewReader(file)
	if err != nil {
		return Log{}, err
	}
	return Parse(ctx, name, r)
}

// errFormat says that no parser of ours reads a log.
var errFormat = errors.New("of no format that probes read")

// sampled is how much of a log its format is recognised by, in bytes.
const sampled = 64 << 10

// Parse reads a probe's log of whatever format a probe can read.
func Parse(ctx context.Context, name string, r io.Reader) (Log, error) {
	sample := make([]byte, sampled)
	n, err := io.ReadFull(r, sample)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Log{}, err
	}
	format, err := probe.Builtin().Detect(sample[:n])
	if err != nil {
		return Log{}, errFormat
	}
	log, parser := Log{Name: name}, format.New(read)
	take := func(e event.Event, ok bool, _ error) { // a malformed line is no event
		if ok {
			log.Events = append(log.Events, e)
		}
	}
	r = io.MultiReader(strings.NewReader(string(sample[:n])), r)
	if err := follow.Lines(ctx, r, 0, func(line follow.Line) error {
		take(parser.Parse(text.Line{File: name, Number: line.Number, Bytes: line.Bytes}))
		return nil
	}); err != nil {
		return Log{}, err
	}
	take(parser.Flush())
	slices.SortStableFunc(log.Events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	return log, nil
}
