package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// configure sets the flags that the command line leaves unset from a YAML file,
// in which every flag has its own name. The file may be missing unless it was
// named.
func configure(flags *pflag.FlagSet, path string, named bool) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return nil // empty, or comments only
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("configuration %s:%d: want `name: value` lines", path, root.Line)
	}
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		flag := flags.Lookup(key.Value)
		if flag == nil || key.Value == "config" || key.Value == "help" {
			return fmt.Errorf("configuration %s:%d: there is no setting %q; there are %s", path, key.Line, key.Value, settings(flags))
		}
		if given[flag.Name] {
			continue
		}
		for _, item := range items(value) {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("configuration %s:%d: %s: want a value or a list of values", path, item.Line, key.Value)
			}
			if err := flags.Set(flag.Name, item.Value); err != nil {
				return fmt.Errorf("configuration %s:%d: %s: %w", path, item.Line, key.Value, err)
			}
		}
	}
	return nil
}

func items(value *yaml.Node) []*yaml.Node {
	if value.Kind == yaml.SequenceNode {
		return value.Content
	}
	return []*yaml.Node{value}
}

func settings(flags *pflag.FlagSet) string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "help" {
			names = append(names, f.Name)
		}
	})
	return strings.Join(names, ", ")
}
