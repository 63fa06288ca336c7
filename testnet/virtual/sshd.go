package virtual

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/komondor/komondor/probe/follow"
)

// log is a log of a node, to which its sshd or an IDS appends and which the product
// follows. As a file does, it outlives the product: reading goes on where it ended.
type log struct {
	mu    sync.Mutex
	lines []string
	pid   int
	grown chan struct{} // closed when there is more
	skew  time.Duration // the sensor's clock is ahead by
}

// follow has the form of node.Source.Follow.
func (l *log) follow(ctx context.Context, from follow.Position, handle func(follow.Line) error) error {
	for {
		lines, grown := l.after(from.Lines)
		for _, line := range lines {
			from.Lines++
			from.Offset += int64(len(line)) + 1
			if err := handle(follow.Line{Bytes: []byte(line), Number: from.Lines, End: from}); err != nil {
				return err
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *log) after(n int64) (lines []string, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	return l.lines[n:], l.grown
}

// connection appends what one sshd process says.
func (l *log) connection(messages ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pid++
	now := time.Now().Add(l.skew).Format("2006-01-02T15:04:05.000000Z07:00")
	for _, m := range messages {
		l.append(fmt.Sprintf("%s host sshd[%d]: %s", now, 1000+l.pid, m))
	}
}

// write appends a line as it is.
func (l *log) write(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(line)
}

// append is called with the lock held.
func (l *log) append(line string) {
	l.lines = append(l.lines, line)
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// Action is what happens to a node, or what it does.
type Action func(*Node)

// AttackedBy has a source try to log in with user names that do not exist, in
// one connection each: 3 points a time.
func AttackedBy(source string, times int) Action {
	return func(n *Node) {
		for i := range times {
			from := fmt.Sprintf("%s port %d", prefixOf(source).Addr(), 40000+i%20000)
			n.log.connection(
				"Invalid user oracle from "+from,
				"Failed password for invalid user oracle from "+from+" ssh2",
				"Connection closed by invalid user oracle "+from+" [preauth]")
		}
	}
}

// ProbedBy has a source try one password of a user who exists: 2 points.
func ProbedBy(source string) Action {
	return func(n *Node) {
		from := fmt.Sprintf("%s port %d", prefixOf(source).Addr(), 50000)
		n.log.connection(
			"Failed password for root from "+from+" ssh2",
			"Connection closed by authenticating user root "+from+" [preauth]")
	}
}

// MistypedBy has a user mistype the password in connections of their own, and
// log in then.
func MistypedBy(source, user string, times int) Action {
	return func(n *Node) {
		from := fmt.Sprintf("%s port %d", prefixOf(source).Addr(), 60000)
		for range times {
			n.log.connection(
				fmt.Sprintf("Failed password for %s from %s ssh2", user, from),
				fmt.Sprintf("Connection closed by authenticating user %s %s [preauth]", user, from))
		}
		n.log.connection(fmt.Sprintf("Accepted password for %s from %s ssh2", user, from))
	}
}

// Skewed sets the clock of a node's sshd ahead, or back where by is negative.
func Skewed(by time.Duration) Action {
	return func(n *Node) {
		n.log.mu.Lock()
		defer n.log.mu.Unlock()
		n.log.skew = by
	}
}

// Start, Stop and Crash as actions.
func Start(n *Node) { n.Start() }
func Stop(n *Node)  { n.Stop() }
func Crash(n *Node) { n.Crash() }
