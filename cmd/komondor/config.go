package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/custom"
)

// configuration is a YAML file in which every flag of join has its own name, and probes are
// described that are not built in.
type configuration struct {
	path string
	root *yaml.Node // a mapping; nil where there is no file
}

const probesKey = "probes"

// readConfiguration reads the file, which may be missing unless it was named.
func readConfiguration(path string, named bool) (c configuration, err error) {
	c.path = path
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return c, nil // empty, or comments only
	}
	c.root = document.Content[0]
	if c.root.Kind != yaml.MappingNode {
		return c, fmt.Errorf("configuration %s:%d: want `name: value` lines", path, c.root.Line)
	}
	return c, nil
}

// configure sets the flags that the command line leaves unset.
func (c configuration) configure(flags *pflag.FlagSet) error {
	if c.root == nil {
		return nil
	}
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for i := 0; i+1 < len(c.root.Content); i += 2 {
		key, value := c.root.Content[i], c.root.Content[i+1]
		if key.Value == probesKey {
			continue
		}
		flag := flags.Lookup(key.Value)
		if flag == nil || key.Value == "config" || key.Value == "help" {
			return fmt.Errorf("configuration %s:%d: there is no setting %q; there are %s", c.path, key.Line, key.Value, settings(flags))
		}
		if given[flag.Name] {
			continue
		}
		for _, item := range items(value) {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("configuration %s:%d: %s: want a value or a list of values", c.path, item.Line, key.Value)
			}
			if err := flags.Set(flag.Name, item.Value); err != nil {
				return fmt.Errorf("configuration %s:%d: %s: %w", c.path, item.Line, key.Value, err)
			}
		}
	}
	return nil
}

// formats are the built-in ones and those that the file describes.
func (c configuration) formats() (probe.Formats, error) {
	if c.root == nil {
		return probe.Builtin(), nil
	}
	for i := 0; i+1 < len(c.root.Content); i += 2 {
		if c.root.Content[i].Value != probesKey {
			continue
		}
		own, err := custom.Formats(c.root.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("configuration %s: %w", c.path, err)
		}
		all, err := probe.Builtin().With(own)
		if err != nil {
			return nil, fmt.Errorf("configuration %s: probes: %w", c.path, err)
		}
		return all, nil
	}
	return probe.Builtin(), nil
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
	return strings.Join(append(names, probesKey), ", ")
}
