package relay

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loop is one thread with the connections that it accepted.
type loop struct {
	relay  *Relay
	epoll  int
	wake   int // eventfd
	target target
	buf    []byte
	pipes  pipes
	now    time.Time

	conns  []*conn // by descriptor, of either side
	spare  []*conn
	ready  []*conn // their turn comes again
	called []*listener
	timers timers
	open   int

	stopped bool // accepts no more, ends with its last connection
	busy    bool // had events when it last waited
	paused  bool // accepts nothing until others have ended

	mu   sync.Mutex
	todo []func()
}

const (
	// spareConns is how many ended connections are kept for the next.
	spareConns = 256
	// batch is how many clients are accepted in one turn.
	batch = 16
	// pausedFor is how long a loop that may accept nothing sleeps at most.
	pausedFor = 20 * time.Millisecond
)

func newLoop(r *Relay) (*loop, error) {
	l := &loop{relay: r, epoll: -1, wake: -1, target: target{path: r.o.Target}, buf: make([]byte, copySize), paused: true}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		l.dispose()
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.wake)}); err != nil {
		l.dispose()
		return nil, fmt.Errorf("watch an eventfd: %w", err)
	}
	return l, nil
}

// dispose closes what is the loop's own.
func (l *loop) dispose() {
	l.pipes.close()
	for _, fd := range []int{l.epoll, l.wake} {
		if fd >= 0 {
			sysClose(fd)
		}
	}
}

// do has a function called by the loop.
func (l *loop) do(f func()) {
	l.mu.Lock()
	l.todo = append(l.todo, f)
	l.mu.Unlock()
	one := [8]byte{0: 1}
	_, _ = unix.Write(l.wake, one[:]) // a full counter wakes as well
}

// run relays until it was stopped and has no connection left.
func (l *loop) run() error {
	events := make([]unix.EpollEvent, 256)
	l.now = time.Now()
	for !l.stopped || l.open > 0 {
		l.resume()
		n, err := l.wait(events)
		if err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
		l.now = time.Now()
		l.handle(events[:n])
		l.turns()
		l.timers.fire(l.now, l.expired)
	}
	return nil
}

// wait waits for events. A loop that had some will have more soon: it asks for them
// without the scheduler, which would otherwise hand its processor to nobody and back
// again for each request, and watch over that every 20 µs.
func (l *loop) wait(events []unix.EpollEvent) (int, error) {
	const shortly = 1 // ms: what the collector of garbage waits for this thread at most
	patience := l.patience()
	if l.busy && patience != 0 {
		n, e := sysWait(l.epoll, events, shortly)
		if e == 0 && n > 0 || e == unix.EINTR {
			return max(n, 0), nil
		}
		l.now = time.Now()
		patience = l.patience()
	}
	n, err := unix.EpollWait(l.epoll, events, patience)
	l.busy = n > 0
	if err == unix.EINTR {
		err = nil
	}
	return max(n, 0), err
}

// patience is how long to wait for events, in milliseconds.
func (l *loop) patience() int {
	if len(l.ready) > 0 {
		return 0
	}
	wait := -1
	if at, ok := l.timers.first(); ok {
		wait = int(max(0, at.Sub(l.now)+time.Millisecond-1) / time.Millisecond)
	}
	if pause := int(pausedFor / time.Millisecond); l.paused && !l.stopped && (wait < 0 || wait > pause) {
		wait = pause
	}
	return wait
}

func (l *loop) handle(events []unix.EpollEvent) {
	woken := false
	for i := range events {
		ev := &events[i]
		fd := int(ev.Fd)
		if fd == l.wake {
			woken = true
			continue
		}
		if c := l.at(fd); c != nil {
			l.event(c, fd, ev.Events)
		} else if s := l.relay.listener(fd); s != nil {
			l.called = append(l.called, s)
		}
	}
	// New ones come behind: descriptors that the events named may be used again.
	for _, s := range l.called {
		l.accept(s)
	}
	l.called = l.called[:0]
	if woken {
		var counter [8]byte
		_, _ = unix.Read(l.wake, counter[:])
		l.mu.Lock()
		todo := l.todo
		l.todo = nil
		l.mu.Unlock()
		for _, f := range todo {
			f()
		}
	}
}

