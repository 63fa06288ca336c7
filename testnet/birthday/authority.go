package birthday

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
)

const dnsPort = 53

// Zone is what n1 is asked for.
const Zone = "victim.org."

// WWW is a name of the zone that exists, and TrueWWW what n1 says of it.
const WWW = "www." + Zone

// TrueWWW is the address of WWW, and FalseWWW the one that the attacker would have it have.
var (
	TrueWWW  = netip.MustParseAddr("203.0.113.80")
	FalseWWW = netip.MustParseAddr("192.0.2.66")
)

// limit is how many connections n1's firewall has room for, as small ones have: TCP and
// UDP together. That is how a flood of SYNs mutes a server that answers over UDP.
const limit = 100

var firewall = fmt.Sprintf(`
table inet small {
	chain input {
		type filter hook input priority filter
		ct state established accept
		ct state new ct count over %d drop
	}
}
`, limit)

// Authority is the name server of victim.org at n1.
type Authority struct {
	udp *net.UDPConn
	tcp net.Listener
}

// NewAuthority opens n1's ports and sets its firewall up.
func NewAuthority(n1 *Host) (a *Authority, err error) {
	a = new(Authority)
	at := netip.AddrPortFrom(n1.Addr, dnsPort)
	err = n1.Do(func() error {
		load := exec.Command("nft", "-f", "-")
		load.Stdin = strings.NewReader(firewall)
		if out, err := load.CombinedOutput(); err != nil {
			return fmt.Errorf("n1's firewall: %w: %s", err, out)
		}
		// An exchange of datagrams is over after a moment, so that the firewall asks again whether
		// there is room; and connections that nobody completes are what they are, without cookies.
		err := errors.Join(sysctl("netfilter/nf_conntrack_udp_timeout", 1), sysctl("netfilter/nf_conntrack_udp_timeout_stream", 1),
			sysctl("ipv4/tcp_syncookies", 0), sysctl("ipv4/tcp_max_syn_backlog", 2*limit))
		if err != nil {
			return err
		}
		if a.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		a.tcp, err = net.Listen("tcp4", at.String())
		return err
	})
	return a, err
}

// Serve answers until ctx ends.
func (a *Authority) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { a.udp.Close(); a.tcp.Close() })
	defer stop()
	var all errgroup.Group
	all.Go(a.serveUDP)
	all.Go(a.serveTCP)
	err := all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *Authority) serveUDP() error {
	query := make([]byte, 1500)
	for {
		n, from, err := a.udp.ReadFromUDPAddrPort(query)
		if err != nil {
			return err
		}
		if reply, err := answer(query[:n]); err == nil {
			_, _ = a.udp.WriteToUDPAddrPort(reply, from) // who asked asks again
		}
	}
}

func (a *Authority) serveTCP() error {
	for {
		conn, err := a.tcp.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_ = serveOne(conn) // who asked asks again
		}()
	}
}

func serveOne(conn io.ReadWriter) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	reply, err := answer(query)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// HalfOpen is how many connections to a host are begun and not completed, by its kernel's word.
func HalfOpen(at *Host) (n int, err error) {
	err = at.Do(func() error {
		table, err := os.ReadFile("/proc/thread-self/net/tcp")
		for line := range strings.Lines(string(table)) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[3] == "03" { // SYN_RECV
				n++
			}
		}
		return err
	})
	return n, err
}

// answer is what n1 says: WWW has an address, and the other names do not exist.
func answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	if m.Response || len(m.Questions) != 1 {
		return nil, errors.New("no question")
	}
	q := m.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	switch name := strings.ToLower(q.Name.String()); {
	case name == WWW && q.Type == dnsmessage.TypeA:
		reply.Answers = []dnsmessage.Resource{address4(q.Name, TrueWWW)}
	case name == WWW || name == Zone:
		reply.Authorities = []dnsmessage.Resource{soa()}
	default:
		reply.RCode = dnsmessage.RCodeNameError
		reply.Authorities = []dnsmessage.Resource{soa()}
	}
	return reply.Pack()
}

func address4(name dnsmessage.Name, addr netip.Addr) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 3600}, Body: &dnsmessage.AResource{A: addr.As4()}}
}

func soa() dnsmessage.Resource {
	zone := dnsmessage.MustNewName(Zone)
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: zone, Class: dnsmessage.ClassINET, TTL: 60},
		Body: &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("n1." + Zone), MBox: dnsmessage.MustNewName("root." + Zone), Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: 60}}
}
