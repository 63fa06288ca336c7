package packet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Live captures the packets of an interface, or of all, through a ring that the kernel
// and we share: packet(7), and Documentation/networking/packet_mmap.rst. It needs no
// library, and of capabilities CAP_NET_RAW.
type Live struct {
	device  Device
	ring    *ring
	decoder decoder

	mu    sync.Mutex
	stats Stats // as of the last time that Each waited for packets
}

// Listen begins to capture; Each hands on what comes. Who does not call Each calls Close.
func Listen(device Device) (*Live, error) {
	device = device.withDefaults()
	r, err := openRing(device)
	if err != nil {
		return nil, fmt.Errorf("capture on %q: %w", device.Name, err)
	}
	return &Live{device: device, ring: r}, nil
}

// Close ends the capture of a Live that is not in Each.
func (l *Live) Close() error {
	if l.ring == nil {
		return nil
	}
	err := l.ring.close()
	l.ring = nil
	return err
}

// Stats says what became of the packets so far, a moment ago. Any goroutine may ask.
func (l *Live) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Away says that the device has gone, and is waited for. Tick may ask.
func (l *Live) Away() bool { return l.ring == nil }

// Each hands on the packets as they come, in both directions, until ctx ends, which is
// no error; those of handle and of Tick are returned as they are. A device that goes
// away is waited for.
func (l *Live) Each(ctx context.Context, handle func(*Packet) error) error {
	defer func() {
		l.publish()
		l.Close()
	}()
	ticked := time.Now()
	for ctx.Err() == nil {
		if l.ring == nil {
			if err := l.reopen(ctx); err != nil {
				return err
			}
		} else if err := l.drain(ctx, handle); err != nil {
			return err
		} else if lost := l.ring.wait(ctx); lost != nil {
			l.device.Notice(fmt.Sprintf("capture on %q: %v; waiting for it", l.device.Name, lost))
			if err := l.drain(ctx, handle); err != nil { // what came before
				return err
			}
			l.Close()
		}
		if now := time.Now(); now.Sub(ticked) >= pause {
			ticked = now
			if err := l.device.Tick(now.UnixNano()); err != nil {
				return err
			}
		}
	}
	return nil
}

// drain hands on what is in the ring; under a flood it comes back after a second.
func (l *Live) drain(ctx context.Context, handle func(*Packet) error) error {
	for until := time.Now().Add(pause); ctx.Err() == nil && time.Now().Before(until); {
		more, err := l.ring.block(func(f *frame) error {
			if p := l.decoder.decode(f); p != nil {
				return handle(p)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	l.publish()
	return nil
}

// publish lets Stats know, and asks the kernel what it had to drop.
func (l *Live) publish() {
	if l.ring == nil {
		return
	}
	if dropped := l.ring.dropped(); dropped > 0 {
		if l.decoder.stats.Dropped == 0 {
			l.device.Notice(fmt.Sprintf("capture on %q: packets come faster than they are read, %d are lost so far; a larger ring (--packet-ring) helps against bursts", l.device.Name, dropped))
		}
		l.decoder.stats.Dropped += dropped
	}
	l.mu.Lock()
	l.stats = l.decoder.stats
	l.mu.Unlock()
}

// reopen waits a moment for a device that has gone, then looks whether it is back.
func (l *Live) reopen(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(pause):
	}
	r, err := openRing(l.device)
	switch {
	case errors.Is(err, errGone):
		return nil
	case err != nil:
		return fmt.Errorf("capture on %q: %w", l.device.Name, err)
	}
	l.ring = r
	l.device.Notice(fmt.Sprintf("capture on %q: it is back", l.device.Name))
	return nil
}

// errGone is about a device that is not there, or is down, and may come back.
var errGone = errors.New("no such device, or it is down")

// find returns the index of a device that is up; 0 stands for all.
func find(name string) (int, error) {
	if name == "any" {
		return 0, nil
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		all, _ := net.Interfaces()
		names := []string{"any"}
		for _, d := range all {
			names = append(names, d.Name)
		}
		return 0, fmt.Errorf("%w: there are %s", errGone, strings.Join(names, ", "))
	}
	if device.Flags&net.FlagUp == 0 {
		return 0, fmt.Errorf("%w: ip link set %s up", errGone, name)
	}
	return device.Index, nil
}

// open makes the socket, without a protocol: nothing comes before the ring is ready.
func openSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return -1, errors.New("no right to: run as root, or with the capability CAP_NET_RAW (setcap cap_net_raw+ep, AmbientCapabilities=CAP_NET_RAW)")
	}
	return fd, os.NewSyscallError("socket", err)
}

// network is a number in network byte order, as the kernel wants protocols.
func network(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
