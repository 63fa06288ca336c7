package probe

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/komondor/komondor/probe/follow"
	"github.com/komondor/komondor/probe/text"
)

// logReader is a program that reads an sshd log, in this process or in its own.
type logReader struct {
	name  string
	lines int // of the log, as many as it gets
	// read reads a file and returns the CPU seconds that it took, and what it
	// took for evidence.
	read func(path string) (cpu float64, evidence string, err error)

	rates    []float64 // lines a CPU second, by round
	evidence string
	missing  error
}

// BenchmarkPeers has a plain line scan, our parser, sshguard's and fail2ban-regex
// read one log by turns, and logs a table of lines a CPU second: medians over the
// rounds, of the ratios too. Other programs on the machine then slow down all
// alike. What a program takes for an empty log, to start, does not count; and
// fail2ban-regex, the slowest by far, gets the first lines only.
func BenchmarkPeers(b *testing.B) {
	const all, few = 1_000_000, 50_000
	dir, size := b.TempDir(), 0
	files := map[int]string{}
	for _, n := range []int{0, few, all} {
		log := newSSHMix(1).log(n)
		files[n], size = filepath.Join(dir, fmt.Sprintf("%d.log", n)), len(log)
		if err := os.WriteFile(files[n], log, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	sshd, err := Builtin().Lookup("sshd")
	if err != nil {
		b.Fatal(err)
	}
	readers := []*logReader{
		{name: "plain line scan", lines: all, read: func(path string) (float64, string, error) {
			cpu, err := inside(b, path, func(follow.Line) error { return nil })
			return cpu, "–", err
		}},
		{name: "Komondor's parser", lines: all, read: func(path string) (float64, string, error) {
			events, p := 0, sshd.New(testClock)
			cpu, err := inside(b, path, func(l follow.Line) error {
				_, ok, err := p.Parse(text.Line{File: path, Number: l.Number, Bytes: l.Bytes})
				if ok {
					events++
				}
				return err
			})
			return cpu, fmt.Sprint(events), err
		}},
		{name: "sshguard's parser", lines: all, read: func(path string) (float64, string, error) {
			cpu, out, err := outside(path, "sshg-parser")
			return cpu, fmt.Sprint(bytes.Count(out, []byte("\n"))), err
		}},
		{name: "fail2ban-regex", lines: few, read: func(path string) (float64, string, error) {
			cpu, out, err := outside("", "fail2ban-regex", "--usedns=no", "--print-no-missed", "--print-no-ignored", path, "sshd")
			_, out, _ = bytes.Cut(out, []byte(" ignored, ")) // "Lines: 9 lines, 1 ignored, 5 matched, 3 missed"
			matched, _, _ := bytes.Cut(out, []byte(" "))
			return cpu, string(matched), err
		}},
	}
	for b.Loop() {
		for _, r := range readers {
			start, _, err := r.read(files[0])
			if err != nil {
				r.missing = err
				continue
			}
			cpu, evidence, err := r.read(files[r.lines])
			if err != nil {
				b.Fatal(r.name, ": ", err)
			}
			r.rates, r.evidence = append(r.rates, float64(r.lines)/(cpu-start)), evidence
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d rounds, %d bytes a line\n", b.N, size/all)
	fmt.Fprintln(&table, "| program | lines | evidence | lines a CPU second | Komondor reads |\n| --- | --- | --- | --- | --- |")
	for _, r := range readers {
		if r.missing != nil {
			fmt.Fprintf(&table, "| %s | missing: %v | | | |\n", r.name, r.missing)
			continue
		}
		var ratios []float64
		for i := range r.rates {
			ratios = append(ratios, readers[1].rates[i]/r.rates[i])
		}
		fmt.Fprintf(&table, "| %s | %d | %s | %.3g M | %.3g times as many |\n", r.name, r.lines, r.evidence, median(r.rates)/1e6, median(ratios))
	}
	b.Log(&table)
	b.ReportMetric(median(readers[1].rates), "lines/cpu-s")
}

func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// inside reads a file line by line in this process.
func inside(b *testing.B, path string, handle func(follow.Line) error) (cpu float64, _ error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	start := cpuSeconds()
	err = follow.Lines(b.Context(), f, 0, handle)
	return cpuSeconds() - start, err
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// outside runs another program over a file.
func outside(input, program string, arguments ...string) (cpu float64, out []byte, err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/libexec/sshguard/" + program) // Debian's
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%s is in Debian's packages fail2ban and sshguard: %w", program, err)
	}
	cmd := exec.Command(path, arguments...)
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			return 0, nil, err
		}
		defer f.Close()
		cmd.Stdin = f
	}
	if out, err = cmd.Output(); err != nil {
		return 0, nil, err
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), out, nil
}
