package komondor_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/komondor/komondor"

// middle is the row between node and event: packages that do not know one another.
var middle = []string{
	"probe", "keyselect", "overlay", "correlate", "broadcast", "federation", "store", "block", "respond", "share", "web", "control",
}

// An arrow is one import of a package of ours by a file of ours. From and to are top-level folders: a folder's
// subpackages are its own affair, and the compiler keeps cycles out of them.
type arrow struct{ file, from, to string }

// arrows finds every import of a package of ours, in all files of all systems, test files included.
func arrows(tree fs.FS) ([]arrow, error) {
	var found []arrow
	err := fs.WalkDir(tree, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return fs.SkipDir // as the go command does
		}
		if entry.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", file, spec.Path.Value, err)
			}
			if imported == module || strings.HasPrefix(imported, module+"/") {
				to := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
				found = append(found, arrow{file, top(path.Dir(file)), top(to)})
			}
		}
		return nil
	})
	return found, err
}

// top is the first folder of a path, and empty for the root.
func top(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return strings.TrimPrefix(first, ".")
}

// wrong says why the arrow must not be, and is empty for one that may.
func (a arrow) wrong() string {
	isMiddle := func(folder string) bool { return slices.Contains(middle, folder) }
	for _, folder := range []string{a.from, a.to} {
		if !isMiddle(folder) && !slices.Contains([]string{"", "cmd", "testnet", "node", "event"}, folder) {
			return "the folder " + folder + " has no row yet: give it one in this test"
		}
	}
	switch {
	case a.from == a.to && a.from != "":
		return ""
	case a.to == "" || a.to == "cmd":
		return "the root and the commands are ends: nothing is built on them"
	case a.from == "":
		return "the root holds no code"
	case a.from == "event":
		return "event is the vocabulary: it must stay readable and usable without the rest"
	case isMiddle(a.from) && isMiddle(a.to):
		return "neighbours do not know one another: declare a small interface, and let node fit them together"
	case isMiddle(a.from) && a.to != "event":
		return "a part must work, and be tested, without the whole: the middle row imports event only"
	case a.from == "node" && a.to == "testnet":
		return "the product must not contain its test network"
	}
	return ""
}

func TestArrows(t *testing.T) {
	found, err := arrows(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no import of %s found: has the module another name?", module)
	}
	for _, a := range found {
		if why := a.wrong(); why != "" {
			t.Errorf("%s imports %s/%s: %s", a.file, module, a.to, why)
		}
	}
}

func TestForbiddenArrows(t *testing.T) {
	tests := []struct {
		file, imports string
		wrong         string // part of the reason; empty: allowed
	}{
		{"event/event.go", "probe", "vocabulary"},
		{"probe/ssh.go", "event", ""},
		{"probe/ssh.go", "probe/follow", ""},
		{"probe/ssh.go", "store", "neighbours"},
		{"probe/follow/follow.go", "store", "neighbours"},
		{"probe/ssh.go", "store/index", "neighbours"},
		{"probe/ssh_test.go", "block", "neighbours"},
		{"correlate/threshold.go", "node", "without the whole"},
		{"respond/flow.go", "block", "neighbours"},
		{"store/store_test.go", "testnet", "without the whole"},
		{"node/judge.go", "correlate/scenario", ""},
		{"node/judge.go", "event", ""},
		{"node/node_linux.go", "testnet", "test network"},
		{"node/node.go", "cmd/komondor", "ends"},
		{"node/node.go", "", "ends"},
		{"cmd/komondor/join.go", "node", ""},
		{"cmd/komondor/testnet.go", "testnet", ""},
		{"testnet/demo/main.go", "block", ""},
		{"doc.go", "event", "no code"},
		{"utils/strings.go", "event", "no row"},
	}
	for _, test := range tests {
		source := fmt.Sprintf("package p\n\nimport (\n\t\"fmt\"\n\n\t_ %q\n)\n", path.Join(module, test.imports))
		found, err := arrows(fstest.MapFS{test.file: {Data: []byte(source)}, "testdata/bad.go": {Data: []byte("no Go")}})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s with an import of %q: arrows %v, error %v; want one arrow", test.file, test.imports, found, err)
		}
		why := found[0].wrong()
		if (why == "") != (test.wrong == "") || !strings.Contains(why, test.wrong) {
			t.Errorf("%s imports %q: reason %q, want %q", test.file, test.imports, why, test.wrong)
		}
	}
}
