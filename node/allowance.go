package node

import (
	"sync"
	"time"

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

// allowance bounds what each organisation may do here.
type allowance struct {
	limit rate.Limit // a second
	burst int

	mu sync.Mutex
	of map[string]*rate.Limiter
}

// allow takes n of an organisation's allowance, or nothing where there is less.
func (a *allowance) allow(organisation string, n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	limiter := a.of[organisation]
	if limiter == nil {
		if a.of == nil || len(a.of) >= maxAllowances { // in an open overlay names cost nothing
			a.of = make(map[string]*rate.Limiter)
		}
		limiter = rate.NewLimiter(a.limit, a.burst)
		a.of[organisation] = limiter
	}
	return limiter.AllowN(time.Now(), n)
}
