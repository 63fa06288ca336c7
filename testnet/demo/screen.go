package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/testnet"
)

// screen is what the demo has seen so far, and how it shows it.
type screen struct {
	nodes []*testnet.Process
	live  bool // a terminal: the table is drawn over itself

	mu      sync.Mutex
	lines   []int // written to each node's log
	last    testnet.Written
	worm    []testnet.Written // the lines that name the attacker
	first   time.Time         // first line of the worm
	crossed time.Time         // when the last of them before the first alert was written
	line    string            // that line
	alerts  []control.Alert
	blocked []control.Block
	drawn   int                // lines of the table on the terminal
	kernel  chan testnet.Added // what the kernel says of its sets; nil in mode observe
}

func newScreen(nodes []*testnet.Process) *screen {
	return &screen{nodes: nodes, live: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "",
		lines: make([]int, len(nodes)), alerts: make([]control.Alert, len(nodes)), blocked: make([]control.Block, len(nodes))}
}

func (s *screen) wrote(w testnet.Written) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = w.At
	}
	s.lines[w.Host]++
	s.last = w
	if !strings.Contains(w.Text, "203.0.113.66") {
		return
	}
	s.worm = append(s.worm, w)
	if !s.live {
		fmt.Printf("  %6s  %s  %s\n", round(w.At.Sub(s.first)), s.nodes[w.Host].Name, message(w.Text))
	}
}

func (s *screen) alerted(i int, a control.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Scope != "federation" || a.Key.Value != "203.0.113.66" {
		return
	}
	for _, w := range slices.Backward(s.worm) {
		if w.At.After(a.Raised) {
			continue
		}
		if s.crossed.IsZero() || w.At.Before(s.crossed) {
			s.crossed, s.line = w.At, s.nodes[w.Host].Name+"  "+message(w.Text)
		}
		break
	}
	if s.alerts[i].ID == "" {
		s.alerts[i] = a
		if !s.live {
			fmt.Printf("  %6s  %s  alert: score %d, seen by %d: %s\n", round(a.Raised.Sub(s.first)), s.nodes[i].Name, a.Score, len(a.Sensors), a.Action)
		}
	}
}

// draw shows the table again and again until ctx ends.
func (s *screen) draw(ctx context.Context) {
	if !s.live {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.table(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	s.table(context.WithoutCancel(ctx))
}

func (s *screen) table(ctx context.Context) {
	rows := s.rows(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live && s.drawn > 0 {
		fmt.Printf("\x1b[%dA", s.drawn)
	}
	latest := ""
	if s.last.Text != "" && s.crossed.IsZero() {
		latest = s.nodes[s.last.Host].Name + "  " + message(s.last.Text)
	}
	rows = append(rows, "", cut(latest))
	for _, row := range rows {
		if s.live {
			row += "\x1b[K"
		}
		fmt.Println(row)
	}
	s.drawn = len(rows)
}

func (s *screen) rows(ctx context.Context) []string {
	rows := []string{fmt.Sprintf("  %-6s  %9s  %6s  %7s  %16s  %5s  %s", "", "LOG LINES", "EVENTS", "REPORTS", "COLLECTS KEYS OF", "ALERT", "203.0.113.66")}
	for i, p := range s.nodes {
		status, err := p.Status(ctx)
		if err != nil {
			continue
		}
		s.mu.Lock()
		alert, state := "", "free"
		if s.alerts[i].ID != "" {
			alert, state = "yes", s.alerts[i].Action
		}
		c := status.Counters
		rows = append(rows, fmt.Sprintf("  %-6s  %9d  %6d  %7d  %16s  %5s  %s", p.Name, s.lines[i], c.Events, c.Reports,
			fmt.Sprintf("%d reports", c.Collected), alert, cut(state)))
		s.mu.Unlock()
	}
	return rows
}

// settle waits until every participant blocks the worm.
func (s *screen) settle(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for i, p := range s.nodes {
		b, err := p.AwaitBlock(ctx, testnet.WormPrefix)
		errs = append(errs, err)
		s.mu.Lock()
		s.blocked[i] = b
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}

// conclude prints what happened and how long each step took, and fails if it is
// not what the demo promises.
func (s *screen) conclude(ctx context.Context) error {
	if !s.live {
		s.table(ctx)
	}
	var errs []error
	var reports, messages, lookups, events uint64
	collectors := []string{}
	raised := make([]time.Time, 0, len(s.nodes))
	for i, p := range s.nodes {
		status, err := p.Status(ctx)
		if err != nil {
			return err
		}
		c := status.Counters
		events, reports = events+c.Events, reports+c.Reports
		messages, lookups = messages+c.ReportMessages, lookups+c.LookupMessages
		if c.Collected > 0 {
			collectors = append(collectors, p.Name)
		}
		if i >= testnet.WormHosts && c.Events > 0 {
			errs = append(errs, fmt.Errorf("%s has %d events of its own: it was not meant to see any", p.Name, c.Events))
		}
		if s.alerts[i].ID == "" {
			errs = append(errs, fmt.Errorf("%s blocks without an alert of the federation", p.Name))
		} else {
			raised = append(raised, s.alerts[i].Raised)
		}
		blocks, err := p.Blocks(ctx)
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if b.Prefix.String() != testnet.WormPrefix {
				errs = append(errs, fmt.Errorf("%s blocks %s, who is innocent", p.Name, b.Prefix))
			}
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		return err
	}
	slices.SortFunc(raised, time.Time.Compare)
	last := slices.MaxFunc(s.blocked, func(a, b control.Block) int { return a.Since.Compare(b.Since) })
	if s.kernel != nil {
		if last.Since, err = s.announced(); err != nil {
			return err
		}
	}
	fmt.Printf(`
What happened:
  %-24s the worm's first line was written
  %-24s the line that crossed the threshold: %s
  %-24s the first collector (of %s) had the evidence and raised the alert
  %-24s the last of %d participants had verified it
  %-24s the last of %d had it %s in its own %s
%d events made %d reports in %d messages and %d lookup requests; %d participants block, %d of them never saw the worm.
`,
		"0", "+"+round(s.crossed.Sub(s.first)).String(), s.line,
		"+"+round(raised[0].Sub(s.crossed)).String(), strings.Join(collectors, ", "),
		"+"+round(raised[len(raised)-1].Sub(s.crossed)).String(), len(raised),
		"+"+round(last.Since.Sub(s.crossed)).String(), len(s.nodes), last.State, place(last.State),
		events, reports, messages, lookups, len(s.nodes), len(s.nodes)-testnet.WormHosts)
	return nil
}

// announced is when the kernel told of the last participant's element.
func (s *screen) announced() (last time.Time, err error) {
	worm, processes := netip.MustParsePrefix(testnet.WormPrefix).Addr(), 0
	for processes < len(s.nodes) {
		select {
		case e := <-s.kernel:
			if e.Addr == worm {
				processes++
				last = e.At
			}
		case <-time.After(time.Second):
			return last, fmt.Errorf("the kernel told of %d blocks of the worm, not of %d", processes, len(s.nodes))
		}
	}
	return last, nil
}

func place(state string) string {
	if state == "blocked" {
		return "kernel set"
	}
	return "list (mode observe)"
}

// message is a log line without host and process.
func message(text string) string {
	if _, m, ok := strings.Cut(text, "]: "); ok {
		return cut(m)
	}
	return cut(text)
}

func cut(s string) string {
	if len(s) > 70 {
		return s[:70] + "…"
	}
	return s
}
