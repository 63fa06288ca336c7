package probe

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// The truth tests compare the parsers with what independent tools found in real
// and laboratory logs. Where we differ on purpose, truthDifferences says why
// (docs/truth.md tells it in prose); a difference that is not listed fails, and
// so does a listed one that is gone.

const shared = "../../shared/data"

// differences lists all of them, for the sensors of each family.
func differences() []truthDifference {
	return slices.Concat(truthDifferences, daemonDifferences, networkDifferences)
}

// report checks one file against its truth.
type report struct {
	t    *testing.T
	file string
	seen map[string]bool // the listed differences that were met, as "FILE ITEM"
}

func (r *report) differ(item string, got, want any) {
	r.t.Helper()
	if fmt.Sprint(got) == fmt.Sprint(want) {
		return
	}
	difference := fmt.Sprintf("%s: %v, not %v", item, got, want)
	for _, d := range differences() {
		if item, ok := d.find(r.file, difference); ok {
			r.seen[r.file+" "+item] = true
			return
		}
	}
	r.t.Errorf("unlisted difference in %s: %s", r.file, difference)
}

// truth runs a check over the files of a pattern that have a truth file, and
// fails for differences that are listed and gone.
func truth(t *testing.T, patterns []string, check func(r *report, log, truth []byte)) {
	t.Helper()
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("the shared test data is absent: no %s", shared)
	}
	seen := map[string]bool{}
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(shared, pattern+".truth.json"))
		if err != nil || len(found) == 0 {
			t.Errorf("no file %s", pattern)
		}
		for _, path := range found {
			path = strings.TrimSuffix(path, ".truth.json")
			file, _ := filepath.Rel(shared, path)
			files = append(files, file)
			t.Run(file, func(t *testing.T) {
				want, err := os.ReadFile(path + ".truth.json")
				if err != nil {
					t.Fatal(err)
				}
				check(&report{t, file, seen}, readLog(t, path), want)
			})
		}
	}
	for _, d := range differences() {
		for _, file := range d.files {
			for _, item := range d.items {
				if slices.Contains(files, file) && !seen[file+" "+item] {
					t.Errorf("listed as a difference and is none: %s %s", file, item)
				}
			}
		}
	}
}

