package relay

import (
	"container/heap"
	"time"
)

// timers are connections by when they are to be looked at.
type timers struct {
	heap connHeap
}

func (l *loop) startTimer(c *conn, when time.Time) {
	c.when = when
	if c.index >= 0 {
		heap.Fix(&l.timers.heap, c.index)
		return
	}
	heap.Push(&l.timers.heap, c)
}

func (l *loop) stopTimer(c *conn) {
	if c.index >= 0 {
		heap.Remove(&l.timers.heap, c.index)
	}
}

func (t *timers) first() (time.Time, bool) {
	if len(t.heap) == 0 {
		return time.Time{}, false
	}
	return t.heap[0].when, true
}

// fire calls f for each whose time has come.
func (t *timers) fire(now time.Time, f func(*conn)) {
	for len(t.heap) > 0 && !t.heap[0].when.After(now) {
		f(heap.Pop(&t.heap).(*conn))
	}
}

type connHeap []*conn

func (h connHeap) Len() int           { return len(h) }
func (h connHeap) Less(i, j int) bool { return h[i].when.Before(h[j].when) }

func (h connHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *connHeap) Push(x any) {
	c := x.(*conn)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop is for package heap.
func (h *connHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.index = -1
	return c
}
