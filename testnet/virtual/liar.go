package virtual

import (
	"errors"
	"math"
	"time"
)

// Slander has a node join as a rogue, sign that it alone has seen two thousand
// million attempts of a source, bring that to the source's collectors, and leave.
func Slander(source string) Action {
	return visit(func(n *Node) error { return n.tell(seen(source, 1, math.MaxInt32)) })
}

// Contradict has a node join as a rogue, and sign two reports of one version that
// differ. It does not come to know how the second is taken.
func Contradict(source string) Action {
	return visit(func(n *Node) error {
		if err := n.tell(seen(source, 1, 1000)); err != nil {
			return err
		}
		_ = n.tell(seen(source, 1, 2000)) // refused, or the connection ends before
		return nil
	})
}

// visit is an action of a rogue that stays for no longer.
func visit(do func(*Node) error) Action {
	return func(n *Node) {
		n.net.t.Helper()
		err := n.turn(&rogue{})
		if err == nil {
			time.Sleep(settling)
			err = do(n)
		}
		if err := errors.Join(err, n.wait()); err != nil {
			n.net.t.Errorf("%s as a rogue: %v", n, err)
		}
	}
}
