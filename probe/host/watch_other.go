//go:build !linux

package host

import (
	"context"
	"errors"

	"github.com/komondor/komondor/event"
)

// Watch needs the process connector of Linux.
func Watch(context.Context, Rules, func(string), func(Stats), func(event.Event) error) error {
	return errors.New("the programs of a host can be watched on Linux only")
}