func readLog(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// events returns what a format finds in a log; anything malformed is a difference.
func (r *report) events(format string, log []byte) (events []event.Event) {
	r.t.Helper()
	f, err := Builtin().Lookup(format)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, p := range parseAll(r.t, f, testClock, r.file, log) {
		if p.Error != "" {
			r.differ(fmt.Sprintf("error %d", i), p.Error, "none")
			continue
		}
		events = append(events, p.Event)
	}
	return events
}

// perSource counts the observations of a kind by source; each pattern has its own column.
func perSource(events []event.Event, want func(event.Event) int) map[string]int {
	counts := map[string]int{}
	for _, ev := range events {
		if n := want(ev); n > 0 {
			counts[ev.Source.Addr.String()] += n
		}
	}
	return counts
}

func linesOf(kind event.Kind) func(event.Event) int {
	return func(ev event.Event) int {
		if ev.Kind == kind {
			return 1
		}
		return 0
	}
}

// TestTruthAuth compares counts per source with those of grep and sed.
func TestTruthAuth(t *testing.T) {
	type column struct {
		Total     int            `json:"total"`
		PerSource map[string]int `json:"per_source"`
	}
	type authTruth struct {
		Failed        column `json:"failed_auth_lines"`
		FailedRepeats column `json:"failed_attempts_including_repeats"`
		Invalid       column `json:"invalid_user_lines"`
		PAM           column `json:"pam_authentication_failure_lines"`
		Accepted      column `json:"accepted_logins"`
		NoVersion     column `json:"no_identification_string"`
		Closed        column `json:"connection_closed_preauth"`
		TriesExceeded column `json:"max_auth_attempts_exceeded"`
	}
	truth(t, []string{"auth/*.log", "auth-4probes/*.log", "lab/*/auth*.log"}, func(r *report, log, want []byte) {
		w := decode[authTruth](r.t, want)
		events := r.events("sshd", log)
		r.differ("failed", perSource(events, linesOf(event.SSHLoginFailed)), w.Failed.PerSource)
		r.differ("failed with repeats", perSource(events, func(ev event.Event) int {
			return linesOf(event.SSHLoginFailed)(ev) * ev.Count
		}), w.FailedRepeats.PerSource)
		r.differ("invalid user", perSource(events, linesOf(event.SSHUserInvalid)), w.Invalid.PerSource)
		r.differ("pam", perSource(events, linesOf(event.SSHPAMFailed)), w.PAM.PerSource)
		r.differ("accepted", perSource(events, linesOf(event.SSHLoginAccepted)), w.Accepted.PerSource)
		r.differ("no identification", perSource(events, linesOf(event.SSHProtocol)), w.NoVersion.PerSource)
		r.differ("tries exceeded", perSource(events, linesOf(event.SSHTriesExceeded)), w.TriesExceeded.PerSource)
		closed, lines := 0, bytes.Split(log, []byte("\n"))
		for _, ev := range events {
			if ev.Kind == event.SSHPreauthClosed && bytes.Contains(lines[ev.Line-1], []byte("Connection closed by")) {
				closed++
			}
		}
		r.differ("closed before login", closed, w.Closed.Total)
	})
}

// TestTruthRFC5424 compares the laboratory's RFC 5424 files with the RFC 3339 ones.
func TestTruthRFC5424(t *testing.T) {
	for n := 1; n <= 4; n++ {
		dir := filepath.Join(shared, fmt.Sprintf("lab/probe%d", n))
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("the shared test data is absent: no %s", dir)
		}
		f, _ := Builtin().Lookup("sshd")
		iso := parseAll(t, f, testClock, "auth.log", readLog(t, filepath.Join(dir, "auth.iso.log")))
		rfc := parseAll(t, f, testClock, "auth.log", readLog(t, filepath.Join(dir, "auth.rfc5424.log")))
		old := parseAll(t, f, testClock, "auth.log", readLog(t, filepath.Join(dir, "auth.log")))
		if len(iso) == 0 || !slices.Equal(iso, rfc) {
			t.Errorf("probe %d: %d events in RFC 3339, %d in RFC 5424, or they differ", n, len(iso), len(rfc))
		}
		for i := range old { // whole seconds, and a year of our own
			iso[i].Time = iso[i].Time.Truncate(time.Second)
		}
		if !slices.Equal(iso, old) {
			t.Errorf("probe %d: RFC 3164 differs", n)
		}
	}
}

// evidence maps the lines that are evidence to their source; logins that
// succeeded and PAM's copies of failures are none.
func evidence(events []event.Event) map[int64]string {
	m := map[int64]string{}
	for _, ev := range events {
		if ev.Severity > 0 && ev.Kind != event.SSHPAMFailed {
			m[ev.Line] = ev.Source.Addr.String()
		}
	}
	return m
}

func hostOf(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return s
}

// TestTruthFail2ban compares line by line with fail2ban's own annotations.
func TestTruthFail2ban(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line  int64  `json:"line"`
			Text  string `json:"text"`
			Match bool   `json:"expect_match"`
			Host  string `json:"host"`
			Other struct {
				IP4 string `json:"ip4"`
				IP6 string `json:"ip6"`
			} `json:"other"`
		} `json:"entries"`
	}
	files := []string{"fail2ban/ssh/sshd-*.log", "fail2ban/web/apache-*.log", "fail2ban/web/nginx-*.log", "fail2ban/ftp/vsftpd.log"}
	truth(t, files, func(r *report, log, want []byte) {
		w := decode[annotated](r.t, want)
		format := "sshd"
		switch {
		case strings.Contains(r.file, "journal"):
			format, log = "journald", journalOf(log)
		case strings.Contains(r.file, "nginx-bad-request"):
			format = "web-access"
		case strings.Contains(r.file, "/web/"):
			format = "web-error"
		case strings.Contains(r.file, "/ftp/"):
			format = "vsftpd"
		}
		got := evidence(r.events(format, log))
		for _, e := range w.Entries {
			host := ""
			if e.Match {
				host = hostOf(e.Host + e.Other.IP4 + e.Other.IP6)
			}
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], host)
		}
	})
}

