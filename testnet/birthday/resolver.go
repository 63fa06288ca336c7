package birthday

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// QueryPort is the one port from which the resolver asks, as BIND did at the time of the
// paper: what is left to guess is the 16 bits of a query's id.
const QueryPort = 5353

// unbound as it comes, but for the port, and without DNSSEC, which victim.org has not. It forgets
// soon that a server was mute, and has room for the replies of a flood.
const configuration = `
server:
	interface: %[1]s
	access-control: 0.0.0.0/0 allow
	do-ip6: no
	outgoing-interface: %[1]s
	outgoing-port-avoid: 0-65535
	outgoing-port-permit: %[2]d
	num-queries-per-thread: 4096
	outgoing-range: 8192
	udp-connect: no
	module-config: iterator
	use-caps-for-id: no
	infra-host-ttl: 5
	so-rcvbuf: 8m
	chroot: ""
	username: ""
	directory: %[3]q
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-daemonize: no
	do-not-query-localhost: yes
remote-control:
	control-enable: yes
	control-use-cert: no
	control-interface: %[3]s/control
stub-zone:
	name: %[4]q
	stub-addr: %[5]s
`

// Resolver is unbound at n2.
type Resolver struct {
	host          *Host
	configuration string
	process       *exec.Cmd
}

// ErrNoUnbound says that the resolver is not installed.
var ErrNoUnbound = errors.New("unbound is not installed: apt-get install unbound")

// NewResolver starts unbound at n2, with its files in dir. It ends with this program, or by Stop.
func NewResolver(n2 *Host, dir string) (*Resolver, error) {
	unbound, err := exec.LookPath("unbound")
	if err != nil {
		return nil, ErrNoUnbound
	}
	r := &Resolver{host: n2, configuration: filepath.Join(dir, "unbound.conf")}
	text := fmt.Sprintf(configuration, n2.Addr, QueryPort, dir, Zone, N1)
	if err := os.WriteFile(r.configuration, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r.process = exec.Command(unbound, "-d", "-c", r.configuration)
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	printed, err := os.Create(filepath.Join(dir, "unbound.log"))
	if err != nil {
		return nil, err
	}
	defer printed.Close()
	r.process.Stdout, r.process.Stderr = printed, printed
	return r, n2.Do(r.process.Start)
}

// Stop ends unbound.
func (r *Resolver) Stop() error {
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.process.Wait()
}

// Cache is all that unbound knows, in its own form.
func (r *Resolver) Cache(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "unbound-control", "-c", r.configuration, "dump_cache").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("unbound-control dump_cache: %w: %s", err, out)
	}
	return string(out), nil
}

// Poisoned are the lines of the cache that only the attacker can have said.
func (r *Resolver) Poisoned(ctx context.Context) (lines []string, err error) {
	cache, err := r.Cache(ctx)
	for line := range strings.Lines(cache) {
		if strings.HasSuffix(strings.TrimSpace(line), "\t"+FalseWWW.String()) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, err
}

// Resolve asks n2 for a name's addresses as a program at a host does.
func Resolve(ctx context.Context, at *Host, name string, patience time.Duration) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = at.Do(func() error {
			conn, err = net.Dial("udp4", netip.AddrPortFrom(N2, dnsPort).String())
			return err
		})
		return conn, err
	}}
	return client.LookupNetIP(ctx, "ip4", name)
}