// accept takes clients out of a socket's queue.
func (l *loop) accept(s *listener) {
	for range batch {
		if l.stopped || l.paused {
			return
		}
		if n := l.relay.open.Add(1); n > int64(l.relay.limit) {
			l.relay.open.Add(-1)
			l.relay.say("limit", "%d connections are open, which is the limit: clients wait in the queue of the socket", n-1)
			l.pause()
			return
		}
		fd, e := sysAccept(s.fd)
		if e == 0 {
			l.open++
			l.accepted(fd, s.unix)
			continue
		}
		l.relay.open.Add(-1)
		switch e {
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.relay.say("accept", "cannot accept: %v: clients wait in the queue of the socket", e)
			l.pause()
			return
		default: // of one client that is gone already (accept(2))
		}
	}
}

// pause takes the listeners out of what is waited for.
func (l *loop) pause() {
	if l.paused {
		return
	}
	l.paused = true
	for _, s := range l.relay.listeners {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) // it is there
	}
}

// resume puts the listeners back when there is room.
func (l *loop) resume() {
	if !l.paused || l.stopped || l.relay.open.Load() >= int64(l.relay.limit) {
		return
	}
	l.paused = false
	for _, s := range l.relay.listeners {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(s.fd)}
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
			l.relay.say("listener", "cannot wait for clients: %v", err)
		}
	}
}

// stop accepts no more.
func (l *loop) stop() {
	if l.stopped {
		return
	}
	l.pause()
	l.stopped = true
	if l.relay.accepting.Add(-1) == 0 {
		l.relay.closeListeners()
	}
}

// turns goes on with the connections that had more to move than one turn.
func (l *loop) turns() {
	n := len(l.ready)
	for _, c := range l.ready[:n] {
		c.queued = false
		switch c.state {
		case closed:
			l.keep(c)
		case open:
			l.step(c)
		}
	}
	l.ready = append(l.ready[:0], l.ready[n:]...)
}

// expired is called for a connection whose timer has come.
func (l *loop) expired(c *conn) {
	switch {
	case c.state == waiting:
		l.dial(c)
	case c.state == connecting:
		l.again(c, unix.ETIMEDOUT)
	case c.up.dropped:
		l.close(c)
	}
}

// at gives the connection of a descriptor.
func (l *loop) at(fd int) *conn {
	if fd < len(l.conns) {
		return l.conns[fd]
	}
	return nil
}

// add watches a socket of a connection.
func (l *loop) add(c *conn, fd int, events uint32) bool {
	if fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*conn, fd+64-len(l.conns))...)
	}
	l.conns[fd] = c
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		l.relay.say("watch", "cannot watch a connection: %v", err)
		return false
	}
	return true
}

// watch asks to be told of room to write, too.
func (l *loop) watch(e *end) {
	if e.watched {
		return
	}
	e.watched = true
	ev := unix.EpollEvent{Events: interest | unix.EPOLLOUT, Fd: int32(e.fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, e.fd, &ev); err != nil {
		l.relay.say("watch", "cannot watch a connection: %v", err)
	}
}

// forget closes a socket, which also ends the watch.
func (l *loop) forget(fd int) {
	if fd < 0 {
		return
	}
	if fd < len(l.conns) {
		l.conns[fd] = nil
	}
	sysClose(fd)
}

func (l *loop) newConn() *conn {
	if n := len(l.spare); n > 0 {
		c := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return c
	}
	return &conn{index: -1}
}

// free lets go of a connection that has ended.
func (l *loop) free(c *conn) {
	l.open--
	l.relay.open.Add(-1)
	queued := c.queued
	*c = conn{index: -1, queued: queued}
	if !queued {
		l.keep(c)
	}
}

func (l *loop) keep(c *conn) {
	if len(l.spare) < spareConns {
		l.spare = append(l.spare, c)
	}
}
