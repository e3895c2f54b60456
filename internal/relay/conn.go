package relay

import (
	"time"

	"golang.org/x/sys/unix"
)

// state is where a connection is.
type state uint8

const (
	closed     state = iota
	waiting          // for its next attempt to reach the target
	connecting       // the target has not answered yet
	open
)

// conn is a client's connection and the one to the target that belongs to it.
type conn struct {
	client, backend end
	up, down        flow // from the client, to the client
	state           state
	queued          bool // among those whose turn comes again
	failed          bool // the target reset it: the client is to be told at the end
	header          int  // bytes of the PROXY header at the start of up.pending
	began           time.Time
	tries           int
	when            time.Time // its timer
	index           int       // in the timers; -1: none
}

const (
	firstPause = 2 * time.Millisecond
	longPause  = 100 * time.Millisecond
	// lingering is how long a client may go on sending what nobody takes any more, so
	// that it reads the last answer before it is reset (RFC 9112, 9.6).
	lingering = 5 * time.Second
)

const interest = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

// accepted begins a connection.
func (l *loop) accepted(fd int, strict bool) {
	c := l.newConn()
	c.client = end{fd: fd, in: true, strict: strict}
	c.backend.fd = -1
	c.began = l.now
	c.state = waiting
	if !l.add(c, fd, interest) {
		l.close(c)
		return
	}
	l.dial(c)
}

// dial reads the link and tries to reach what it says.
func (l *loop) dial(c *conn) {
	l.stopTimer(c)
	addr, err := l.target.read()
	if err != nil {
		l.later(c, err)
		return
	}
	fd, connected, err := dial(addr)
	if err != nil {
		l.later(c, err)
		return
	}
	_, isUnix := addr.(*unix.SockaddrUnix)
	c.backend = end{fd: fd, strict: isUnix}
	c.state = connecting
	if connected {
		c.state = open
	}
	if l.relay.o.Proxy != ProxyNone {
		head := header(l.relay.o.Proxy, c.client.fd)
		c.header = len(head)
		c.up.pending = append(head, c.up.pending...)
	}
	if !l.hasten(c) {
		return
	}
	events := uint32(interest)
	if c.state == connecting {
		events |= unix.EPOLLOUT
		c.backend.watched = true
	}
	if !l.add(c, fd, events) {
		l.close(c)
		return
	}
	if c.state == open {
		l.step(c)
		return
	}
	l.startTimer(c, c.began.Add(l.relay.o.Wait))
}

// hasten writes what the client has sent already: a target on this machine has
// taken the connection by now, so this saves a turn. It says whether the connection
// is still of this attempt.
func (l *loop) hasten(c *conn) bool {
	if len(c.up.pending) == c.header && c.client.in && !c.up.eof {
		n, e := sysRead(c.client.fd, l.buf)
		switch {
		case e == unix.EAGAIN:
			c.client.in = false
		case e != 0:
			l.abort(c)
			return false
		case n == 0:
			c.up.eof, c.client.in = true, false
		default:
			c.up.moved = true
			if n < len(l.buf) {
				c.client.in = c.client.over || c.client.strict
			}
			if c.header == 0 {
				return l.first(c, l.buf[:n])
			}
			c.up.pending = append(c.up.pending, l.buf[:n]...)
		}
	}
	if len(c.up.pending) > 0 {
		return l.first(c, c.up.pending)
	}
	return true
}

// first writes the first piece to a target that may not be there yet.
func (l *loop) first(c *conn, p []byte) bool {
	n, e := sysWrite(c.backend.fd, p)
	switch e {
	case 0:
		c.state = open
	case unix.EAGAIN:
		n = 0
	}
	if n < len(p) && len(c.up.pending) == 0 {
		p = append([]byte(nil), p...)
	}
	if e != 0 && e != unix.EAGAIN {
		c.up.pending = p
		l.again(c, e)
		return false
	}
	if c.up.pending = p[n:]; n == len(p) {
		c.up.pending = nil
	}
	return true
}

// again drops the attempt, with which nothing has been exchanged, and makes another.
func (l *loop) again(c *conn, cause error) {
	l.forget(c.backend.fd)
	c.backend = end{fd: -1}
	if len(c.up.pending) > 0 {
		c.up.pending = c.up.pending[c.header:]
	}
	if len(c.up.pending) == 0 {
		c.up.pending = nil
	}
	c.header = 0
	c.up.shut = false
	l.later(c, cause)
}

