package scenario

import (
	"embed"
	"errors"
	"io/fs"
	"slices"
)

//go:embed library/*.lambda
var embedded embed.FS

// Extension is how the names of files of scenarios end.
const Extension = ".lambda"

// Files are the files of the scenarios that come with Komondor, by name: what Builtin reads, to be read.
func Files() map[string][]byte {
	files := map[string][]byte{}
	names, _ := fs.Glob(embedded, "library/*"+Extension)
	for _, name := range names {
		files[name], _ = embedded.ReadFile(name)
	}
	return files
}

// Builtin returns the scenarios that come with Komondor, by name. A mistake in them is one of the
// program.
func Builtin() (scenarios []*Scenario) {
	for name, text := range Files() {
		parsed, err := Parse(name, text)
		if err != nil {
			panic(err) // they are part of the program, and each test reads them
		}
		scenarios = append(scenarios, parsed...)
	}
	slices.SortFunc(scenarios, byName)
	return scenarios
}

// Library is a set of scenarios of different names, ready to be used. It does not change.
type Library struct{ scenarios []*Scenario }

// NewLibrary puts scenarios together; two of one name are an error.
func NewLibrary(scenarios ...*Scenario) (Library, error) {
	var errs []error
	sorted := slices.SortedStableFunc(slices.Values(scenarios), byName)
	for i, s := range sorted {
		if i > 0 && sorted[i-1].Name == s.Name {
			errs = append(errs, s.at.errorf("scenario %s: there are two of this name: give this one another", s.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Library{}, err
	}
	return Library{sorted}, nil
}

// All are the library's scenarios, by name.
func (l Library) All() []*Scenario { return slices.Clone(l.scenarios) }

// Named is the scenario of the name.
func (l Library) Named(name string) (*Scenario, bool) {
	i := slices.IndexFunc(l.scenarios, func(s *Scenario) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return l.scenarios[i], true
}

func byName(a, b *Scenario) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}
