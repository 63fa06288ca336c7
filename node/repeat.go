package node

import (
	"context"
	"sync"
)

// maxHeard bounds the alerts that are kept to be told once more; each has 60 KiB
// at the most, and 3 mostly.
const maxHeard = 256

// heard keeps the alerts that came over the overlay, as they came. A collector of
// an attack that hears of it from another tells it to everybody once more: who
// told it first may have told a few only, and all collectors would be silent. The
// broadcast knows the payload again, so this costs few messages.
type heard struct {
	mu     sync.Mutex
	alerts map[string][]byte
	order  []string // of the ids, the oldest in front
}

func (h *heard) note(id string, alert []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alerts == nil {
		h.alerts = make(map[string][]byte)
	}
	if _, known := h.alerts[id]; !known {
		h.order = append(h.order, id)
	}
	h.alerts[id] = alert
	if len(h.order) > maxHeard {
		delete(h.alerts, h.order[0])
		h.order = h.order[1:]
	}
}

// has reports whether the alert is there to be told.
func (h *heard) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alerts[id] != nil
}

// take returns the alert, and forgets it but for its place: it is told once.
func (h *heard) take(id string) (alert []byte, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	alert = h.alerts[id]
	if alert != nil {
		h.alerts[id] = nil
	}
	return alert, alert != nil
}

// repeat tells everybody an alert that others told first.
func (n *Node) repeat(ctx context.Context, id string) {
	if alert, ok := n.heard.take(id); ok {
		n.publish(ctx, alertPayload, alert)
	}
}