// journalOf makes journal entries of "HOST sshd[PID]: MESSAGE".
func journalOf(log []byte) (entries []byte) {
	for line := range bytes.Lines(log) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "[")
		pid, message, _ := strings.Cut(rest, "]: ")
		entry, _ := json.Marshal(map[string]string{
			"__REALTIME_TIMESTAMP": "1762077600000000", "_COMM": "sshd", "_PID": pid, "_UID": "0", "MESSAGE": message,
		})
		entries = append(append(entries, entry...), '\n')
	}
	return entries
}

// TestTruthSSHGuard compares line by line with SSHGuard's regression tests, which
// are half whole lines and half messages.
func TestTruthSSHGuard(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line    int64  `json:"line"`
			Section string `json:"section"`
			Text    string `json:"text"`
			Attack  bool   `json:"attack"`
			Address string `json:"address"`
		} `json:"entries"`
	}
	truth(t, []string{"sshguard/tests-halfA.log"}, func(r *report, log, want []byte) {
		w := decode[annotated](r.t, want)
		for _, format := range append([]string{"sshd"}, sshguardFormats()...) {
			var wrapped []byte
			for _, e := range w.Entries {
				if h := (text.Header{}); !h.Split([]byte(e.Text)) && sshguardServices[e.Section].format == format {
					wrapped = append(wrapped, sshguardHeader(e.Section, e.Text)...)
				}
				wrapped = append(append(wrapped, e.Text...), '\n')
			}
			got := evidence(r.events(format, wrapped))
			for _, e := range w.Entries {
				host := ""
				ours := sshguardServices[e.Section].format == format || format == "sshd" && strings.Contains(e.Text, "sshd[") || format == "pfsense-gui" && strings.Contains(e.Text, "php-fpm[")
				if e.Attack && ours {
					host = hostOf(e.Address)
				}
				r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], host)
			}
		}
	})
}

// TestTruthPrelude compares with the rules of prelude-lml: line, outcome, address.
func TestTruthPrelude(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line       int64             `json:"line"`
			Completion string            `json:"completion"`
			Captures   []string          `json:"captures"`
			Assign     map[string]string `json:"assign"`
		} `json:"entries"`
	}
	truth(t, []string{"prelude/ssh.log"}, func(r *report, log, want []byte) {
		got := map[int64]string{}
		for _, ev := range r.events("sshd", log) {
			outcome := "failed"
			if ev.Kind == event.SSHLoginAccepted {
				outcome = "succeeded"
			}
			got[ev.Line] = outcome + " " + ev.Source.Addr.String()
		}
		for _, e := range decode[annotated](r.t, want).Entries {
			source := e.Assign["source(0).node.address(0).address"] + e.Assign["source(0).node.name"]
			if e.Completion == "" {
				continue // a remark on a line that has another entry
			}
			for i, capture := range e.Captures {
				source = strings.ReplaceAll(source, fmt.Sprintf("$%d", i+1), capture)
			}
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], strings.TrimSpace(e.Completion+" "+source))
		}
	})
}

