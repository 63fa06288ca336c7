package packet

import "time"

// Device is an interface to capture from, on Linux.
type Device struct {
	Name string // eth0, or "any" for all there are
	// Promiscuous: see what is addressed to other hosts too, where the switch sends it. Of
	// "any" it is not.
	Promiscuous bool
	// RingMiB is the room for packets that have come and were not handed on yet, from 1
	// to 1024; 0 means 32, which is two seconds of little traffic. What does not fit is dropped and counted.
	RingMiB int
	// Snaplen is how much of a packet is looked at, in bytes with its link header; 0
	// means all, up to 64 KiB.
	Snaplen int
	// Notice is told once of each thing worth a line in our own log: the device is gone,
	// is back, packets were dropped.
	Notice func(string)
	// Tick is called about every second between packets, by the goroutine that hands
	// them on, with the clock's time in nanoseconds since 1970: what must happen without
	// a packet has its turn here. An error of it ends the capture.
	Tick func(now int64) error
}

func (d Device) withDefaults() Device {
	if d.RingMiB <= 0 {
		d.RingMiB = 32
	}
	d.RingMiB = min(d.RingMiB, 1024)
	if d.Snaplen <= 0 || d.Snaplen > maxSnaplen {
		d.Snaplen = maxSnaplen
	}
	if d.Notice == nil {
		d.Notice = func(string) {}
	}
	if d.Tick == nil {
		d.Tick = func(int64) error { return nil }
	}
	return d
}

// maxSnaplen is the longest packet there is without jumbograms.
const maxSnaplen = 65535

// pause is how often to tick, and to look whether a device that has gone is back.
const pause = time.Second
