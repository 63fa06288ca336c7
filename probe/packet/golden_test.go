package packet

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

func TestGolden(t *testing.T) {
	captures, _ := filepath.Glob("testdata/*.pcap*")
	if len(captures) == 0 {
		t.Fatal("no captures in testdata")
	}
	for _, path := range captures {
		t.Run(filepath.Base(path), func(t *testing.T) {
			capture, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Open(bytes.NewReader(capture))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			err = f.Each(context.Background(), func(p *Packet) error {
				fmt.Fprintf(&got, "%d %d.%09d %d bytes, device %d: %s\n", p.Number, p.Time/1e9, p.Time%1e9, p.Length, p.FromDevice, p.show())
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(&got, "%+v\n", f.Stats())
			golden := strings.TrimSuffix(path, filepath.Ext(path)) + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s: got\n%swant\n%s", path, got.String(), want)
			}
		})
	}
}
