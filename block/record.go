package block

import "time"

// record is a block as it is kept. After its end it is the memory of it.
type record struct {
	Block
	// Removed means that a person ended the block, at Until.
	Removed bool `json:"removed,omitempty"`
	// Withdrawn means that the evidence for it, at its end, was no longer good.
	Withdrawn bool `json:"withdrawn,omitempty"`
	// Own is what this host's own evidence or a person asks for; the block
	// itself may stand on others' evidence, for longer.
	Own ground `json:"own,omitzero"`
	// BasePackets and BaseBytes are what the kernel's former counters of this
	// block held; its present one is added to them.
	BasePackets uint64 `json:"base_packets,omitempty"`
	BaseBytes   uint64 `json:"base_bytes,omitempty"`
}

// A ground is what a block stands on, and until when.
type ground struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	Alert  string    `json:"alert,omitempty"`
}

func (r *record) live(now time.Time) bool { return r.Until.Sub(now) >= time.Millisecond }

// count takes over what the kernel's counter holds.
func (r *record) count(c Counter) {
	if r.BasePackets+c.Packets < r.Packets { // somebody has begun a new one
		r.rebase()
	}
	r.Packets, r.Bytes = r.BasePackets+c.Packets, r.BaseBytes+c.Bytes
}

// rebase is called when the kernel's counter begins anew.
func (r *record) rebase() { r.BasePackets, r.BaseBytes = r.Packets, r.Bytes }
