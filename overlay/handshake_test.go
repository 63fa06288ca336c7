package overlay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// knock dials a member and completes Noise, as anybody can.
func knock(t testing.TB, key crypto.PrivKey, member *testNode) net.Conn {
	t.Helper()
	raw, err := manet.Dial(member.host.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := multistream.SelectProtoOrFail(handshakeProtocol, raw); err != nil {
		t.Fatal(err)
	}
	transport, err := noise.New(handshakeProtocol, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := transport.SecureOutbound(t.Context(), raw, member.ID())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Every hello that is not right ends the connection without a byte in return.
func TestHostileHellos(t *testing.T) {
	member := newRoll().join(t, "A")
	key := newKey(t)
	before := runtime.NumGoroutine()
	for _, c := range []struct {
		name string
		sent []byte
		want time.Duration // until the connection is gone, at most; wide, as the machine may be slow
	}{
		{"over-long", []byte{0xff, 0xff, 1, 2, 3}, handshakeTimeout},
		{"one byte too long", []byte{maxHello >> 8, 1}, handshakeTimeout},
		{"empty", []byte{0, 0}, handshakeTimeout},
		{"garbage", append([]byte{1, 0}, make([]byte, 256)...), handshakeTimeout},
		{"half a length, then silence", []byte{0}, 2 * handshakeTimeout},
		{"half a hello, then silence", []byte{0, 9, 1, 2}, 2 * handshakeTimeout},
		{"silence", nil, 2 * handshakeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refused := member.Stats().Refused
			start := time.Now()
			conn := knock(t, key, member)
			defer conn.Close()
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(3 * handshakeTimeout))
			if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			if took := time.Since(start); took > c.want {
				t.Errorf("the connection stayed open for %s, want at most %s", took, c.want)
			}
			until(t, time.Minute, "count of the refusal", func() bool { return member.Stats().Refused > refused })
		})
	}
	t.Run("silence before Noise", func(t *testing.T) {
		t.Parallel()
		conn, err := manet.Dial(member.host.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		io.Copy(io.Discard, conn) // the member names the protocol that it would speak
		if took := time.Since(start); took > 2*handshakeTimeout {
			t.Errorf("the connection stayed open for %s", took)
		}
	})
	t.Cleanup(func() {
		if connected, _ := member.Peers(); connected > 0 {
			t.Errorf("%d strangers are connected", connected)
		}
		until(t, time.Minute, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func TestApply(t *testing.T) {
	r := newRoll()
	r.tokens["token"] = true
	member := r.join(t, "A")
	open := real(t, "/ip4/127.0.0.1/tcp/0")
	key := newKey(t)
	id, _ := peer.IDFromPrivateKey(key)
	port, _ := member.host.Addrs()[0].ValueForProtocol(multiaddr.P_TCP)
	at := "/ip4/127.0.0.1/tcp/" + port
	for _, c := range []struct {
		name    string
		to      peer.ID
		addrs   []multiaddr.Multiaddr
		private bool
		request string
		wrong   []string // the error, if any
	}{
		{"invited", member.ID(), addrs(at), true, "invited by token", nil},
		{"once more, by name", member.ID(), addrs("/dns4/localhost/tcp/" + port), true, "invited by token", nil},
		{"second address", member.ID(), addrs("/ip4/127.0.0.1/tcp/1", at), true, "invited by token", nil},
		{"wrong token", member.ID(), addrs(at), true, "invited by nobody", []string{at, "hung up without a reply"}},
		{"over-long", member.ID(), addrs(at), true, strings.Repeat("x", maxHello+1), []string{"over the 8192 allowed"}},
		{"another node", open.ID(), addrs(at), true, "invited by token", []string{"peer id mismatch"}},
		{"open overlay", open.ID(), open.host.Addrs(), true, "invited by token", []string{"no member of a federation answers"}},
		{"nobody there", member.ID(), addrs("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"), true, "", []string{"tcp/1: ", "tcp/2: ", "refused"}},
		{"no address", member.ID(), nil, true, "", []string{"no address"}},
		{"not TCP", member.ID(), addrs("/ip4/127.0.0.1/udp/1/quic-v1"), true, "", []string{"members listen on TCP"}},
		{"private", member.ID(), addrs(at), false, "invited by token", []string{"private address"}},
		{"private by name", member.ID(), addrs("/dns4/localhost/tcp/" + port), false, "invited by token", []string{"private address"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := member.Stats().Refused
			reply, err := Apply(t.Context(), key, peer.AddrInfo{ID: c.to, Addrs: c.addrs}, c.private, []byte(c.request))
			if c.wrong == nil && (err != nil || string(reply) != "certificate for "+id.String()) {
				t.Errorf("got %q, %v", reply, err)
			}
			for _, want := range c.wrong {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if c.wrong == nil && member.Stats().Refused != before {
				t.Error("an invitation counts as refused")
			}
			wantStranger(t, member, id)
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Apply(gone, key, info(member), true, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// Who accepts a connection and says nothing holds an applicant up for so long only.
func TestApplyToTheSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at, _ := manet.FromNetAddr(l.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	id, _ := peer.IDFromPrivateKey(newKey(t))
	if _, err := Apply(ctx, newKey(t), peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{at}}, true, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestMembersRefuseQUIC(t *testing.T) {
	for _, listen := range [][]string{{"/ip4/127.0.0.1/udp/0/quic-v1"}, {"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}} {
		o, err := New(t.Context(), Config{Identity: newKey(t), Private: true, Listen: addrs(listen...), Admission: &badge{roll: newRoll()}})
		if err == nil {
			o.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "over TCP only") || !strings.Contains(err.Error(), "udp/0/quic-v1") {
			t.Errorf("%v: %v", listen, err)
		}
	}
}

func TestHelloFrames(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, maxHello} {
		var buf bytes.Buffer
		if err := writeHello(&buf, bytes.Repeat([]byte{7}, n)); err != nil {
			t.Fatal(err)
		}
		buf.WriteString("muxer")
		if got, err := readHello(&buf); err != nil || len(got) != n || buf.String() != "muxer" {
			t.Errorf("%d bytes: got %d, %v, and left %q", n, len(got), err, buf.String())
		}
	}
	if err := writeHello(io.Discard, make([]byte, maxHello+1)); err == nil {
		t.Error("an over-long hello was written")
	}
}

func FuzzReadHello(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte{0, 3, 'a', 'b', 'c', 'd'})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		hello, err := readHello(r)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeHello(&again, hello); err != nil {
			t.Fatal(err)
		}
		if read := data[:len(data)-r.Len()]; !bytes.Equal(again.Bytes(), read) {
			t.Errorf("read %x, wrote %x", read, again.Bytes())
		}
	})
}

// BenchmarkConnect makes new connections over TCP on loopback, up to the muxer:
// the open overlay's, and a federation's, whose Admission here costs nothing.
func BenchmarkConnect(b *testing.B) {
	r := newRoll()
	for name, pair := range map[string][2]*testNode{
		"open":       {real(b, "/ip4/127.0.0.1/tcp/0"), real(b, "/ip4/127.0.0.1/tcp/0")},
		"federation": {r.join(b, "A"), r.join(b, "B")},
	} {
		b.Run(name, func(b *testing.B) {
			from, to := pair[0], pair[1]
			for b.Loop() {
				if err := from.host.Connect(b.Context(), info(to)); err != nil {
					b.Fatal(err)
				}
				from.host.Network().ClosePeer(to.ID())
			}
		})
	}
	b.Run("refused", func(b *testing.B) { // what a stranger can make a member do
		member, stranger := r.join(b, "A"), newKey(b)
		for b.Loop() {
			if _, err := Apply(b.Context(), stranger, info(member), true, []byte("let me in")); err == nil {
				b.Fatal("a stranger got a reply")
			}
		}
	})
}
