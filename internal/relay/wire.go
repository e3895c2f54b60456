package relay

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// wire is the socket between a relay and the one that takes over: SOCK_SEQPACKET,
// each message JSON with the descriptors that it speaks of. What a version does not
// know it ignores, so versions may differ; a member's meaning never changes.
type wire struct{ fd int }

// message is one of a handover: the successor's hello, then the sockets and the
// connections, an end, and the successor's answer.
type message struct {
	Hello     bool       `json:"hello,omitempty"`
	PID       int        `json:"pid,omitempty"` // of the one that says Hello
	Listeners int        `json:"listeners,omitempty"`
	Conns     []wireConn `json:"conns,omitempty"`
	End       bool       `json:"end,omitempty"`
	OK        bool       `json:"ok,omitempty"`
	Error     string     `json:"error,omitempty"`
}

// wireConn is a connection. Its descriptors are the client's, the target's if it is
// open, and those of its pipes.
type wireConn struct {
	Open   bool     `json:"open,omitempty"`
	Strict [2]bool  `json:"strict"` // the client, the target
	Failed bool     `json:"failed,omitempty"`
	Waited int64    `json:"waited,omitempty"` // ms, when it is not open
	Up     wireFlow `json:"up"`
	Down   wireFlow `json:"down"`
}

type wireFlow struct {
	Pending []byte `json:"pending,omitempty"`
	Piped   int    `json:"piped,omitempty"` // bytes in its pipe; 0: it has none
	Moved   bool   `json:"moved,omitempty"`
	EOF     bool   `json:"eof,omitempty"`
	Shut    bool   `json:"shut,omitempty"`
	Dropped bool   `json:"dropped,omitempty"`
}

const (
	// A message must fit into the socket's buffer, and may carry SCM_MAX_FD (253)
	// descriptors (unix(7)).
	mostBytes = 128 << 10
	mostFiles = 240
	// largest is what is made room for when one is read.
	largest = 256 << 10
)

func (w wire) send(m message, fds ...int) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write a message of the handover: %w", err)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(w.fd, text, rights, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("send a message of the handover: %w", err)
	}
	return nil
}

// receive blocks until a message is there, for as long as the socket's timeout says.
func (w wire) receive(buf []byte) (message, []int, error) {
	rights := make([]byte, unix.CmsgSpace(mostFiles*4))
	n, nr, flags, _, err := unix.Recvmsg(w.fd, buf, rights, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) {
		n, nr, flags, _, err = unix.Recvmsg(w.fd, buf, rights, unix.MSG_CMSG_CLOEXEC)
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return message{}, nil, errors.New("no answer in time")
	case err != nil:
		return message{}, nil, fmt.Errorf("receive a message of the handover: %w", err)
	case n == 0:
		return message{}, nil, errors.New("the other process has ended")
	}
	var fds []int
	if nr > 0 {
		if all, err := unix.ParseSocketControlMessage(rights[:nr]); err == nil {
			for i := range all {
				some, _ := unix.ParseUnixRights(&all[i]) // nothing else was sent
				fds = append(fds, some...)
			}
		}
	}
	var m message
	err = json.Unmarshal(buf[:n], &m)
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("it was cut")
	}
	if err == nil && m.Error != "" {
		err = errors.New(m.Error)
	}
	if err != nil {
		closeAll(fds)
		return message{}, nil, fmt.Errorf("read a message of the handover: %w", err)
	}
	return m, fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		sysClose(fd)
	}
}

// wireOf is a connection as it is handed over.
func (l *loop) wireOf(c *conn) (wireConn, []int) {
	w := wireConn{Open: c.state == open, Strict: [2]bool{c.client.strict, c.backend.strict}, Failed: c.failed}
	fds := []int{c.client.fd}
	if !w.Open {
		// The successor makes an attempt of its own.
		w.Waited = l.now.Sub(c.began).Milliseconds()
		w.Up = wireFlow{EOF: c.up.eof, Moved: c.up.moved}
		if len(c.up.pending) > 0 {
			w.Up.Pending = c.up.pending[c.header:]
		}
		return w, fds
	}
	fds = append(fds, c.backend.fd)
	for _, d := range []struct {
		f *flow
		w *wireFlow
	}{{&c.up, &w.Up}, {&c.down, &w.Down}} {
		f := d.f
		*d.w = wireFlow{Pending: f.pending, Moved: f.moved, EOF: f.eof, Shut: f.shut, Dropped: f.dropped}
		if f.pipe != nil && f.pipe.n > 0 {
			d.w.Piped = f.pipe.n
			fds = append(fds, f.pipe.r, f.pipe.w)
		}
	}
	return w, fds
}

// files is how many descriptors belong to the connection.
func (w wireConn) files() int {
	n := 1
	if w.Open {
		n++
	}
	for _, f := range []wireFlow{w.Up, w.Down} {
		if f.Piped > 0 {
			n += 2
		}
	}
	return n
}

func (w wireConn) size() int { return 300 + (len(w.Up.Pending)+len(w.Down.Pending))*4/3 }

// adopt makes a connection of what was handed over, whose descriptors it takes.
func (l *loop) adopt(w wireConn, fds []int) {
	c := l.newConn()
	l.open++
	l.relay.open.Add(1)
	c.client = end{fd: fds[0], in: true, strict: w.Strict[0], watched: true}
	c.backend.fd = -1
	c.failed = w.Failed
	fds = fds[1:]
	fill := func(f *flow, w wireFlow) {
		*f = flow{pending: w.Pending, moved: w.Moved, eof: w.EOF, shut: w.Shut, dropped: w.Dropped}
		if w.Piped > 0 {
			f.pipe = &pipe{r: fds[0], w: fds[1], n: w.Piped}
			fds = fds[2:]
		}
	}
	const events = interest | unix.EPOLLOUT // so that it is looked at once
	if !w.Open {
		c.state = waiting
		c.began = l.now.Add(-msec(w.Waited))
		fill(&c.up, w.Up)
		if l.add(c, c.client.fd, events) {
			l.startTimer(c, l.now)
		} else {
			l.close(c)
		}
		return
	}
	c.state = open
	c.backend = end{fd: fds[0], in: true, strict: w.Strict[1], watched: true}
	fds = fds[1:]
	fill(&c.up, w.Up)
	fill(&c.down, w.Down)
	if !l.add(c, c.client.fd, events) || !l.add(c, c.backend.fd, events) {
		l.close(c)
	}
}
