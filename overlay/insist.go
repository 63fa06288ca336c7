package overlay

import (
	"context"
	"sync"
	"time"
)

// insist makes a call that may be lost without a word, and makes it again as long as
// it has no answer: up to so many times, each time so much later. The first answer
// counts. It is an error when all calls have failed, or the context ends; none goes on
// then. A call must do no harm when it comes twice.
func insist[A any](ctx context.Context, again time.Duration, times int, call func(context.Context) (A, error)) (A, error) {
	type result struct {
		answer A
		err    error
	}
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, times)
	begin := func() {
		all.Go(func() {
			answer, err := call(ctx)
			results <- result{answer, err}
		})
	}
	begin()
	begun, failed := 1, 0
	timer := time.NewTicker(again)
	defer timer.Stop()
	for {
		select {
		case r := <-results:
			if r.err == nil {
				return r.answer, nil
			}
			if failed++; failed == begun {
				return r.answer, r.err
			}
		case <-timer.C:
			if begun < times {
				begun++
				begin()
			}
		}
	}
}
