package node

import (
	"sync"

	"golang.org/x/time/rate"
)

const (
	// What one organisation may warn others of: what it concludes alone is shown, kept
	// and passed on by everybody, and costs it nothing to make up. Its own members
	// need no more to be warned of than they can block.
	warningsPerSecond = 5
	warningsAtOnce    = 200
	maxAllowances     = 4096
)

// allowance bounds the warnings of each organisation.
type allowance struct {
	mu sync.Mutex
	of map[string]*rate.Limiter
}

func (a *allowance) allow(organisation string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	limiter := a.of[organisation]
	if limiter == nil {
		if a.of == nil || len(a.of) >= maxAllowances { // in an open overlay names cost nothing
			a.of = make(map[string]*rate.Limiter)
		}
		limiter = rate.NewLimiter(warningsPerSecond, warningsAtOnce)
		a.of[organisation] = limiter
	}
	return limiter.Allow()
}
