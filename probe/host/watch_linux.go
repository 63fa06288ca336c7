package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/event"
)

// errNoProcess is what /proc answers for a process that ends while it is looked at.
const errNoProcess = unix.ESRCH

// Sensor is the name that Watch's events carry.
const Sensor = "host"

// Watch reports the programs that are run on this host, and the processes that are
// killed, where they meet a rule, until ctx ends (nil), emit fails (its error as it is)
// or the kernel does not tell.
//
// It asks the kernel's process connector (Documentation/driver-api/connector.rst),
// which tells root alone, or who has CAP_NET_ADMIN, and in the host's own network and
// process namespaces alone: in a container there is nothing to watch. What programs
// of others are is told with CAP_SYS_PTRACE. Programs that end before they are looked
// at, and messages that the kernel drops while there is too much, are counted, which
// count is told after each message, and given notice of, at most once a minute.
//
// Who killed a process the connector does not say, auditd's log does.
func Watch(ctx context.Context, rules Rules, notice func(string), count func(Stats), emit func(event.Event) error) error {
	conn, err := listen(ctx)
	if err != nil {
		return fmt.Errorf("watch the processes of this host: %w", err)
	}
	defer conn.Close()
	w := &watcher{rules: rules, notice: notice, emit: emit, watched: make(map[uint32]Process),
		table: table{root: "/proc", names: make(map[uint32][]byte)}}
	if err := w.table.running(w.guard); err != nil {
		return fmt.Errorf("watch the processes of this host: %w", err)
	}
	var room [4096]byte
	for {
		count(w.stats)
		n, from, err := conn.Recvfrom(ctx, room[:], 0)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			w.stats.Lost++
		case err != nil:
			return fmt.Errorf("watch the processes of this host: %w", err)
		case !byKernel(from):
		default:
			if err := w.take(time.Now(), room[:n]); err != nil {
				return err
			}
		}
		w.account(time.Now())
	}
}

// The messages' layout: a netlink header, one of the connector, and the kernel's
// struct proc_event (linux/netlink.h, linux/connector.h, linux/cn_proc.h), all in the
// byte order of the host.
const (
	headers   = unix.SizeofNlMsghdr + 20
	whatNone  = 0 // acknowledges what was asked for
	whatExec  = 2
	whatExit  = 1 << 31
	procIndex = 1 // of the connector; its number and the multicast group
	listenOp  = 1
)

// listen asks the kernel to tell of processes, and waits for its answer.
func listen(ctx context.Context) (_ *socket.Conn, err error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_CONNECTOR, "connector", nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	// Forks are most of what is told, and dropped before anybody is woken.
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: headers, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: loaded(whatExec), SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: loaded(whatExit), SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: loaded(whatNone), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 16},
	})
	if err != nil {
		return nil, err
	}
	if err := conn.SetBPF(filter); err != nil {
		return nil, err
	}
	if err := conn.SetReadBuffer(1 << 20); err != nil { // more than that takes a privilege, too
		return nil, err
	}
	if err := conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: procIndex}); err != nil {
		return nil, fmt.Errorf("ask the process connector: %w: it tells root, or who has CAP_NET_ADMIN", err)
	}
	if err := conn.Sendto(ctx, request(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask the process connector: %w: it answers in the host's own network namespace only", err)
	}
	return conn, answered(ctx, conn)
}

// answered waits for the kernel's word on the request.
func answered(ctx context.Context, conn *socket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var room [4096]byte
	for {
		n, from, err := conn.Recvfrom(ctx, room[:], 0)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return errors.New("the process connector does not answer: it does only in the host's own process namespace, and where the kernel has CONFIG_PROC_EVENTS")
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			return err
		case err != nil || !byKernel(from):
			continue
		}
		if m := message(room[:n]); len(m) >= 20 && word(m, 0) == whatNone {
			if refused := word(m, 16); refused != 0 {
				return fmt.Errorf("the process connector refuses: %w: it tells root, or who has CAP_NET_ADMIN", unix.Errno(refused))
			}
			return nil
		}
	}
}

// loaded is how the filter, which reads in network order, sees a number of the host's.
func loaded(n uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
}

