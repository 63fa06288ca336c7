package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/node"
	"github.com/komondor/komondor/respond"
)

// responding are the flags that say what the units that respond may do.
type responding struct {
	modes []string
	hooks []string
	undo  []string
}

func (r *responding) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&r.modes, "respond", nil, "what a unit may do against an attack, as `UNIT=MODE`: units block, flow, reset, process, hook; modes off, observe (default), approve, auto; may be repeated: docs/responses.md")
	f.StringArrayVar(&r.hooks, "hook", nil, "a program that unit hook may run, as `NAME=PROGRAM,ARGUMENT,...`; what happened is in its environment (KOMONDOR_...); may be repeated")
	f.StringArrayVar(&r.undo, "hook-undo", nil, "the arguments by which a hook's program undoes what it did, as `NAME=ARGUMENT,...`; may be repeated")
}

func (r *responding) read() (modes map[string]respond.Mode, hooks []respond.Hook, err error) {
	modes = map[string]respond.Mode{}
	for _, s := range r.modes {
		unit, mode, err := node.ParseResponse(s)
		if err != nil {
			return nil, nil, fmt.Errorf("--respond %w", err)
		}
		modes[unit] = mode
	}
	for _, s := range r.hooks {
		h, err := respond.ParseHook(s)
		if err != nil {
			return nil, nil, fmt.Errorf("--%w", err)
		}
		hooks = append(hooks, h)
	}
undoes:
	for _, s := range r.undo {
		name, arguments, _ := strings.Cut(s, "=")
		for i := range hooks {
			if hooks[i].Name == name {
				hooks[i].Undo = []string{}
				if arguments != "" {
					hooks[i].Undo = strings.Split(arguments, ",")
				}
				continue undoes
			}
		}
		return nil, nil, fmt.Errorf("--hook-undo %q: there is no --hook %s", s, name)
	}
	return modes, hooks, nil
}
