package main

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// TestJSON holds what the help says: every command that answers has --json. The others run, draw, or print JSON anyway.
func TestJSON(t *testing.T) {
	without := []string{"komondor join", "komondor parse", "komondor scenario graph"}
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			check(sub)
		}
		answers := c.Runnable() && (!c.HasSubCommands() || c.Flags().Lookup("data") != nil) && c.Parent() != nil && c.Parent().Name() != "completion"
		if got, want := c.Flags().Lookup("json") != nil, answers && !slices.Contains(without, c.CommandPath()); got != want {
			t.Errorf("%s: has --json: %v, want %v", c.CommandPath(), got, want)
		}
	}
	check(newRoot())
}
