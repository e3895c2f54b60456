package relay

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxLoops is how many threads relay unless asked for more.
const maxLoops = 4

// Relay is a relay that was made by New or TakeOver, and is to be Run once.
type Relay struct {
	o         Options
	limit     int
	listeners []*listener
	loops     []*loop
	open      atomic.Int64
	accepting atomic.Int64 // loops
	sayer

	mu      sync.Mutex // handing over and ending exclude each other
	ending  bool
	closing sync.Once
	left    chan struct{} // closed when another process has taken over
}

// listener is a public socket.
type listener struct {
	fd   int
	unix bool
}

// New makes a relay. It owns the listeners even when it fails.
func New(o Options) (*Relay, error) {
	r := &Relay{
		o: o, limit: o.limit(), left: make(chan struct{}),
		sayer: sayer{log: o.Log, last: map[string]time.Time{}, quiet: map[string]int{}},
	}
	if err := r.prepare(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Relay) prepare() error {
	for _, fd := range r.o.Listeners {
		r.listeners = append(r.listeners, &listener{fd: fd})
	}
	switch {
	case len(r.listeners) == 0:
		return errors.New("relay without a socket")
	case !filepath.IsAbs(r.o.Target):
		return fmt.Errorf("the target %q is not the whole path of a link", r.o.Target)
	}
	for _, s := range r.listeners {
		if err := s.prepare(); err != nil {
			return err
		}
	}
	loops := r.o.Loops
	if loops <= 0 {
		loops = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	for range loops {
		l, err := newLoop(r)
		if err != nil {
			return err
		}
		r.loops = append(r.loops, l)
		r.accepting.Add(1)
	}
	return nil
}

// prepare checks that a socket listens, and gives it what its connections inherit:
// TCP_NODELAY and keepalive (tcp(7), socket(7)).
func (s *listener) prepare() error {
	listens, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return fmt.Errorf("look at socket %d: %w", s.fd, err)
	}
	if listens == 0 {
		return fmt.Errorf("socket %d does not listen for connections", s.fd)
	}
	domain, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("look at socket %d: %w", s.fd, err)
	}
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return fmt.Errorf("make socket %d non-blocking: %w", s.fd, err)
	}
	if s.unix = domain == unix.AF_UNIX; s.unix {
		return nil
	}
	err = errors.Join(
		unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
	)
	if err != nil {
		return fmt.Errorf("set the options of socket %d: %w", s.fd, err)
	}
	return nil
}

// listener gives the listener with a descriptor, or nil.
func (r *Relay) listener(fd int) *listener {
	for _, s := range r.listeners {
		if s.fd == fd {
			return s
		}
	}
	return nil
}

// Run relays until ctx ends and the connections have ended, or Options.Drain is over
// behind that; or until another process has taken over. It returns nil in these
// cases.
func (r *Relay) Run(ctx context.Context) error {
	done := make(chan error, len(r.loops))
	for _, l := range r.loops {
		go func() { done <- l.run() }()
	}
	var drained <-chan time.Time
	var err error
	stop, left := ctx.Done(), r.left
	for n := len(r.loops); n > 0; {
		select {
		case e := <-done:
			n--
			if e != nil && err == nil {
				err = e
				r.end(true)
			}
		case <-left: // the loops have ended, or will
			left = nil
		case <-stop:
			stop = nil
			if r.end(r.o.Drain <= 0) {
				timer := time.NewTimer(r.o.Drain)
				defer timer.Stop()
				drained = timer.C
			}
		case <-drained:
			r.say("cut", "%d connections are closed: they had %s to end", r.open.Load(), r.o.Drain)
			r.each(func(l *loop) { l.closeAll() })
		}
	}
	r.close()
	return err
}

// end makes the loops end with their last connection, or at once.
func (r *Relay) end(now bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
	r.each(func(l *loop) {
		l.stop()
		if now {
			l.closeAll()
		}
	})
	return !now
}

func (r *Relay) each(f func(l *loop)) {
	for _, l := range r.loops {
		l.do(func() { f(l) })
	}
}

// closeAll ends every connection of the loop.
func (l *loop) closeAll() {
	for _, c := range l.conns {
		if c != nil && c.state != closed {
			l.close(c)
		}
	}
}

// Open is how many connections are open.
func (r *Relay) Open() int { return int(r.open.Load()) }

func (r *Relay) close() {
	for _, l := range r.loops {
		l.dispose()
	}
	r.closeListeners()
}

// closeListeners lets go of the sockets. Behind it nothing accepts.
func (r *Relay) closeListeners() {
	r.closing.Do(func() {
		for _, s := range r.listeners {
			sysClose(s.fd)
		}
	})
}
