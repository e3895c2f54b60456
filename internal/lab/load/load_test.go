package load_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/lab/load"
)

// start starts a load that the test ends.
func start(t *testing.T, o load.Options) *load.Run {
	t.Helper()
	o.Pause = time.Millisecond
	r, err := load.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Stop() })
	return r
}

func TestGoodAnswersAreCountedByVersion(t *testing.T) {
	var asked, connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || (r.Method == http.MethodPost) != (string(body) == "hello") {
			t.Errorf("%s with body %q, %v", r.Method, body, err)
		}
		w.Header().Set("Server", "web/1 (debian)")
		if asked.Add(1) > 50 {
			w.Header().Set("Server", "web/2")
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	r := start(t, load.Options{URL: s.URL, Requests: 200, Workers: 2}).Wait()
	if r.OK != 200 || r.Failed != 0 || r.Lost() != 0 {
		t.Errorf("%s", r)
	}
	if want := map[string]int64{"1": 50, "2": 150}; !maps.Equal(r.Versions, want) {
		t.Errorf("versions: %s", cmp.Diff(want, r.Versions))
	}
	if r.Methods["GET"]+r.Methods["POST"] != 200 || len(r.Methods) != 2 {
		t.Errorf("methods: %v", r.Methods)
	}
	// Four of the eight workers keep one connection each; the others make many.
	if n := connections.Load(); n < 8 || n > 200-4 {
		t.Errorf("%d connections for 200 requests", n)
	}
	if r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.Max || r.Gap <= 0 || r.Gap > r.Took {
		t.Errorf("times out of order: %+v", r)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		return c
	}
	hang := make(chan struct{})
	tests := map[string]struct {
		handler http.HandlerFunc
		want    load.Failure
		lost    bool
	}{
		"status": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "web/3")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, load.Failure{Kind: "status 503", Version: "3"}, false},
		"reset": {func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}, load.Failure{Kind: "reset"}, true},
		"closed before an answer": {func(w http.ResponseWriter, _ *http.Request) {
			_ = hijack(w).Close()
		}, load.Failure{Kind: "closed"}, true},
		"closed within an answer": {func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			_ = c.Close()
		}, load.Failure{Kind: "closed"}, true},
		"timeout": {func(http.ResponseWriter, *http.Request) { <-hang }, load.Failure{Kind: "timeout"}, true},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			_, _ = io.WriteString(c, "220 mail.example.org\r\n\r\n")
			_ = c.Close()
		}, load.Failure{Kind: "other"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(test.handler)
			defer s.Close()
			o := load.Options{URL: s.URL, Ways: []load.Way{{Method: "GET", Keep: true}}, Requests: 3}
			if name == "timeout" {
				o.Timeout = 20 * time.Millisecond
				defer close(hang)
			}
			r := start(t, o).Wait()
			if want := map[load.Failure]int64{test.want: 3}; !maps.Equal(r.Failures, want) || r.Example == "" {
				t.Errorf("failures %v (%s), want %v", r.Failures, r.Example, want)
			}
			if lost := r.Lost() == 3; lost != test.lost {
				t.Errorf("lost %d", r.Lost())
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		s := httptest.NewServer(nil)
		s.Close()
		r := start(t, load.Options{URL: s.URL, Requests: 4}).Wait()
		if want := map[load.Failure]int64{{Kind: "refused"}: 4}; !maps.Equal(r.Failures, want) {
			t.Errorf("failures %v, want %v", r.Failures, want)
		}
	})
}

func TestConnectionClosedWhileIdleIsNoFailure(t *testing.T) {
	// The server ends each connection behind an answer that did not say so; by
	// the next request the client has seen the end.
	ended := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_ = c.Close()
		ended <- struct{}{}
	}))
	defer s.Close()
	o := load.Options{URL: s.URL, Ways: []load.Way{{Method: "POST", Body: "x", Keep: true}}, Requests: 5}
	o.Version = func(http.Header, []byte) string { <-ended; return "seen" }
	if r := start(t, o).Wait(); r.OK != 5 {
		t.Errorf("%s: %s", r, r.Example)
	}
}

func TestVersionFromTheBody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "v7 hello") }))
	defer s.Close()
	r := start(t, load.Options{
		URL: s.URL, Requests: 4,
		Version: func(_ http.Header, body []byte) string { return strings.Fields(string(body))[0] },
	}).Wait()
	if r.Versions["v7"] != 4 {
		t.Errorf("%s", r)
	}
}

