//go:build !linux

package packet

import (
	"context"
	"fmt"
	"runtime"
)

// Live is a capture of an interface, on Linux.
type Live struct{}

// Listen says that packets can only be captured on Linux.
func Listen(d Device) (*Live, error) {
	return nil, fmt.Errorf("capture on %q: on %s packets cannot be captured; let tcpdump write a file, and read that", d.Name, runtime.GOOS)
}

// Each has nothing to hand on: there is no Live to call it on.
func (*Live) Each(context.Context, func(*Packet) error) error { return nil }

// Stats is zero.
func (*Live) Stats() Stats { return Stats{} }

// Away is false.
func (*Live) Away() bool { return false }

// Close does nothing.
func (*Live) Close() error { return nil }