// TestTruthCrowdSec compares with the parser's results per line and with the
// sources of the scenarios that overflowed.
func TestTruthCrowdSec(t *testing.T) {
	type hubTest struct {
		Overflows []struct {
			Sources map[string]any `json:"sources"`
			Events  int            `json:"events_count"`
		} `json:"overflows"`
		Parsers map[string][]struct {
			Success bool `json:"success"`
			Meta    struct {
				Source string `json:"source_ip"`
			} `json:"meta"`
		} `json:"parsers"`
	}
	truth(t, []string{"crowdsec/ssh-bf/*.log", "crowdsec/ssh-generic-test/*.log", "crowdsec/sshd-logs/*.log", "crowdsec/sshd-refused-conn/*.log"}, func(r *report, log, want []byte) {
		w := decode[hubTest](r.t, want)
		events := r.events("sshd", log)
		got, counts := map[int64]string{}, perSource(events, func(event.Event) int { return 1 })
		for _, ev := range events {
			got[ev.Line] = ev.Source.Addr.String()
		}
		for name, results := range w.Parsers {
			if strings.HasSuffix(name, "crowdsecurity/sshd-logs") {
				for i, result := range results {
					r.differ(fmt.Sprintf("line %d", i+1), got[int64(i+1)], hostOf(result.Meta.Source))
				}
			}
		}
		for i, o := range w.Overflows {
			for source := range o.Sources {
				r.differ(fmt.Sprintf("overflow %d of %s", i, source), counts[source], o.Events)
			}
		}
	})
}

// TestTruthOSSEC compares with OSSEC's groups.
func TestTruthOSSEC(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line   int64    `json:"line"`
			Groups []string `json:"rule_groups"`
		} `json:"entries"`
	}
	truth(t, []string{"ossec/sshd.log"}, func(r *report, log, want []byte) {
		got := map[int64]bool{}
		for _, ev := range r.events("sshd", log) {
			got[ev.Line] = true
		}
		for _, e := range decode[annotated](r.t, want).Entries {
			failure := slices.Contains(e.Groups, "authentication_failed") || slices.Contains(e.Groups, "access_denied")
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], failure)
		}
	})
}

// TestTruthJournald compares counts per source with those of jq.
func TestTruthJournald(t *testing.T) {
	type journalTruth struct {
		Failed  map[string]int `json:"failed_auth"`
		Invalid map[string]int `json:"invalid_user"`
	}
	truth(t, []string{"journald/*"}, func(r *report, log, want []byte) {
		w := decode[journalTruth](r.t, want)
		events := r.events("journald", log)
		r.differ("failed", perSource(events, linesOf(event.SSHLoginFailed)), w.Failed)
		r.differ("invalid user", perSource(events, linesOf(event.SSHUserInvalid)), w.Invalid)
	})
}

// TestTruthWeb compares the phpMyAdmin scan of the laboratory, and a real log in which
// there is none, with counts by jq and grep.
func TestTruthWeb(t *testing.T) {
	type counts struct {
		Lines      int `json:"clf_lines"`
		PHPMyAdmin struct {
			PerClient map[string]int `json:"per_client"`
		} `json:"phpmyadmin_like_requests"`
	}
	truth(t, []string{"lab/probe*/nginx-access.log", "web/elastic-apache_logs.log"}, func(r *report, log, want []byte) {
		w := decode[counts](r.t, want)
		format, err := Builtin().Detect(log[:min(len(log), 64<<10)])
		if err != nil || format.Name != "web-access" {
			r.t.Errorf("Detect gives %q, %v", format.Name, err)
		}
		r.differ("lines", format.Recognise(log), w.Lines)
		got := perSource(r.events("web-access", log), func(ev event.Event) int {
			if ev.Vulnerability == "phpmyadmin" {
				return 1
			}
			return 0
		})
		for client := range w.PHPMyAdmin.PerClient {
			r.differ("phpMyAdmin "+client, got[client], w.PHPMyAdmin.PerClient[client])
		}
		for client := range got {
			if w.PHPMyAdmin.PerClient[client] == 0 {
				r.differ("phpMyAdmin "+client, got[client], 0)
			}
		}
	})
}

// TestTruthFTP compares refused logins for each client with the laboratory's plan.
func TestTruthFTP(t *testing.T) {
	type counts struct {
		Failed map[string]int `json:"fail_login_per_client"`
	}
	truth(t, []string{"lab/probe*/vsftpd.log"}, func(r *report, log, want []byte) {
		w := decode[counts](r.t, want)
		got := perSource(r.events("vsftpd", log), linesOf(event.FTPLoginFailed))
		r.differ("clients", len(got), len(w.Failed))
		for client, n := range w.Failed {
			r.differ("refused "+client, got[client], n)
		}
	})
}
