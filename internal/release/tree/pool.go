package tree

import (
	"context"
	"runtime"
	"sync"
)

// pool runs functions beside each other, as many at a time as there are
// processors, and keeps the first error.
type pool struct {
	slots   chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	failed  error
}

func newPool() *pool {
	return &pool{slots: make(chan struct{}, max(2, min(8, runtime.GOMAXPROCS(0))))}
}

// start runs f in a goroutine of its own, once there is a place for it.
func (p *pool) start(ctx context.Context, f func() error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.running.Go(func() {
		defer func() { <-p.slots }()
		if err := f(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.failed == nil {
				p.failed = err
			}
		}
	})
	return nil
}

// err is the first error so far.
func (p *pool) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// wait waits until nothing runs and gives the first error.
func (p *pool) wait() error {
	p.running.Wait()
	return p.err()
}
