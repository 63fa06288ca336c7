package block

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// settling is how long changes may gather: an interface that comes up brings
// several addresses and routes.
const settling = 100 * time.Millisecond

// Watch looks at this host again whenever its addresses or routes change, and
// calls changed afterwards; both at most 200 ms after the change, and not more
// often than every 100 ms. It runs until ctx ends, returns nil then, and leaves
// nothing behind. An error says why there is no more watching: Refresh and
// Fresh go on to look by themselves.
func (n *Never) Watch(ctx context.Context, changed func()) error {
	changes, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return fmt.Errorf("watch addresses and routes over netlink: %w", err)
	}
	defer changes.Close()
	defer context.AfterFunc(ctx, changes.Close)()
	news, failed := make(chan bool, 1), make(chan error, 1)
	go func() {
		for {
			// What has changed does not matter: all is looked at again.
			_, _, err := changes.Receive()
			if err != nil && !errors.Is(err, unix.ENOBUFS) { // which says that there was too much news
				failed <- err
				return
			}
			select {
			case news <- true:
			default:
			}
		}
	}()
	var settled <-chan time.Time
	for {
		select {
		case <-news:
			if settled == nil {
				settled = time.After(settling)
			}
		case <-settled:
			settled = nil
			n.lookAgain(time.Now())
			changed()
		case err := <-failed: // the goroutine's last word
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch addresses and routes over netlink: %w", err)
		}
	}
}

// lookAgain looks whenever the last look was. What cannot be read is told by
// the next Fresh.
func (n *Never) lookAgain(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.look(now) != nil {
		n.looked = time.Time{}
	}
	n.build()
}
