package simulate

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// chunk is how many items one goroutine takes at a time. What an item comes to
// must depend on its number only: then the cores may share them anyhow.
const chunk = 1024

func inParallel(n int, f func(from, to int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= n {
					return
				}
				f(from, min(from+chunk, n))
			}
		})
	}
	all.Wait()
}

// each is inParallel for few, large items.
func each(n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}
