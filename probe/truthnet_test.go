package probe

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

// TestTruthFirewall compares counts per source with those of grep over psad's regression
// tests, and over DShield's form of them.
func TestTruthFirewall(t *testing.T) {
	type firewallTruth struct {
		PerSource []struct {
			Source  string `json:"src"`
			Lines   int    `json:"lines"`
			Targets int    `json:"distinct_dst"`
			Ports   int    `json:"distinct_dst_proto_dport"`
		} `json:"per_source"`
		Flags map[string]int `json:"proto_and_tcp_flags"`
	}
	truth(t, []string{"firewall/*.log"}, func(r *report, log, want []byte) {
		w := decode[firewallTruth](r.t, want)
		events := r.events("netfilter", log)
		stealthy := 0
		type service struct {
			source, target event.Endpoint
			protocol       string
		}
		targets, services := map[service]bool{}, map[service]bool{}
		for _, e := range events {
			if e.Kind == event.ScanStealth {
				stealthy++
			}
			s := service{source: event.Endpoint{Addr: e.Source.Addr}, target: event.Endpoint{Addr: e.Target.Addr}}
			targets[s] = true
			s.target.Port, s.protocol = e.Target.Port, e.Protocol
			services[s] = true
		}
		of := func(m map[service]bool, source string) (n int) {
			for s := range m {
				if s.source.Addr.String() == source {
					n++
				}
			}
			return n
		}
		lines := perSource(events, func(event.Event) int { return 1 })
		for _, s := range w.PerSource {
			source := hostOf(s.Source)
			r.differ("lines of "+source, lines[source], s.Lines)
			r.differ("targets of "+source, of(targets, source), s.Targets)
			r.differ("services of "+source, of(services, source), s.Ports)
		}
		r.differ("FIN", stealthy, w.Flags["TCP FIN,"])
	})
}

// TestTruthZeek compares with counts by awk and jq.
func TestTruthZeek(t *testing.T) {
	type zeekTruth struct {
		States  map[string]int `json:"conn_state"`
		Notes   map[string]int `json:"notes"`
		Success map[string]int `json:"auth_success"`
		Replies map[string]int `json:"ftp_reply_codes"`
	}
	truth(t, []string{"zeek/*"}, func(r *report, log, want []byte) {
		w := decode[zeekTruth](r.t, want)
		states, kinds := map[string]int{}, map[event.Kind]int{}
		for _, e := range r.events("zeek", log) {
			kinds[e.Kind]++
			if e.Kind == event.ConnectionRefused {
				states[e.Detail]++
			}
		}
		for _, state := range []string{"S0", "REJ", "RSTOS0", "SH"} {
			r.differ("state "+state, states[state], w.States[state])
		}
		r.differ("address scans", kinds[event.ScanHorizontal], w.Notes["Scan::Address_Scan"])
		r.differ("port scans", kinds[event.ScanVertical], w.Notes["Scan::Port_Scan"])
		r.differ("sweeps", kinds[event.ScanSweep], w.Notes["ICMP::ICMPAddressScan"]+w.Notes["ICMP::AddressMaskScan"]+w.Notes["ICMP::TimestampScan"])
		r.differ("password guessing", kinds[event.BruteForce], w.Notes["SSH::Password_Guessing"]+w.Notes["FTP::Bruteforcing"])
		r.differ("failed SSH logins", kinds[event.SSHLoginFailed], w.Success["F"])
		r.differ("failed FTP logins", kinds[event.FTPLoginFailed], w.Replies["530"])
		rest := len(states)
		for k, n := range kinds {
			switch k {
			case event.ConnectionRefused, event.ScanHorizontal, event.ScanVertical, event.ScanSweep, event.BruteForce, event.SSHLoginFailed, event.FTPLoginFailed:
			default:
				rest += 100 * n
			}
		}
		r.differ("anything else", rest >= 100, false)
	})
}

