package paper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

// Labelled are logs and captures of several sites of whose sources others have said
// which attack.
type Labelled struct {
	Name, About string
	sites       [][]string // the files of each site, below the folder of all data
	label       func(below fs.FS, sites []Log) (labels, error)
}

// labels say of sources what they are. Of those in neither nothing is known.
type labels struct {
	attackers, innocents map[netip.Addr]bool
}

// LabelledData lists them.
func LabelledData() []Labelled {
	numbered := func(n int, patterns ...string) (sites [][]string) {
		for i := range n {
			var files []string
			for _, p := range patterns {
				files = append(files, strings.ReplaceAll(p, "#", fmt.Sprint(i+1)))
			}
			sites = append(sites, files)
		}
		return sites
	}
	return []Labelled{
		{"ec2-4", "sshd at Amazon in four parts; who tried an account that is not there", numbered(4, "auth-4probes/ec2-2014-probe#.log"), invalidUsers(1)},
		{"ec2-4, five tries", "the same; who did so five times, fail2ban's own threshold", numbered(4, "auth-4probes/ec2-2014-probe#.log"), invalidUsers(5)},
		{"lab", "four hosts with sshd, vsftpd and nginx, attacked to a plan", numbered(4, "lab/probe#/auth.iso.log", "lab/probe#/vsftpd.log", "lab/probe#/nginx-access.log"), toPlan},
		{"slow scan", "one source, 58 hosts at five sites", numbered(5, "synthetic/hscan-slow-ssh-probe#.pcap"), captured("synthetic/hscan-slow-ssh-merged.pcap.truth.json", "tcp_syn_only")},
		{"mixed scan", "forty sources, five sites", numbered(5, "synthetic/mixed-scan-probe#.pcap"), captured("synthetic/mixed-scan-merged.pcap.truth.json", "tcp_syn_only")},
		{"Slammer", "like its datagrams, five sites", numbered(5, "synthetic/slammer-like-probe#.pcap"), captured("synthetic/slammer-like-merged.pcap.truth.json", "udp")},
		{"honeypots", "Dionaea and Honeytrap, whom nobody has business with", [][]string{{"honeypot/dioneae_20k.json.gz"}, {"honeypot/honeytrap_5k.json.gz"}}, everybody(true)},
		{"web", "an ordinary site; its visitors of whom a line is evidence", [][]string{{"web/elastic-apache_logs.log"}}, everybody(false)},
	}
}

// Read reads the sites below folder and their labels; an error that is fs.ErrNotExist
// says that they are not there.
func (d Labelled) Read(ctx context.Context, folder string) (sites []Log, l labels, err error) {
	below := os.DirFS(folder)
	for i, files := range d.sites {
		site := Log{Name: fmt.Sprint("site ", i+1)}
		for _, file := range files {
			log, err := readLabelled(ctx, folder, file)
			if err != nil {
				return nil, l, fmt.Errorf("read %s below %s: %w", file, folder, err)
			}
			site.Events = append(site.Events, log.Events...)
		}
		slices.SortFunc(site.Events, event.Event.Compare)
		sites = append(sites, site)
	}
	l, err = d.label(below, sites)
	return sites, l, err
}

func readLabelled(ctx context.Context, folder, file string) (Log, error) {
	if !strings.HasSuffix(file, ".pcap") {
		return readFile(ctx, os.DirFS(folder), file)
	}
	path := filepath.Join(folder, file)
	if _, err := os.Stat(path); err != nil {
		return Log{}, err
	}
	log := Log{Name: file}
	_, err := node.Read(ctx, node.Source{Format: node.Pcap, Path: path}, func(e event.Event) error {
		log.Events = append(log.Events, e)
		return nil
	})
	return log, err
}

