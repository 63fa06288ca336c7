// Package probe turns what sensors write into events. A format is one file in a folder of
// its kind, and is on the list of its folder; Builtin has them all.
package probe

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/komondor/komondor/probe/audit"
	"github.com/komondor/komondor/probe/database"
	"github.com/komondor/komondor/probe/firewall"
	"github.com/komondor/komondor/probe/ftp"
	"github.com/komondor/komondor/probe/honeypot"
	"github.com/komondor/komondor/probe/ids"
	"github.com/komondor/komondor/probe/mail"
	"github.com/komondor/komondor/probe/panel"
	"github.com/komondor/komondor/probe/service"
	"github.com/komondor/komondor/probe/ssh"
	"github.com/komondor/komondor/probe/text"
	"github.com/komondor/komondor/probe/web"
	"github.com/komondor/komondor/probe/zeek"
)

// Formats are the formats that a source may have: those of Builtin, and perhaps some of
// one's own.
type Formats []text.Format

// Builtin lists the formats that come with Komondor, the general before the special:
// where a sample is as much of the one as of the other, it is of the latter.
func Builtin() Formats {
	return complete(slices.Concat(ssh.Formats(), ids.Formats(), web.Formats(), ftp.Formats(), mail.Formats(), database.Formats(),
		service.Formats(), panel.Formats(), firewall.Formats(), zeek.Formats(), honeypot.Formats(), audit.Formats()))
}

// complete adds the formats of what many programs write to.
func complete(logs Formats) Formats {
	return slices.Concat(logs[:1], Formats{journaldFormat(logs), syslogFormat(logs)}, logs[1:])
}

// With adds formats of one's own; a name that is taken is an error.
func (fs Formats) With(own []text.Format) (Formats, error) {
	for i, f := range own {
		if _, err := append(fs, own[:i]...).Lookup(f.Name); err == nil {
			return nil, fmt.Errorf("there is a format %s already: give it another name", f.Name)
		}
	}
	logs := slices.DeleteFunc(slices.Clone(fs), func(f text.Format) bool { return f.Name == "journald" || f.Name == "syslog" })
	return complete(append(logs, own...)), nil
}

// Instead puts a format in the place of the one of its name.
func (fs Formats) Instead(f text.Format) (Formats, error) {
	logs := slices.DeleteFunc(slices.Clone(fs), func(old text.Format) bool { return old.Name == f.Name })
	return logs.With([]text.Format{f})
}

// Lookup finds a format by its name or an alias.
func (fs Formats) Lookup(name string) (text.Format, error) {
	var names []string
	for _, f := range fs {
		for _, n := range append([]string{f.Name}, f.Aliases...) {
			if strings.EqualFold(n, name) {
				return f, nil
			}
		}
		names = append(names, f.Name)
	}
	return text.Format{}, fmt.Errorf("unknown log format %q: want one of %s", name, strings.Join(names, ", "))
}

// Detect finds the format of a source from its beginning: that of most of its lines.
func (fs Formats) Detect(sample []byte) (text.Format, error) {
	var found text.Format
	most := 0
	for _, f := range fs {
		if n := f.Recognise(sample); n > 0 && n >= most {
			found, most = f, n
		}
	}
	if most > 0 {
		return found, nil
	}
	if len(bytes.TrimSpace(sample)) == 0 {
		return text.Format{}, errors.New("cannot detect the format of an empty log: name it with --format (komondor formats)")
	}
	return text.Format{}, fmt.Errorf("the log begins with %s, which is of no known format: name it with --format (komondor formats)", text.Beginning(sample))
}