// later waits for the next attempt, or gives up.
func (l *loop) later(c *conn, cause error) {
	c.state = waiting
	until := c.began.Add(l.relay.o.Wait)
	now := time.Now()
	if !now.Before(until) {
		l.relay.say("give up", "a client waited %s for the target in vain: %s: %v", l.relay.o.Wait, l.target.name(), cause)
		l.close(c)
		return
	}
	pause := min(firstPause<<min(c.tries, 10), longPause)
	if c.tries == 0 {
		l.relay.say("wait", "clients wait for the target: %s: %v", l.target.name(), cause)
	}
	c.tries++
	if at := now.Add(pause); at.Before(until) {
		until = at
	}
	l.startTimer(c, until)
}

// event takes what the kernel says of one socket.
func (l *loop) event(c *conn, fd int, ev uint32) {
	e := &c.client
	if fd == c.backend.fd {
		e = &c.backend
	}
	const gone = unix.EPOLLHUP | unix.EPOLLERR
	if ev&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLPRI|gone) != 0 {
		e.in = true
	}
	if ev&(unix.EPOLLRDHUP|gone) != 0 {
		e.over = true
	}
	if ev&unix.EPOLLPRI != 0 {
		e.strict = true
	}
	switch c.state {
	case waiting:
		if ev&gone != 0 && e == &c.client {
			l.close(c) // it did not want to wait
		}
	case connecting:
		l.answered(c, e, ev)
	case open:
		l.step(c)
	}
}

// answered goes on with a connection whose target may have answered.
func (l *loop) answered(c *conn, e *end, ev uint32) {
	if e == &c.backend {
		code, err := unix.GetsockoptInt(c.backend.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			l.again(c, err)
			return
		}
		if ev&unix.EPOLLOUT != 0 {
			c.state = open
		}
	} else if ev&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.abort(c)
		return
	} else if !l.hasten(c) {
		return
	}
	if c.state == open {
		l.stopTimer(c)
		l.step(c)
	}
}

// step moves what there is, in both directions.
func (l *loop) step(c *conn) {
	up, errno := l.pump(&c.up, &c.client, &c.backend)
	silent := !c.up.moved && !c.down.moved
	switch {
	case up == noRead:
		l.abort(c)
		return
	case up == noWrite && silent:
		l.anew(c, errno)
		return
	case up == noWrite:
		l.drop(&c.up)
		c.failed = c.failed || errno == unix.ECONNRESET
		up = again
	}
	down, errno := l.pump(&c.down, &c.backend, &c.client)
	switch {
	case down == noRead && silent && !c.down.moved:
		l.anew(c, errno)
	case down == noRead, down == noWrite:
		l.abort(c) // whoever cannot read any more asks for nothing either
	default:
		l.settle(c, up == again || down == again)
	}
}

// settle decides what is next for a connection that has moved what it could.
func (l *loop) settle(c *conn, more bool) {
	switch {
	case c.failed && c.down.eof && len(c.down.pending) == 0:
		l.abort(c)
	case c.up.ended() && c.down.ended():
		l.close(c)
	case more && !c.queued:
		c.queued = true
		l.ready = append(l.ready, c)
	case more:
	case c.up.dropped && c.down.ended() && c.index < 0:
		l.startTimer(c, l.now.Add(lingering))
	}
}

// anew makes another attempt when nothing was said in this one.
func (l *loop) anew(c *conn, cause error) {
	c.up.pending = nil // at most a header
	l.again(c, cause)
}

// drop makes a direction throw away what comes.
func (l *loop) drop(f *flow) {
	l.release(f)
	f.pending, f.dropped = nil, true
}

// abort ends both sides by a reset.
func (l *loop) abort(c *conn) {
	reset(c.client.fd)
	if c.backend.fd >= 0 {
		reset(c.backend.fd)
	}
	l.close(c)
}

// close ends a connection. What both sides have been sent still reaches them.
func (l *loop) close(c *conn) {
	l.stopTimer(c)
	l.release(&c.up)
	l.release(&c.down)
	l.forget(c.client.fd)
	l.forget(c.backend.fd)
	l.free(c)
}
