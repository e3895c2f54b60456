// Package load asks a web server for answers as many clients at once would, and
// counts what they got: good answers by version, failures by kind, latencies,
// and the longest gap without a good answer.
//
// It is strict where an ordinary client is kind: nothing is asked twice, so a
// connection that a server takes and then drops counts as a failure even when a
// browser would have hidden it. What it is not: a benchmark of throughput.
package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Way is one way of asking.
type Way struct {
	Method string
	Body   string
	Keep   bool // use a connection again, as long as the server allows
}

// Ways are GET and POST, each over kept and over new connections.
func Ways() []Way {
	return []Way{
		{Method: http.MethodGet, Keep: true},
		{Method: http.MethodGet},
		{Method: http.MethodPost, Body: "hello", Keep: true},
		{Method: http.MethodPost, Body: "hello"},
	}
}

// Options say what to ask, how, and for how long.
type Options struct {
	URL string // http only

	// Dial makes the connections; nil: a net.Dialer. The lab's machines have one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Ways    []Way         // nil: Ways()
	Workers int           // for each way; 0: 1
	Pause   time.Duration // of a worker between two requests; 0: 5 ms
	Timeout time.Duration // of one request with its connection; 0: 10 s

	Requests int64         // end after so many; 0: no limit
	For      time.Duration // end after that long; 0: no limit

	// Version names the version that gave an answer; nil: what the Server header
	// says behind the slash.
	Version func(h http.Header, body []byte) string
}

// Run is a load that is going on. Its methods may be called from any goroutine.
type Run struct {
	o    Options
	host string

	ctx    context.Context // ends when no further request is to begin
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu    sync.Mutex
	left  int64 // requests that may still begin, with Options.Requests
	total tally
	lap   tally
}

// Start begins to ask. It ends at the limits in o, when ctx ends, or with Stop,
// whichever is first; Stop must be called in any case.
func Start(ctx context.Context, o Options) (*Run, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	if u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("start load: %q is not an http URL with a host", o.URL)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	o = o.filled()
	now := time.Now()
	r := &Run{o: o, host: host, left: o.Requests, total: newTally(now, now), lap: newTally(now, now)}
	if o.For > 0 {
		r.ctx, r.cancel = context.WithTimeout(ctx, o.For)
	} else {
		r.ctx, r.cancel = context.WithCancel(ctx)
	}
	for _, way := range o.Ways {
		for range o.Workers {
			w := &worker{run: r, way: way}
			r.all.Go(w.work)
		}
	}
	return r, nil
}

func (o Options) filled() Options {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Ways == nil {
		o.Ways = Ways()
	}
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.Pause <= 0 {
		o.Pause = 5 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Version == nil {
		o.Version = serverVersion
	}
	return o
}

// Wait waits until the load has ended by itself; the Result is Stop's.
func (r *Run) Wait() Result {
	r.all.Wait()
	return r.Stop()
}

// Stop lets the requests in progress end, for at most Options.Timeout, and
// gives what there was from the start. It may be called again.
func (r *Run) Stop() Result {
	r.cancel()
	r.all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total.ended.IsZero() {
		r.total.ended = time.Now()
	}
	return r.total.result(r.total.ended)
}

// Lap gives what there was since the last Lap, or since the start, and begins
// the next. A gap that is going on belongs to both.
func (r *Run) Lap() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	done := r.lap.result(now)
	r.lap = newTally(now, r.lap.good)
	return done
}

// begin takes one request from what is left, or says that none is.
func (r *Run) begin() bool {
	if r.ctx.Err() != nil {
		return false
	}
	if r.o.Requests == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	return r.left >= 0
}

// count notes how one request ended.
func (r *Run) count(began time.Time, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.total.count(began, now, o)
	r.lap.count(began, now, o)
}

// pause waits for the next request; false: there is to be none.
func (r *Run) pause() bool {
	t := time.NewTimer(r.o.Pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// serverVersion reads "web/2" as 2 (RFC 9110, 10.2.4).
func serverVersion(h http.Header, _ []byte) string {
	product, _, _ := strings.Cut(h.Get("Server"), " ")
	_, version, _ := strings.Cut(product, "/")
	return version
}

// statusError is an answer that is not a good one.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }
