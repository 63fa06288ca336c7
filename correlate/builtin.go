package correlate

import (
	"embed"
	"io/fs"
	"maps"
	"slices"
)

//go:embed rules/*.yml rules/situations/*.yml rules/relations/*.yml
var embedded embed.FS

// Files are the files of the rules and relations that come with Komondor, by name: what Builtin,
// Situations and BuiltinRelations load, to be read.
func Files() map[string][]byte {
	files := matching("rules/*.yml")
	maps.Copy(files, matching("rules/situations/*.yml"))
	maps.Copy(files, matching("rules/relations/*.yml"))
	return files
}

// Builtin returns the rules that are loaded without any configuration, with the defaults of the
// design, section 4. A mistake in them is one of the program.
func Builtin() []Rule { return mustLoad(Load, matching("rules/*.yml")) }

// Situations returns the seven situations of paper 003: the combinations of attack, source and
// target, each a rule. They are loaded where they are asked for, since each is a key more, and so
// reports more, for every event.
func Situations() []Rule { return mustLoad(Load, matching("rules/situations/*.yml")) }

// BuiltinRelations returns the relations that hold without any configuration.
func BuiltinRelations() []Relation {
	return mustLoad(LoadRelations, matching("rules/relations/*.yml"))
}

func matching(pattern string) map[string][]byte {
	files := map[string][]byte{}
	names, _ := fs.Glob(embedded, pattern)
	for _, name := range names {
		files[name], _ = embedded.ReadFile(name)
	}
	return files
}

func mustLoad[T any](load func(file string, text []byte) ([]T, error), files map[string][]byte) (all []T) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		loaded, err := load(name, files[name])
		if err != nil {
			panic(err) // they are part of the program, and each test loads them
		}
		all = append(all, loaded...)
	}
	return all
}
