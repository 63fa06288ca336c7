package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

// defaultData is where a node keeps its identity and store.
func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/komondor"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "komondor")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "komondor-data"
	}
	return filepath.Join(home, ".local", "share", "komondor")
}

// place are the flags by which a command finds the node.
type place struct {
	data, control string
}

func (p *place) register(c *cobra.Command) {
	c.Flags().StringVar(&p.data, "data", defaultData(), "the node's data `directory`")
	c.Flags().StringVar(&p.control, "control", "", "the node's control `socket` (default control.sock in the data directory)")
}

func (p *place) socket() string {
	if p.control != "" {
		return p.control
	}
	return filepath.Join(p.data, "control.sock")
}

func (p *place) client() *control.Client { return control.Dial(p.socket()) }
