// Package paper finds the results of paper 002 again with today's program: Table I,
// the messages that an event costs, and figure 9, how evenly the load is spread.
// Everything is deterministic by its seed.
package paper

// federation is part of what keys are hashed with. Any name would do.
const federation = "paper"