// TestTruthHoneypots compares with counts by jq, and with what the laboratory's driver did.
func TestTruthHoneypots(t *testing.T) {
	type honeypotTruth struct {
		Failed    map[string]int `json:"login_failed_per_src"`
		Succeeded map[string]int `json:"login_success_per_src"`
		Connects  map[string]int `json:"connects_per_src"`
		Parsed    int            `json:"records_parsed"`
		Protocols map[string]struct {
			Records  int `json:"records"`
			Attempts int `json:"auth_attempts"`
		} `json:"by_protocol"`
		Top []struct {
			Source  string `json:"src"`
			Records int    `json:"records"`
			Ports   int    `json:"distinct_dport"`
		} `json:"per_source_top"`
	}
	truth(t, []string{"honeypot/*"}, func(r *report, log, want []byte) {
		w := decode[honeypotTruth](r.t, want)
		f, err := Builtin().Detect(log[:min(len(log), 64<<10)])
		if err != nil {
			r.t.Fatal(err)
		}
		if f.Name == "cowrie" {
			events := r.events("cowrie", log)
			logins := w.Failed
			for s, n := range w.Succeeded {
				logins[s] += n
			}
			r.differ("connections", perSource(events, linesOf(event.HoneypotContact)), w.Connects)
			r.differ("logins", perSource(events, linesOf(event.HoneypotLogin)), logins)
			return
		}
		malformed, total, logins := 0, 0, 0
		services, ports := map[string]int{}, map[string]map[uint16]bool{}
		sources := map[string]int{}
		for _, p := range parseAll(r.t, f, testClock, r.file, log) {
			if p.Error != "" {
				malformed++
				continue
			}
			total++
			if p.Kind == event.HoneypotLogin {
				logins++
			}
			source := p.Source.Addr.String()
			services[p.Detail]++
			sources[source]++
			if ports[source] == nil {
				ports[source] = map[uint16]bool{}
			}
			ports[source][p.Target.Port] = true
		}
		attempts := 0
		for name, p := range w.Protocols {
			attempts += p.Attempts
			if f.Name == "dionaea" {
				r.differ("records of "+name, services[name], p.Records)
			}
		}
		r.differ("records", total, w.Parsed)
		r.differ("logins", logins, attempts)
		for _, s := range w.Top {
			r.differ("records of "+s.Source, sources[s.Source], s.Records)
			r.differ("ports of "+s.Source, len(ports[s.Source]), s.Ports)
		}
	})
}

// networkFormats say which format a sample is of, by its directory.
var networkFormats = map[string]string{
	"crowdsec/iptables-scan-multi-port": "netfilter", "crowdsec/proxmox-iptables-logs": "netfilter", "crowdsec/unifi-logs": "netfilter",
	"crowdsec/mikrotik-logs": "mikrotik", "crowdsec/pf-logs": "filterlog", "crowdsec/unifi-cef": "unifi",
	"crowdsec/cowrie-logs": "cowrie", "crowdsec/endlessh-logs": "endlessh", "crowdsec/sshesame": "sshesame",
	"crowdsec/haproxy-logs": "haproxy", "crowdsec/haproxy-nextcloud-whitelist": "haproxy",
	"crowdsec/traefik_base-http-scenario": "traefik", "crowdsec/traefik_json": "traefik",
	"crowdsec/modsecurity": "web-error", "crowdsec/modsecurity-logs": "web-error", "crowdsec/modsecurity-logs-nginx": "web-error",
	"crowdsec/modsecurity-nginx": "web-error", "crowdsec/nginx_req_limit_exceeded": "web-error",
	"crowdsec/apache2-http-sensitive-files": "web-access", "crowdsec/http-admin-interface-probing": "web-access",
	"crowdsec/http-bf-wordpress-bf": "web-access", "crowdsec/http-dos-bypass-cache": "web-access",
	"crowdsec/http-dos-invalid-http-versions": "web-access", "crowdsec/http-dos-switching-ua": "web-access",
	"crowdsec/http-technology-probing": "web-access", "crowdsec/http-wordpress-scan": "web-access", "crowdsec/http-wordpress_user-enum": "web-access",
	"crowdsec/litespeed-http-sensitive-files": "web-access", "crowdsec/nginx-bad-user-agent": "web-access", "crowdsec/nginx-cve-2021-41773": "web-access",
	"crowdsec/nginx-http-generic-bf": "web-access", "crowdsec/nginx-http-malformed": "web-access", "crowdsec/nginx-http-sqli-probing": "web-access",
	"crowdsec/nginx-http-w00twoot": "web-access", "crowdsec/nginx-http-xss-probing": "web-access", "crowdsec/nginx-proxy-manager-malformed": "web-access",
	"crowdsec/nginx_http-catch-npm": "web-access",
}

// requests are parsed for all there is in an access log: what a line is evidence of, CrowdSec
// says in its scenarios.
var requests = []string{"web-access", "traefik", "haproxy"}

// TestTruthCrowdSecNetwork compares with CrowdSec's results: line by line where each line that is
// parsed is evidence, and by the sources of the scenarios that overflowed.
func TestTruthCrowdSecNetwork(t *testing.T) {
	type hubTest struct {
		Overflows []struct {
			Scenario string         `json:"scenario"`
			Sources  map[string]any `json:"sources"`
		} `json:"overflows"`
		Parsers map[string][]struct {
			Success bool `json:"success"`
			Meta    struct {
				Source string `json:"source_ip"`
			} `json:"meta"`
		} `json:"parsers"`
	}
	var patterns []string
	for dir := range networkFormats {
		patterns = append(patterns, dir+"/*.log")
	}
	slices.Sort(patterns)
	truth(t, patterns, func(r *report, log, want []byte) {
		w := decode[hubTest](r.t, want)
		format := networkFormats[r.file[:strings.LastIndexByte(r.file, '/')]]
		got, seen := map[int64]string{}, map[string]bool{}
		for _, ev := range r.events(format, log) {
			got[ev.Line] = ev.Source.Addr.String()
			seen[ev.Source.Addr.String()] = true
		}
		for name, results := range w.Parsers {
			if !strings.HasPrefix(name, "s01-parse|") || strings.HasSuffix(name, "/sshd-logs") || slices.Contains(requests, format) {
				continue
			}
			for i, result := range results {
				if !result.Success || result.Meta.Source == "" {
					continue // it says nothing of what it does not parse
				}
				r.differ(fmt.Sprintf("%s line %d", name[strings.LastIndexAny(name, "|/")+1:], i+1), got[int64(i+1)], hostOf(result.Meta.Source))
			}
		}
		for _, o := range w.Overflows {
			for source := range o.Sources {
				r.differ(fmt.Sprintf("%s of %s", o.Scenario[strings.LastIndexByte(o.Scenario, '/')+1:], source), seen[hostOf(source)], true)
			}
		}
	})
}

