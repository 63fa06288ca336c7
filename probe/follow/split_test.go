package follow

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// reference splits with bufio: slow and plain.
func reference(data []byte, maxLine int) (out []string) {
	r := bufio.NewReader(bytes.NewReader(data))
	for number, offset := 1, 0; ; number++ {
		line, err := r.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			return out
		}
		offset += len(line)
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		truncated := len(line) > maxLine
		line = line[:min(len(line), maxLine)]
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		out = append(out, fmt.Sprintf("%d %d %v %q", number, offset, truncated, line))
	}
}

func split(t testing.TB, r io.Reader, maxLine int) (out []string) {
	err := Lines(t.Context(), r, maxLine, func(l Line) error {
		out = append(out, fmt.Sprintf("%d %d %v %q", l.Number, l.End.Offset, l.Truncated, l.Bytes))
		return nil
	})
	must(t, err)
	return out
}

func TestLines(t *testing.T) {
	long := strings.Repeat("0123456789", 60_000)
	for _, text := range []string{"", "\n", "\r\n", "a", "a\r", "a\nb", "a\r\nb\r\n", "\x00\n\n\n", "a\r\r\n",
		"abcd\r\n", "abcd\n", "\xef\xbb\xbf", "\xef\xbb\xbfa\n\xef\xbb\xbfb", "abcde\n", "abcde\r\n", "abcd\r", "abcdefgh", long, long + "\r\nb\n" + long + "\n"} {
		for _, maxLine := range []int{1, 4, 100, space - 1, space, 1 << 20} {
			want := strings.Join(reference([]byte(text), maxLine), "\n")
			if got := strings.Join(split(t, strings.NewReader(text), maxLine), "\n"); got != want {
				t.Errorf("%.20q cut at %d:\n%.200s\nwant\n%.200s", text, maxLine, got, want)
			}
		}
	}
}

func TestLinesEnds(t *testing.T) {
	broken := errors.New("broken")
	if err := Lines(t.Context(), iotest.ErrReader(broken), 0, nil); err != broken {
		t.Errorf("got %v, want the reader's error", err)
	}
	if err := Lines(t.Context(), strings.NewReader("a\nb\n"), 0, func(Line) error { return broken }); err != broken {
		t.Errorf("got %v, want the handler's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lines(ctx, strings.NewReader("a\n"), 0, nil); err != context.Canceled {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestLinesAllocateNothing(t *testing.T) {
	text := strings.Repeat("Nov 22 05:03:00 host sshd[1]: session\n", 10_000)
	n := testing.AllocsPerRun(10, func() {
		Lines(t.Context(), strings.NewReader(text), 0, func(Line) error { return nil })
	})
	if n > 10 {
		t.Errorf("%v allocations for 10,000 lines", n)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), 2, true)
	f.Add(bytes.Repeat([]byte("abc\r\n\x00"), 100), 3, false)
	f.Fuzz(func(t *testing.T, data []byte, maxLine int, slow bool) {
		if maxLine = maxLine & 0xff; maxLine == 0 {
			maxLine = 1
		}
		var r io.Reader = bytes.NewReader(data)
		if slow {
			r = iotest.OneByteReader(r)
		}
		want := strings.Join(reference(data, maxLine), "\n")
		if got := strings.Join(split(t, r, maxLine), "\n"); got != want {
			t.Errorf("%q cut at %d:\n%s\nwant\n%s", data, maxLine, got, want)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	line := "Nov 22 05:03:00 host sshd[12345]: Failed password for invalid user admin from 192.0.2.1 port 40022 ssh2\n"
	text := strings.Repeat(line, 100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		Lines(b.Context(), strings.NewReader(text), 0, func(Line) error { lines++; return nil })
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