// truth reads what others have said of a file.
func truth(below fs.FS, name string, into any) error {
	data, err := fs.ReadFile(below, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// invalidUsers says that who has tried an account that is not there, so many times at least, attacks.
// Nobody logs in at that host, so there are no innocents to accuse.
func invalidUsers(times int) func(fs.FS, []Log) (labels, error) {
	return func(below fs.FS, _ []Log) (labels, error) {
		var t struct {
			Invalid struct {
				Sources map[netip.Addr]int `json:"per_source"`
			} `json:"invalid_user_lines"`
		}
		l := labels{attackers: map[netip.Addr]bool{}}
		err := truth(below, "auth/ec2-2014-auth.log.truth.json", &t)
		for source, n := range t.Invalid.Sources {
			if n >= times {
				l.attackers[source] = true
			}
		}
		return l, err
	}
}

// toPlan are the sources of the laboratory: its attackers have addresses of 203.0.113.0/24, and its users others.
func toPlan(below fs.FS, _ []Log) (labels, error) {
	var t struct {
		Sources []struct {
			Source netip.Addr `json:"src"`
		} `json:"per_source"`
	}
	l := labels{attackers: map[netip.Addr]bool{}, innocents: map[netip.Addr]bool{}}
	err := truth(below, "lab/ALL-probes.truth.json", &t)
	for _, s := range t.Sources {
		if netip.MustParsePrefix("203.0.113.0/24").Contains(s.Source) {
			l.attackers[s.Source] = true
		} else {
			l.innocents[s.Source] = true
		}
	}
	return l, err
}

// captured says that all senders of a made-up capture attack: tshark's list of them.
func captured(name, field string) func(fs.FS, []Log) (labels, error) {
	return func(below fs.FS, _ []Log) (labels, error) {
		var t map[string]json.RawMessage
		if err := truth(below, name, &t); err != nil {
			return labels{}, err
		}
		var senders struct {
			Top []struct {
				Source netip.Addr `json:"src"`
			} `json:"per_source_top"`
		}
		l := labels{attackers: map[netip.Addr]bool{}}
		err := json.Unmarshal(t[field], &senders)
		for _, s := range senders.Top {
			l.attackers[s.Source] = true
		}
		return l, err
	}
}

// everybody says that all sources of the events attack, or that none does.
func everybody(attacks bool) func(fs.FS, []Log) (labels, error) {
	return func(_ fs.FS, sites []Log) (labels, error) {
		all := map[netip.Addr]bool{}
		for _, site := range sites {
			for _, e := range site.Events {
				if e.Source.Addr.IsGlobalUnicast() {
					all[e.Source.Addr] = true
				}
			}
		}
		if attacks {
			return labels{attackers: all}, nil
		}
		return labels{innocents: all}, nil
	}
}

// labelled reads what is there, and says what is not.
func (p *page) labelled(ctx context.Context) error {
	p.say("## Labelled data: each site alone, together, and all events at one place")
	var rows [][]string
	var missing, differ []string
	for _, d := range LabelledData() {
		sites, l, err := d.Read(ctx, p.Data)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, d.Name)
			continue
		}
		if err != nil {
			return err
		}
		found, err := Detect(p.rules, sites)
		if err != nil {
			return err
		}
		rows = append(rows, found.row(d, l))
		for _, other := range found.differences() {
			differ = append(differ, d.Name+": "+other)
		}
	}
	if len(missing) > 0 {
		p.say("Not below %s: %s.", p.Data, strings.Join(missing, "; "))
	}
	if len(rows) == 0 {
		return p.err
	}
	p.say("Attackers known, of those labelled: at a site that has its own evidence only (the mean of all sites), at any site, at everybody through " +
		"reports and collectors, and with all events at one place. Innocents accused likewise, where there are labels of them. Alerts of all sites " +
		"alone, together, and at one place; and how many events there are to an alert that is told together.")
	p.table(2, []string{"data", "what it is", "sites", "events", "attackers", "one site alone", "any site", "together", "one place",
		"accused: alone", "together", "one place", "alerts: alone", "together", "one place", "events an alert"}, rows)
	if len(differ) == 0 {
		p.say("Together and at one place the same rules have found the same keys, with the same quorum.")
	} else {
		p.say("Together and at one place differ:\n\n- %s", strings.Join(differ, "\n- "))
	}
	return p.err
}
