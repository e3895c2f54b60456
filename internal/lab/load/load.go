// Package load asks a web server for answers as many clients at once would, and
// counts what they got: good answers by version, failures by kind, latencies,
// and the longest gap without a good answer.
//
// It is strict where an ordinary client is kind: nothing is asked twice, so a
// connection that a server takes and then drops counts as a failure even when a
// browser would have hidden it. On request it keeps a record of every request, of
// which Window computes what clients had while something else was going on. What it
// is not: a benchmark of throughput.
package load

import (
	"cmp"
	"context"
	"fmt"
	"io"
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
	Path   string // of the page, relative to Options.URL; "": that one
	Body   string
	Keep   bool // use a connection again, as long as the server allows

	// End is what the body of an answer must end with, so that an answer that was
	// cut short is a failure even where its framing does not tell.
	End string

	Workers int // 0: Options.Workers
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
	Workers int           // for each way that does not say; 0: 1
	Pause   time.Duration // of a worker between two requests; 0: 5 ms
	Timeout time.Duration // of one request with its connection; 0: 10 s

	Requests int64         // end after so many; 0: no limit
	For      time.Duration // end after that long; 0: no limit

	Record bool // keep every request, 40 bytes each, for Run.Record

	// Version names the version that gave an answer; nil: what the Server header
	// says behind the slash.
	Version func(h http.Header, body []byte) string
}

// Run is a load that is going on. Its methods may be called from any goroutine.
type Run struct {
	o     Options
	host  string
	began time.Time

	ctx    context.Context // ends when no further request is to begin
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu    sync.Mutex
	left  int64 // requests that may still begin, with Options.Requests
	total tally
	lap   tally

	record []Request
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
	r := &Run{o: o, host: host, began: now, left: o.Requests, total: newTally(now, now), lap: newTally(now, now)}
	if o.For > 0 {
		r.ctx, r.cancel = context.WithTimeout(ctx, o.For)
	} else {
		r.ctx, r.cancel = context.WithCancel(ctx)
	}
	for i, way := range o.Ways {
		page, err := u.Parse(way.Path)
		if err != nil {
			r.cancel()
			r.all.Wait()
			return nil, fmt.Errorf("start load: %w", err)
		}
		for range cmp.Or(way.Workers, o.Workers) {
			w := &worker{run: r, way: way, index: i, page: page.String()}
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

// Total gives what there was from the start until now.
func (r *Run) Total() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total.result(time.Now())
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
	if r.o.Record {
		q := Request{Began: began.Sub(r.began), Ended: now.Sub(r.began), Way: o.way}
		if o.err != nil {
			q.Failure = kind(o.err)
		}
		r.record = append(r.record, q)
	}
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

// errCut is an answer without its end.
var errCut = fmt.Errorf("the answer has no end: %w", io.ErrUnexpectedEOF)

// statusError is an answer that is not a good one.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }
