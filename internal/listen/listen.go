// Package listen is the HTTP endpoint of a host: what arrives is verified by
// package trigger, put on disk by package queue, and answered only then. It decides
// nothing and starts nothing: a worker is woken by the file.
//
//	POST /hooks/TRIGGER                        a message of a forge, SNS, or anybody who signs
//	POST /v1/apps/APP/deployments              the API for CI: deploy or roll back
//	POST /v1/deployments                       the same for several apps in one call
//	GET  /v1/apps/APP/deployments[/ID]         what became of them; ?wait=1 or SSE to follow
//	POST /v1/apps/APP/deployments/ID/cancel    take back what still waits
//	GET  /healthz                              it runs
//
// Invariants. 2xx means that every event of the message is on disk, file and
// directory. Memory is bounded whatever is sent: bodies, headers, connections,
// sources and time have limits. No answer and no line of the log holds a secret,
// and no outgoing connection is ever made.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

// Triggers verify messages and callers; see trigger.Set for the contract.
type Triggers interface {
	Handle(ctx context.Context, r trigger.Request) (trigger.Verdict, error)
	Authorize(h http.Header, app, action string) (trigger.Identity, error)
}

// Quarantine keeps what cannot be verified yet; see trigger.Quarantine.
type Quarantine interface {
	Put(m *trigger.Stored) error
	Ask() error
}

// Queue takes events; see queue.Writer.
type Queue interface {
	EnqueueAll(ctx context.Context, evs []landfast.Event) (ids []string, err error)
}

// Events tells of the events of one app; see queue.Reader.
type Events interface {
	List(n int) ([]queue.Entry, error)
	Show(id string) (queue.Entry, error)
	Follow(ctx context.Context, id string) iter.Seq2[queue.Line, error]
	Close() error
}

// Options are what a Server is made of.
type Options struct {
	Conf       hostconf.Listen
	Triggers   Triggers
	Quarantine Quarantine
	Queue      Queue
	Events     func(app string) (Events, error)
	TLS        *tls.Config // nil: plain HTTP
	Log        *slog.Logger
	Now        func() time.Time
}

// Server is the endpoint.
type Server struct {
	o     Options
	rate  *limiter
	conns *activity

	stopping context.Context // over when those who only follow have to come back later
	stop     context.CancelFunc
}

// New makes a Server; nothing listens yet.
func New(o Options) *Server {
	s := &Server{o: o, conns: newActivity(o.Now)}
	s.stopping, s.stop = context.WithCancel(context.Background()) //nolint:forbidigo // Serve ends it
	perMinute := 0
	if o.Conf.Rate != nil {
		perMinute = *o.Conf.Rate
	}
	s.rate = newLimiter(perMinute, o.Conf.Burst, o.Now)
	return s
}

// drainLimit is how long requests under way may take when the server ends.
const drainLimit = 30 * time.Second

// Serve answers on the listeners until ctx ends, or nothing has come for as long as
// the configuration says; then it finishes what is under way and returns nil. The
// listeners are closed; sockets of systemd stay open with it.
func (s *Server) Serve(ctx context.Context, listeners []net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.o.Conf.Timeout.Span,
		ReadTimeout:       s.o.Conf.Timeout.Span,
		IdleTimeout:       min(s.o.Conf.Idle.Span, 30*time.Second),
		MaxHeaderBytes:    int(s.o.Conf.MaxHeader.Bytes),
		ConnState:         s.conns.state,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug), // what broken clients did
	}
	places := make(chan struct{}, max(1, s.o.Conf.MaxConnections))
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		var limited net.Listener = &limitListener{Listener: l, places: places}
		if s.o.TLS != nil {
			limited = tls.NewListener(limited, s.o.TLS)
		}
		go func() { failed <- server.Serve(limited) }()
	}
	var err error
	select {
	case err = <-failed:
	case <-s.conns.idle(ctx, s.o.Conf.Idle.Span):
	case <-ctx.Done():
	}
	s.stop()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if serr := server.Shutdown(ending); serr != nil {
		err = errors.Join(err, serr, server.Close())
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limitListener accepts as long as there are places.
type limitListener struct {
	net.Listener
	places chan struct{}
}

// Accept waits for a place first, so that more clients wait in the kernel.
func (l *limitListener) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// activity knows whether anybody is connected, and since when nobody is.
type activity struct {
	mu    sync.Mutex
	now   func() time.Time
	open  map[net.Conn]bool // busy ones; idle keep-alive connections do not count
	since time.Time
}

func newActivity(now func() time.Time) *activity {
	return &activity{now: now, open: map[net.Conn]bool{}, since: now()}
}

func (a *activity) state(c net.Conn, s http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch s {
	case http.StateNew, http.StateActive:
		a.open[c] = true
	default:
		delete(a.open, c)
	}
	a.since = a.now()
}

// quiet is how long nothing has happened.
func (a *activity) quiet() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) > 0 {
		return 0
	}
	return a.now().Sub(a.since)
}

// idle is closed when nothing has happened for that long; 0: never.
func (a *activity) idle(ctx context.Context, limit time.Duration) <-chan struct{} {
	done := make(chan struct{})
	if limit <= 0 {
		return done
	}
	go func() {
		for {
			left := limit - a.quiet()
			if left <= 0 {
				close(done)
				return
			}
			t := time.NewTimer(left)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	}()
	return done
}

// remote is who sends: the peer, or what trusted proxies say of it.
func (s *Server) remote(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // of a UNIX socket
	}
	addr := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}

func (s *Server) trusted(addr netip.Addr) bool {
	for _, r := range s.o.Conf.TrustedProxies {
		if r.Prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// body reads the whole body, within its limit.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := s.o.Conf.MaxBody.Bytes
	if r.ContentLength > limit {
		return nil, &trigger.Refusal{Status: http.StatusRequestEntityTooLarge, Reason: "the body is too large"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &trigger.Refusal{Status: http.StatusRequestEntityTooLarge, Reason: "the body is too large"}
	}
	if err != nil {
		return nil, &trigger.Refusal{Status: http.StatusBadRequest, Reason: "the body did not arrive whole"}
	}
	return text, nil
}
