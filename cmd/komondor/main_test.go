package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/komondor/komondor/probe/packet"
	"github.com/komondor/komondor/probe/payload"
)

var update = flag.Bool("update", false, "write the expected output anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"komondor": main})
}

// TestTerminal runs the transcripts of testdata: what is typed, and what comes.
func TestTerminal(t *testing.T) {
	catch := make(chan os.Signal, 1) // or what is run ignores it where the test does, as under nohup
	signal.Notify(catch, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(catch) })
	testscript.Run(t, testscript.Params{Dir: "testdata", UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"freeport": freeport, "await": await, "capture": capture, "hangup": hangUp, "say": say, "packet": onePacket},
		Condition: func(name string) (bool, error) {
			switch name {
			case "yara":
				return payload.Library() != "", nil
			case "live":
				l, err := packet.Listen(packet.Device{Name: "lo", RingMiB: 1})
				return err == nil && l.Close() == nil, nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			e.Setenv("HOME", e.WorkDir)
			return nil
		}})
}

// freeport NAME... sets variables to TCP ports of 127.0.0.1 that nobody uses.
func freeport(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // when all are found: no two are the same
		ts.Setenv(name, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
}

// await REGEXP COMMAND... runs a command until its output matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for `%s` within a minute: %v\n%s%s", args[0], err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

// hangup does to what runs in the background what a terminal does that hangs up.
func hangUp(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

// say PORT TEXT says something over a TCP connection to a port of 127.0.0.1, at which nobody else listens.
func say(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	ts.Check(err)
	defer client.Close()
	server, err := l.Accept()
	ts.Check(err)
	defer server.Close()
	_, err = io.WriteString(server, "hello") // by whose acknowledgement the client proves who it is
	ts.Check(err)
	_, err = io.ReadFull(client, make([]byte, len("hello")))
	ts.Check(err)
	_, err = io.WriteString(client, args[1])
	ts.Check(err)
	_, err = io.ReadFull(server, make([]byte, len(args[1])))
	ts.Check(err)
}

// packet FILE TEXT writes a capture of one datagram from 203.0.113.66.
func onePacket(ts *testscript.TestScript, _ bool, args []string) {
	ip := &layers.IPv4{Version: 4, TTL: 60, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{203, 0, 113, 66}, DstIP: net.IP{198, 51, 100, 7}}
	udp := &layers.UDP{SrcPort: 4000, DstPort: 8080}
	ts.Check(udp.SetNetworkLayerForChecksum(ip))
	frame := gopacket.NewSerializeBuffer()
	ts.Check(gopacket.SerializeLayers(frame, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(args[1])))
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	w := pcapgo.NewWriter(file)
	ts.Check(w.WriteFileHeader(65535, layers.LinkTypeRaw))
	n := len(frame.Bytes())
	ts.Check(w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: n, Length: n}, frame.Bytes()))
}

// capture NAME [REGEXP] sets a variable to what the last command has printed, or
// to the first group of what matches in it.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(text)
		if found == nil {
			ts.Fatalf("no match for `%s` in %s", args[1], text)
		}
		text = found[1]
	}
	ts.Setenv(args[0], text)
}
