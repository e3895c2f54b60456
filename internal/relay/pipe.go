package relay

import "golang.org/x/sys/unix"

// pipe is what a stream goes through.
type pipe struct {
	r, w int
	n    int // bytes in it
}

func (p *pipe) close() {
	sysClose(p.r)
	sysClose(p.w)
}

// pipes are those that a loop keeps for the next stream.
type pipes struct {
	free []*pipe
}

// sparePipes is how many are kept.
const sparePipes = 8

// get gives an empty pipe, or nil when there can be none.
func (s *pipes) get() *pipe {
	if n := len(s.free); n > 0 {
		p := s.free[n-1]
		s.free = s.free[:n-1]
		return p
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil
	}
	return &pipe{r: fds[0], w: fds[1]}
}

// put takes a pipe back. One that holds something of a connection is closed.
func (s *pipes) put(p *pipe) {
	if p.n > 0 || len(s.free) >= sparePipes {
		p.close()
		return
	}
	s.free = append(s.free, p)
}

func (s *pipes) close() {
	for _, p := range s.free {
		p.close()
	}
	s.free = nil
}
