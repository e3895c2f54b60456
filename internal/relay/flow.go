package relay

import (
	"golang.org/x/sys/unix"
)

const (
	// copySize is the loop's buffer: what one read takes at most.
	copySize = 32 << 10
	// streamAfter is how many full buffers in a row make a stream.
	streamAfter = 2
	// pipeSize is what a pipe holds (pipe(7)).
	pipeSize = 64 << 10
	// turn is how many pieces one direction moves before others have their turn.
	turn = 16
)

// end is one socket of a connection.
type end struct {
	fd int
	// in: the kernel has said, and nothing has shown since, that there may be something
	// to read. Events are edge-triggered.
	in bool
	// over: the other side has ended or is gone, so reading goes on until it says so.
	over bool
	// strict: a short read does not prove that nothing is left: UNIX sockets, and
	// TCP once there was urgent data.
	strict bool
	// watched: the loop asked for room to write as well.
	watched bool
}

// flow is one direction.
type flow struct {
	pending []byte // was read and could not be written
	pipe    *pipe  // while it is a stream
	full    int    // full buffers in a row
	moved   bool   // something was read from the source
	eof     bool   // the source has ended
	shut    bool   // the destination was told so
	dropped bool   // the destination is gone: what comes is thrown away
}

func (f *flow) ended() bool { return f.shut || f.dropped && f.eof }

// outcome is why pump stopped.
type outcome int

const (
	waits   outcome = iota // for an event
	again                  // for its next turn
	noRead                 // the source failed
	noWrite                // the destination failed
)

// pump moves what there is from src to dst, for one turn at most.
func (l *loop) pump(f *flow, src, dst *end) (out outcome, e unix.Errno) {
	for range turn {
		switch {
		case len(f.pending) > 0:
			out, e = l.flush(f, dst)
		case f.pipe != nil && f.pipe.n > 0:
			out, e = l.unload(f, dst)
		case f.eof:
			l.finish(f, dst)
			return waits, 0
		case !src.in:
			l.release(f)
			return waits, 0
		case l.streams(f):
			out, e = l.load(f, src)
		default:
			out, e = l.copy(f, src, dst)
		}
		if out != again {
			return out, e
		}
	}
	return again, 0
}

// flush writes what was read before.
func (l *loop) flush(f *flow, dst *end) (outcome, unix.Errno) {
	n, e := sysWrite(dst.fd, f.pending)
	switch e {
	case 0:
	case unix.EAGAIN:
		l.watch(dst)
		return waits, 0
	default:
		return noWrite, e
	}
	if f.pending = f.pending[n:]; len(f.pending) == 0 {
		f.pending = nil
	}
	return again, 0
}

// finish tells the destination that there is no more.
func (l *loop) finish(f *flow, dst *end) {
	l.release(f)
	if !f.shut && !f.dropped {
		sysShutdown(dst.fd)
		f.shut = true
	}
}

// streams tells whether what comes goes through a pipe.
func (l *loop) streams(f *flow) bool {
	if f.pipe == nil && f.full >= streamAfter && !f.dropped {
		f.pipe = l.pipes.get() // nil: copying does it as well
		f.full = 0
	}
	return f.pipe != nil
}

// copy moves one buffer.
func (l *loop) copy(f *flow, src, dst *end) (outcome, unix.Errno) {
	n, e := sysRead(src.fd, l.buf)
	switch {
	case e == unix.EAGAIN:
		src.in = false
		return again, 0
	case e != 0:
		return noRead, e
	case n == 0:
		f.eof, src.in = true, false
		return again, 0
	}
	f.moved = true
	if n == len(l.buf) {
		f.full++
	} else {
		f.full = 0
		src.in = src.over || src.strict
	}
	if f.dropped {
		return again, 0
	}
	w, e := sysWrite(dst.fd, l.buf[:n])
	if e == unix.EAGAIN {
		w, e = 0, 0
	}
	if e != 0 {
		return noWrite, e
	}
	if w < n {
		f.pending = append([]byte(nil), l.buf[w:n]...)
	}
	return again, 0
}

// load fills the pipe.
func (l *loop) load(f *flow, src *end) (outcome, unix.Errno) {
	n, e := sysSplice(src.fd, f.pipe.w, pipeSize)
	switch {
	case e == unix.EAGAIN:
		src.in = false
	case e == unix.EINVAL: // a socket that cannot be spliced
		l.release(f)
		f.full = -1 << 30
	case e != 0:
		return noRead, e
	case n == 0:
		f.eof, src.in = true, false
	default:
		f.moved = true
		f.pipe.n = n
	}
	return again, 0
}

// unload empties the pipe.
func (l *loop) unload(f *flow, dst *end) (outcome, unix.Errno) {
	n, e := sysSplice(f.pipe.r, dst.fd, f.pipe.n)
	switch {
	case e == unix.EAGAIN:
		l.watch(dst)
		return waits, 0
	case e != 0:
		return noWrite, e
	case n == 0: // cannot be while it holds something
		return noWrite, unix.EPIPE
	}
	f.pipe.n -= n
	return again, 0
}

// release gives the pipe back: an idle connection has none.
func (l *loop) release(f *flow) {
	if f.pipe != nil {
		l.pipes.put(f.pipe)
		f.pipe = nil
	}
}
