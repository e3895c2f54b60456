package health_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/health"
)

// script is a unit whose status changes with time.
type script struct {
	mu    sync.Mutex
	start time.Time
	at    []moment
}

type moment struct {
	after  time.Duration
	status landfast.UnitStatus
}

func (s *script) Status(_ context.Context, unit string) (landfast.UnitStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() {
		s.start = time.Now()
	}
	var st landfast.UnitStatus
	for _, m := range s.at {
		if time.Since(s.start) >= m.after {
			st = m.status
		}
	}
	st.Name = unit
	return st, nil
}

var (
	up       = landfast.UnitStatus{Active: "active", Sub: "running"}
	starting = landfast.UnitStatus{Active: "activating", Sub: "start"}
	failed   = landfast.UnitStatus{Active: "failed", Sub: "failed", Result: "exit-code"}
	again    = landfast.UnitStatus{Active: "activating", Sub: "auto-restart", Restarts: 1}
	back     = landfast.UnitStatus{Active: "active", Sub: "running", Restarts: 1}
)

func TestWait(t *testing.T) {
	h := landfast.Health{Kind: landfast.HealthHTTP, Interval: time.Second, Timeout: 20 * time.Second}
	never := errors.New("connection refused")
	tests := []struct {
		name    string
		health  landfast.Health
		unit    []moment
		healthy time.Duration // when the probe begins to answer well; negative: never
		want    string        // in the error; "": healthy
		waited  time.Duration // at most
	}{
		{"answers at once", h, []moment{{0, up}}, 0, "", 0},
		{"answers later", h, []moment{{0, up}}, 7 * time.Second, "", 8 * time.Second},
		{"never answers", h, []moment{{0, up}}, -1, "not healthy after 20s: connection refused", 20 * time.Second},
		{"dies before it answers", h, []moment{{0, up}, {3 * time.Second, failed}}, -1, "web.service died", 4 * time.Second},
		{"is restarted by systemd", h, []moment{{0, up}, {3 * time.Second, again}}, -1, "systemd is restarting it", 4 * time.Second},
		{"was restarted between two looks", h, []moment{{0, up}, {3 * time.Second, back}}, -1, "systemd is restarting it", 4 * time.Second},
		{"answers but is dead", h, []moment{{0, failed}}, 0, "web.service died", time.Second},
		{"no probe within the grace time", withGrace(h, 5*time.Second), []moment{{0, up}}, 0, "", 5 * time.Second},
		{"dies within the grace time", withGrace(h, 5*time.Second), []moment{{0, up}, {time.Second, failed}}, 0, "web.service died", 2 * time.Second},
		{"kind unit stays up", unitKind(2 * time.Second), []moment{{0, up}}, -1, "", 2 * time.Second},
		{"kind unit dies late", unitKind(2 * time.Second), []moment{{0, up}, {1900 * time.Millisecond, failed}}, -1, "web.service died", 2 * time.Second},
		{"kind unit still starting", unitKind(time.Second), []moment{{0, starting}, {5 * time.Second, up}}, -1, "", 6 * time.Second},
		{"kind unit never starts", unitKind(time.Second), []moment{{0, starting}}, -1, "is activating (start)", 20 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				probe := func(context.Context) (string, error) {
					if tt.healthy >= 0 && time.Since(begin) >= tt.healthy {
						return "ok", nil
					}
					return "no", never
				}
				_, err := health.Wait(t.Context(), tt.health, "web.service", &script{at: tt.unit}, probe)
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("error %v, want healthy", err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				if waited := time.Since(begin); waited > tt.waited {
					t.Errorf("waited %s, want at most %s", waited, tt.waited)
				}
			})
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted by the operator")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-time.After(3 * time.Second)
			cancel(cause)
		}()
		h := landfast.Health{Kind: landfast.HealthTCP, Interval: time.Second, Timeout: time.Minute}
		_, err := health.Wait(ctx, h, "web.service", &script{at: []moment{{0, up}}},
			func(context.Context) (string, error) { return "", errors.New("no") })
		if !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause of the cancellation", err)
		}
	})
}

func withGrace(h landfast.Health, grace time.Duration) landfast.Health {
	h.Grace = grace
	return h
}

func unitKind(grace time.Duration) landfast.Health {
	return landfast.Health{Kind: landfast.HealthUnit, Grace: grace, Interval: time.Second, Timeout: 20 * time.Second}
}

func TestHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.Write([]byte("all   is\nwell"))
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/down":
			http.Error(w, "no database", http.StatusServiceUnavailable)
		case "/hang":
			<-r.Context().Done()
		}
	}))
	defer srv.Close()
	tests := []struct {
		name, path, body string
		status           int
		want             string // in the error; "": healthy
		answer           string
	}{
		{"200", "/ok", "", 0, "", "200 OK: all is well"},
		{"body", "/ok", "is\nwell", 0, "", ""},
		{"body missing", "/ok", "ready", 0, `without "ready"`, ""},
		{"a redirect is an answer", "/moved", "", 0, "", "302 Found"},
		{"a redirect is not followed", "/moved", "", 200, "answered 302 Found", ""},
		{"503", "/down", "", 0, "answered 503", "no database"},
		{"503 wanted", "/down", "", 503, "", ""},
		{"no answer", "/hang", "", 0, "deadline", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			p := health.HTTP(&net.Dialer{}, landfast.Health{Target: srv.URL + tt.path, Status: tt.status, Body: tt.body})
			answer, err := p(ctx)
			checkProbe(t, err, tt.want)
			if !strings.Contains(answer, tt.answer) {
				t.Errorf("answer %q, want one with %q", answer, tt.answer)
			}
		})
	}
}

func TestSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.Host)) })}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	answer, err := health.HTTP(&net.Dialer{}, landfast.Health{Target: "http://localhost/healthz", Socket: path})(t.Context())
	checkProbe(t, err, "")
	if !strings.Contains(answer, ": localhost") {
		t.Errorf("answer %q", answer)
	}
	_, err = health.TCP(&net.Dialer{}, path)(t.Context())
	checkProbe(t, err, "")
	srv.Close()
	<-done
	_, err = health.TCP(&net.Dialer{}, path)(t.Context())
	checkProbe(t, err, "no such file")
}

func checkProbe(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want healthy", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}