// TestTruthFail2banNetwork compares line by line with fail2ban's own annotations.
func TestTruthFail2banNetwork(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line  int64  `json:"line"`
			Match bool   `json:"expect_match"`
			Host  string `json:"host"`
		} `json:"entries"`
	}
	formats := map[string]string{
		"fail2ban/honeypot/cowrie.log": "cowrie", "fail2ban/portscan/portsentry.log": "portsentry", "fail2ban/web/php-url-fopen.log": "web-access",
	}
	truth(t, []string{"fail2ban/honeypot/*.log", "fail2ban/portscan/*.log", "fail2ban/web/php-url-fopen.log"}, func(r *report, log, want []byte) {
		got := evidence(r.events(formats[r.file], log))
		for _, e := range decode[annotated](r.t, want).Entries {
			host := ""
			if e.Match {
				host = hostOf(e.Host)
			}
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], host)
		}
	})
}

// TestTruthPreludeNetwork compares with the rules of prelude-lml that name a source.
func TestTruthPreludeNetwork(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line     int64             `json:"line"`
			Matches  bool              `json:"python_re_matches"`
			Captures []string          `json:"captures"`
			Assign   map[string]string `json:"assign"`
		} `json:"entries"`
	}
	formats := map[string]string{"netfilter": "netfilter", "portsentry": "portsentry", "honeyd": "honeyd", "httpd": "web-error"}
	truth(t, []string{"prelude/netfilter.log", "prelude/portsentry.log", "prelude/honeyd.log", "prelude/httpd.log"}, func(r *report, log, want []byte) {
		name := strings.TrimSuffix(strings.TrimPrefix(r.file, "prelude/"), ".log")
		got := evidence(r.events(formats[name], log))
		for _, e := range decode[annotated](r.t, want).Entries {
			source := e.Assign["source(0).node.address(0).address"]
			if !e.Matches || source == "" {
				continue
			}
			for i := len(e.Captures) - 1; i >= 0; i-- {
				source = strings.ReplaceAll(source, fmt.Sprintf("$%d", i+1), e.Captures[i])
			}
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line], hostOf(source))
		}
	})
}

// TestTruthOSSECNetwork compares with OSSEC's groups.
func TestTruthOSSECNetwork(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line   int64    `json:"line"`
			Expect string   `json:"expect"`
			Groups []string `json:"rule_groups"`
		} `json:"entries"`
	}
	formats := map[string]string{"web_rules": "web-access", "nginx": "web-error", "firewalld": "netfilter"}
	truth(t, []string{"ossec/web_rules.log", "ossec/nginx.log", "ossec/firewalld.log"}, func(r *report, log, want []byte) {
		format := formats[strings.TrimSuffix(strings.TrimPrefix(r.file, "ossec/"), ".log")]
		got := evidence(r.events(format, log))
		for _, e := range decode[annotated](r.t, want).Entries {
			attack := (e.Expect == "pass") == (slices.Contains(e.Groups, "attack") || slices.Contains(e.Groups, "authentication_failed"))
			if !slices.Contains(e.Groups, "attack") && !slices.Contains(e.Groups, "authentication_failed") {
				attack = false
			}
			r.differ(fmt.Sprintf("line %d", e.Line), got[e.Line] != "", attack)
		}
	})
}

// TestTruthSSHGuardNetwork compares with SSHGuard's regression tests of web servers.
func TestTruthSSHGuardNetwork(t *testing.T) {
	type annotated struct {
		Entries []struct {
			Line    int64  `json:"line"`
			Section string `json:"section"`
			Text    string `json:"text"`
			Attack  bool   `json:"attack"`
			Address string `json:"address"`
		} `json:"entries"`
	}
	want := map[int64]string{}
	var log []byte
	if b, err := os.ReadFile(shared + "/sshguard/tests-halfA.log.truth.json"); err == nil {
		for _, e := range decode[annotated](t, b).Entries {
			if e.Section == "Web" && e.Attack {
				want[int64(len(want)+1)] = hostOf(e.Address)
				log = append(append(log, e.Text...), '\n')
			}
		}
	} else {
		t.Skipf("the shared test data is absent: %v", err)
	}
	got := evidence((&report{t: t, file: "sshguard"}).events("web-access", log))
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
