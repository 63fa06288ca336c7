package virtual

import (
	"testing"
	"time"
)

// TestRevocation puts out a member whose evidence others have acted on.
func TestRevocation(t *testing.T) {
	inFederation(t, 2*time.Hour, 50, 25, func(t *testing.T, net *Net) {
		const out, away = 7, 9
		witnesses := Nodes(out, 10, 11)
		others := But(Nodes(out))
		net.Play("a member is revoked: cut off, and its evidence counts no more", Timetable{
			At(1*time.Second, witnesses, AttackedBy(worm, 3)), // 27 points, 18 without it
			At(1*time.Second, witnesses, AttackedBy(patient, 3)),
			At(2*time.Second, Nodes(12), AttackedBy(patient, 3)), // 36 points, 27 without it
			By(3*time.Second, Everyone, Block(worm)),
			By(3*time.Second, Everyone, Block(patient)),
			At(4*time.Second, Nodes(away), Stop),

			At(10*time.Second, Nodes(0), Revoke(out)),
			Mostly(95, 15*time.Second, others, CutOff(out)),
			By(40*time.Second, others, CutOff(out)),
			NotBefore(11*time.Second, others, Free(patient)),
			NotBefore(13*time.Second, others, Free(patient)),
			NotBefore(15*time.Second, others, Free(patient)),
			Mostly(95, 16*time.Second, others, Free(worm)),
			By(40*time.Second, others, Free(worm)),
			By(40*time.Second, others, Hold(patient)),

			At(60*time.Second, Nodes(away), Start),
			By(75*time.Second, Nodes(away), CutOff(out)),
			By(75*time.Second, Nodes(away), Free(worm)),

			// What it says from now on moves nobody.
			At(80*time.Second, Nodes(out), AttackedBy(last, 3)),
			At(80*time.Second, Nodes(10, 11), AttackedBy(last, 3)),
			Never(others, Block(last)),
		})
	})
}
