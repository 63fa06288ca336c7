package block

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A host that cannot ask for the time cannot tell when evidence is of, so its
// time servers are never blocked.
const timeServer = "a time server of this host"

const (
	maxConfig      = 1 << 20 // bytes read of one file
	maxTimeServers = 256     // names among them cost a look-up each
)

// timeConfigs are the files that name time servers, as file name patterns, with
// the function that reads them. Which of the programs runs is not asked: a
// server too many does no harm.
var timeConfigs = []struct {
	files []string
	read  func([]byte) []string
}{
	{[]string{ // chrony.conf(5); DHCP clients write to the last
		"etc/chrony/chrony.conf", "etc/chrony.conf", "etc/chrony/conf.d/*.conf", "etc/chrony.d/*.conf",
		"etc/chrony/sources.d/*.sources", "run/chrony-dhcp/*.sources",
	}, chronyServers},
	{[]string{ // ntp.conf(5) of ntpd and ntpsec; ntpd.conf(5) of OpenNTPD
		"etc/ntp.conf", "etc/ntpsec/ntp.conf", "etc/ntpsec/ntp.d/*.conf", "etc/openntpd/ntpd.conf", "etc/ntpd.conf",
	}, ntpServers},
	{[]string{ // timesyncd.conf(5), and what networkd has learned
		"etc/systemd/timesyncd.conf", "etc/systemd/timesyncd.conf.d/*.conf", "run/systemd/timesyncd.conf.d/*.conf",
		"usr/lib/systemd/timesyncd.conf.d/*.conf", "run/systemd/netif/state",
	}, timesyncdServers},
}

// timeServers returns the servers, by address or name, that this host's
// programs for the time are configured to ask.
func (h host) timeServers() ([]exemption, error) {
	var servers []string
	var failed error
	for _, config := range timeConfigs {
		for _, pattern := range config.files {
			files, err := filepath.Glob(h.path(pattern))
			failed = errors.Join(failed, err)
			for _, name := range files {
				data, err := readConfig(name)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = errors.Join(failed, fmt.Errorf("read time servers: %w", err))
				}
				servers = append(servers, config.read(data)...)
			}
		}
	}
	if failed != nil {
		return nil, failed // the former ones stay
	}
	slices.Sort(servers)
	servers = slices.Compact(servers)
	var found []exemption
	for _, server := range servers[:min(len(servers), maxTimeServers)] {
		if e, err := parseExemption(server, timeServer); err == nil { // what is none, the program refuses too
			found = append(found, e)
		}
	}
	return found, nil
}

// readConfig reads the beginning of a regular file.
func readConfig(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil, err // reading a pipe would wait
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxConfig))
}

// chronyServers reads the servers of a chrony.conf or of a file of sources.
func chronyServers(data []byte) []string {
	return directives(data, "#%;!", "server", "pool", "peer")
}

// ntpServers reads the servers of an ntp.conf or of OpenNTPD's ntpd.conf.
func ntpServers(data []byte) []string {
	return directives(data, "#", "server", "servers", "pool", "peer")
}

// directives returns the first argument, options aside, of each line whose
// first word is one of those named. Letters' case does not matter.
func directives(data []byte, comment string, named ...string) []string {
	var found []string
	for line := range bytes.Lines(data) {
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.ContainsAny(words[0][:1], comment) || !slices.Contains(named, strings.ToLower(words[0])) {
			continue
		}
		for _, word := range words[1:] {
			if !strings.HasPrefix(word, "-") { // -4 and -6: by this family
				found = append(found, strings.Trim(word, `"`))
				break
			}
		}
	}
	return found
}

// timesyncdServers reads the servers of a timesyncd.conf.
func timesyncdServers(data []byte) []string {
	var found []string
	text := strings.ReplaceAll(string(data), "\\\n", " ") // a line may go on
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(key) {
		case "NTP", "FallbackNTP":
			found = append(found, strings.Fields(value)...)
		}
	}
	return found
}
