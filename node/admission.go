package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/federation"
)

// admission fits the federation's certificates into the overlay's handshake.
type admission struct{ member *federation.Member }

func (a admission) Hello() []byte { return a.member.Hello() }

func (a admission) Welcome(from peer.ID, said []byte) (reply []byte, admitted bool, err error) {
	return a.member.Welcome(time.Now(), from.String(), said)
}

func (a admission) Meet(from peer.ID, said []byte) error {
	return a.member.Meet(time.Now(), from.String(), said)
}

func (a admission) Admitted(p peer.ID) bool { return a.member.Admitted(time.Now(), p.String()) }

func (a admission) Standing(p peer.ID) (organisation string, collects bool) {
	return a.member.Standing(time.Now(), p.String())
}

// doubt is why evidence of others must not block by itself: a revocation may
// have been missed.
func (r *registrar) doubt(now time.Time) string {
	if _, err := r.member.Fresh(now); err != nil {
		return err.Error()
	}
	return ""
}
