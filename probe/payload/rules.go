package payload

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// largestFile is how much a file of rules may hold: more than any set that is published.
const largestFile = 64 << 20

//go:embed rules
var builtin embed.FS

// ruleset is rules made ready to be looked for. Only builds with libyara have any, see yara.go.
type ruleset interface {
	// scan returns the rules that match. It is an error if it takes too long, errTimeout then.
	scan(data []byte, about circumstances) ([]*class, error)
	close()
}

var errTimeout = errors.New("the scan took too long")

// circumstances are what rules may ask for besides the bytes, as variables.
type circumstances struct {
	port     int // of the service
	protocol int // IP's number: 6 is TCP, 17 is UDP
}

// source is a text of rules.
type source struct {
	name string // of its file
	text string
}

// class is what a rule's match means.
type class struct {
	kind          event.Kind
	vulnerability string
	detail        string
}

// longest are the bounds of what is taken over from rules, in bytes.
const (
	longestDetail        = 256
	longestVulnerability = 64
)

var cve = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,7}$`)

// classify reads a rule's meta; values are strings, ints and bools. Keys that it does not know are their author's.
func classify(rule string, meta iter.Seq2[string, any]) (*class, error) {
	c := &class{detail: rule}
	var severity, kind event.Kind
	var err error
	for key, value := range meta {
		text, isText := value.(string)
		text = strings.TrimSpace(text)
		wrong := func(want string) {
			if err == nil {
				err = fmt.Errorf("rule %s: meta %s is %v, want %s", rule, key, value, want)
			}
		}
		switch strings.ToLower(key) {
		case "severity":
			switch strings.ToLower(text) {
			case "high":
				severity = event.PayloadHigh
			case "medium":
				severity = event.PayloadMedium
			case "low":
				severity = event.PayloadLow
			default:
				wrong(`"high", "medium" or "low"`)
			}
		case "kind":
			kinds := payloadKinds()
			for _, k := range kinds {
				if string(k) == text {
					kind = k
				}
			}
			if string(kind) != text || text == "" {
				wrong(fmt.Sprintf("one of %q", kinds))
			}
		case "cve":
			if text = strings.ToUpper(text); cve.MatchString(text) {
				c.vulnerability = text
			} else {
				wrong("one CVE, such as CVE-2017-0144")
			}
		case "vulnerability":
			if !isText || text == "" || len(text) > longestVulnerability {
				wrong(fmt.Sprintf("a name of at most %d bytes", longestVulnerability))
			} else if c.vulnerability == "" {
				c.vulnerability = strings.ToValidUTF8(text, "\uFFFD")
			}
		case "description":
			if isText && text != "" {
				c.detail = rule + ": " + text
			}
		}
	}
	c.kind = event.PayloadMedium
	for _, k := range []event.Kind{severity, kind} {
		if k != "" {
			c.kind = k
		}
	}
	if c.vulnerability == "" {
		c.vulnerability = "yara:" + rule
	}
	c.detail = strings.ToValidUTF8(c.detail[:min(len(c.detail), longestDetail)], "\uFFFD")
	return c, err
}

// payloadKinds are the kinds that a rule may give its matches.
func payloadKinds() (kinds []event.Kind) {
	for _, k := range event.Kinds() {
		if k.Matches("payload.*") || k.Matches("worm.*") {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// shipped are the rules that come with Komondor.
func shipped() (sources []source, err error) {
	files, err := fs.Glob(builtin, "rules/*.yar")
	for _, file := range files {
		text, err := builtin.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source{"komondor's " + file, string(text)})
	}
	return sources, err
}

// stamp is how a change of a file is noticed.
type stamp struct {
	path string
	size int64
	time time.Time
}

// find lists the files of rules that the paths name: files, and in directories what ends
// in .yar or .yara.
func find(paths []string) (files []stamp, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		if !info.IsDir() {
			files = append(files, stamp{path, info.Size(), info.ModTime()})
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		before := len(files)
		for _, entry := range entries {
			file := filepath.Join(path, entry.Name())
			if ext := filepath.Ext(file); ext != ".yar" && ext != ".yara" {
				continue
			}
			info, err := os.Stat(file)
			if err != nil {
				return nil, fmt.Errorf("rules: %w", err)
			}
			if !info.IsDir() {
				files = append(files, stamp{file, info.Size(), info.ModTime()})
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("rules: the directory %s holds no file that ends in .yar or .yara", path)
		}
	}
	return files, nil
}

// read reads what find has found.
func read(files []stamp) (sources []source, err error) {
	for _, file := range files {
		if file.size > largestFile {
			return nil, fmt.Errorf("rules: %s has %d bytes, more than %d: divide it", file.path, file.size, largestFile)
		}
		text, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		if i := strings.IndexByte(string(text), 0); i >= 0 {
			return nil, fmt.Errorf("rules: %s has a zero byte at %d, so it is no text of rules: take it out (compiled rules are not read)", file.path, i)
		}
		sources = append(sources, source{file.path, string(text)})
	}
	return sources, nil
}