// pipes is a network without a kernel, for tests with a clock of their own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }
func (p *pipes) Close() error   { close(p.done); return nil }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestGapsAndLaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		l := newPipes()
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(10 * time.Millisecond)
			if down.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})}
		go func() { _ = s.Serve(l) }()
		run, err := load.Start(t.Context(), load.Options{
			URL: "http://web/", Dial: l.dial, Pause: 90 * time.Millisecond, Ways: []load.Way{{Method: "GET", Keep: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		// A request takes 10 ms, and begins each 100 ms.
		<-time.After(1050 * time.Millisecond)
		lap := run.Lap()
		if lap.OK != 11 || lap.Failed != 0 || lap.Gap != 100*time.Millisecond || lap.Max != 10*time.Millisecond {
			t.Errorf("up: %s", lap)
		}
		down.Store(true)
		<-time.After(2 * time.Second)
		lap = run.Lap()
		if lap.OK != 0 || lap.Failed != 20 || lap.Gap != 2040*time.Millisecond || lap.Max != 0 {
			t.Errorf("down: %s", lap)
		}
		down.Store(false)
		<-time.After(500 * time.Millisecond)
		lap = run.Lap()
		if lap.OK != 5 || lap.Failed != 0 || lap.Gap != 2100*time.Millisecond {
			t.Errorf("up again: %s", lap)
		}
		all := run.Stop()
		if all.OK != 16 || all.Failed != 20 || all.Gap != 2100*time.Millisecond || all.Took != 3550*time.Millisecond {
			t.Errorf("all: %+v", all)
		}
		if again := run.Stop(); !cmp.Equal(all, again) {
			t.Errorf("Stop gave another result: %s", cmp.Diff(all, again))
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		// The bubble itself fails the test when a goroutine is left.
	})
}

func TestEnds(t *testing.T) {
	tests := map[string]struct {
		hang    bool
		options load.Options
		cancel  bool
		took    time.Duration
		timeout int64
	}{
		"after its time":             {options: load.Options{For: 3 * time.Second}, took: 3 * time.Second},
		"with its context":           {cancel: true, took: time.Second},
		"when a request takes long":  {hang: true, cancel: true, options: load.Options{Timeout: 4 * time.Second}, took: 4 * time.Second, timeout: 4},
		"when there is no limit set": {cancel: true, options: load.Options{Workers: 3}, took: time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				l := newPipes()
				s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					if test.hang {
						<-ended
					}
				})}
				go func() { _ = s.Serve(l) }()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				test.options.URL, test.options.Dial = "http://web", l.dial
				run, err := load.Start(ctx, test.options)
				if err != nil {
					t.Fatal(err)
				}
				if test.cancel {
					<-time.After(time.Second)
					cancel()
				}
				r := run.Wait()
				if r.Took != test.took || r.Failures[load.Failure{Kind: "timeout"}] != test.timeout || r.Lost() != test.timeout {
					t.Errorf("took %s: %s", r.Took, r)
				}
				close(ended)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestStartRefusesOtherURLs(t *testing.T) {
	for _, u := range []string{"https://web/", "web:80", "http://", "http://[", "/run/web.sock"} {
		if run, err := load.Start(t.Context(), load.Options{URL: u}); err == nil {
			run.Stop()
			t.Errorf("Start(%q) succeeded", u)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var ds []time.Duration
	for i := range 1000 {
		ds = append(ds, time.Duration(i+1)*time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.001: time.Millisecond, 0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		got := load.Quantile(q, ds...)
		if got < want || got > want+want/15 {
			t.Errorf("quantile %v = %s, want %s or at most 7 %% more", q, got, want)
		}
	}
	if got := load.Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %s", got)
	}
	if got := load.Quantile(0.5, -time.Second, 0, 3*time.Microsecond, 400*time.Hour); got < 0 || got > 4*time.Microsecond {
		t.Errorf("quantile with extremes = %s", got)
	}
}

func TestResultOnOneLine(t *testing.T) {
	r := load.Result{
		OK: 120, Failed: 3, Gap: 1234567 * time.Microsecond, P50: 512 * time.Microsecond, P99: 23 * time.Millisecond, Max: 40 * time.Millisecond,
		Failures: map[load.Failure]int64{{Kind: "status 503", Version: "3"}: 2, {Kind: "reset"}: 1},
		Versions: map[string]int64{"2": 20, "1": 100},
	}
	want := "123 requests, 3 failed (1 reset, 2 status 503 from 3); answered: 100 by 1, 20 by 2; longest gap 1.23s; p50 510µs, p99 23ms, max 40ms"
	if got := r.String(); got != want {
		t.Error(cmp.Diff(want, got))
	}
}