func request() []byte {
	order := binary.NativeEndian
	b := order.AppendUint32(nil, headers+4)    // the length
	b = order.AppendUint16(b, unix.NLMSG_DONE) // the type
	b = order.AppendUint16(b, 0)               // no flags
	b = order.AppendUint32(b, 0)               // a sequence number
	b = order.AppendUint32(b, 0)               // the port: the kernel knows
	b = order.AppendUint32(b, procIndex)       // the connector's index
	b = order.AppendUint32(b, procIndex)       // and value
	b = append(b, make([]byte, 8)...)          // its sequence number and acknowledgement
	b = order.AppendUint16(b, 4)               // the length of what follows
	b = append(b, 0, 0)                        // no flags
	return order.AppendUint32(b, listenOp)
}

func byKernel(from unix.Sockaddr) bool {
	sender, ok := from.(*unix.SockaddrNetlink)
	return ok && sender.Pid == 0
}

// message is the struct proc_event of a datagram, nothing if it is cut off.
func message(b []byte) []byte {
	if len(b) < headers+16 {
		return nil
	}
	return b[headers:]
}

func word(b []byte, at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }

// watcher has what there is to know between messages.
type watcher struct {
	rules   Rules
	notice  func(string)
	emit    func(event.Event) error
	table   table
	watched map[uint32]Process // whose end matters

	stats, told Stats // as they are, and were when notice of them was given
	toldAt      time.Time
}

const maxWatched = 1024

// take reads one message of the kernel's.
func (w *watcher) take(now time.Time, datagram []byte) error {
	m := message(datagram)
	switch {
	case len(m) >= 24 && word(m, 0) == whatExec:
		return w.exec(now, word(m, 20))
	case len(m) >= 28 && word(m, 0) == whatExit && word(m, 16) == word(m, 20): // the last thread's
		return w.exit(now, word(m, 20), word(m, 24))
	}
	return nil
}

func (w *watcher) exec(now time.Time, pid uint32) error {
	delete(w.watched, pid) // it runs something else now
	w.stats.Programs++
	p, err := w.table.look(pid)
	switch {
	case gone(err):
		w.stats.Ended++
		return nil
	case err != nil:
		w.stats.Hidden++
		return nil
	}
	w.keep(pid, p)
	return w.report(now, pid, p, "")
}

// guard keeps a process that runs already.
func (w *watcher) guard(pid uint32) {
	if p, err := w.table.look(pid); err == nil {
		w.keep(pid, p)
	}
}

// keep remembers a process whose end would meet a rule: when it has come, nobody can
// look any more.
func (w *watcher) keep(pid uint32, p Process) {
	p.Killed, p.Args, p.Parent = true, nil, nil
	if _, matters := w.rules.Match(p); matters && len(w.watched) < maxWatched {
		w.watched[pid] = p
	}
}

// exit takes the end of a process; status is as wait(2) has it.
func (w *watcher) exit(now time.Time, pid, status uint32) error {
	p, ok := w.watched[pid]
	delete(w.watched, pid)
	signal := unix.Signal(status & 0x7f)
	if !ok || signal == 0 {
		return nil // it has ended by itself
	}
	return w.report(now, pid, p, ", by "+unix.SignalName(signal))
}

func (w *watcher) report(now time.Time, pid uint32, p Process, how string) error {
	r, ok := w.rules.Match(p)
	if !ok {
		return nil
	}
	e := r.Event(p)
	e.Time, e.Sensor, e.Attempt, e.Detail = now, Sensor, strconv.FormatUint(uint64(pid), 10), e.Detail+how
	return w.emit(e)
}

// account gives notice of what was not seen, at most once a minute.
func (w *watcher) account(now time.Time) {
	if w.notice == nil || now.Sub(w.toldAt) < time.Minute {
		return
	}
	missed := w.stats
	missed.Programs = 0
	if missed != w.told {
		w.notice(fmt.Sprintf("programs not looked at: %d times the kernel had no room for more; %d had ended already; %d may not be looked at (CAP_SYS_PTRACE)", missed.Lost, missed.Ended, missed.Hidden))
		w.told = missed
	}
	w.toldAt = now
}
