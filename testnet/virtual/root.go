package virtual

import (
	"context"
	"slices"
	"time"

	"github.com/komondor/komondor/federation"
)

// Revoke has the holder of the root's key put a node out, by serial and by id,
// with the help of the node at which it happens.
func Revoke(other int) Action {
	return func(n *Node) {
		n.net.t.Helper()
		out := n.net.nodes[other]
		members := n.member.Members(time.Now())
		i := slices.IndexFunc(members, func(m federation.MemberInfo) bool { return m.ID == out.id.String() })
		if i < 0 {
			n.net.t.Errorf("%s does not know %s", n, out)
			return
		}
		list, err := n.net.founders.revoke(n.member, federation.Entry{
			Serial: members[i].Serial, Key: members[i].ID, What: out.String(), Reason: "stolen", At: time.Now().Unix(),
		})
		n.submit(list, err)
	}
}

// Reassure has the root say that its revocation list is still the newest.
func Reassure(n *Node) {
	n.net.t.Helper()
	n.submit(n.net.founders.revoke(n.member))
}

// Agree has the root sign a policy that differs from the present one.
func Agree(change func(*federation.Policy)) Action {
	return func(n *Node) {
		n.net.t.Helper()
		policy := n.member.Policy()
		policy.Version++
		policy.Issued = time.Now().Unix()
		change(&policy)
		n.submit(federation.SignPolicy(n.net.founders.root, policy))
	}
}

// submit is what `komondor revoke` and `komondor policy` do.
func (n *Node) submit(document []byte, err error) {
	n.net.t.Helper()
	if err == nil {
		err = n.Product().Submit(context.Background(), document)
	}
	if err != nil {
		n.net.t.Errorf("%s submits a document: %v", n, err)
	}
}
