package listen_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/listen"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// endpoint is a listener over a real queue and real triggers.
type endpoint struct {
	t     testing.TB
	spool string
	addr  string
	log   *bytes.Buffer
	end   func() // ends it; its log is whole then
}

// fullDisk is a queue whose disk takes nothing more.
type fullDisk struct{}

func (fullDisk) EnqueueAll(context.Context, []landfast.Event) ([]string, error) {
	return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot store the event", Err: syscall.ENOSPC}
}

func start(t testing.TB, config string, change ...func(*listen.Options)) *endpoint {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	e := &endpoint{t: t, spool: t.TempDir(), log: &bytes.Buffer{}}
	conf, err := hostconf.Parse("listen.toml", []byte(config+"\n[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\n"))
	must(err)
	set, err := trigger.New(trigger.Options{
		Config: conf, Cache: trigger.OpenCache(t.TempDir()),
		Secret: func(string) ([]byte, error) { return []byte(secret), nil },
	})
	must(err)
	must(queue.Make(e.spool, "web", -1, -1, -1))
	w, err := queue.OpenWriter(e.spool)
	must(err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	e.addr = l.Addr().String()
	o := listen.Options{
		Conf: conf.Listen, Triggers: set, Quarantine: trigger.OpenQuarantine(t.TempDir()), Queue: w,
		Events: func(app string) (listen.Events, error) { return queue.OpenReader(e.spool, app) },
		Log:    slog.New(slog.NewTextHandler(e.log, nil)), Now: time.Now,
	}
	for _, f := range change {
		f(&o)
	}
	s := listen.New(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, []net.Listener{l}) }()
	ended := false
	e.end = func() {
		if !ended {
			ended = true
			cancel()
			if err := errors.Join(<-served, w.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(e.end)
	return e
}

// raw sends bytes as they are and gives the status of the answer; 0: none came.
func (e *endpoint) raw(text string) int {
	e.t.Helper()
	c, err := (&net.Dialer{}).DialContext(e.t.Context(), "tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = c.Write([]byte(text)) // the listener may have hung up
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// waiting is how many events were put into the queue.
func (e *endpoint) waiting() int {
	e.t.Helper()
	names, err := os.ReadDir(filepath.Join(e.spool, "web", "new"))
	if err != nil {
		e.t.Fatal(err)
	}
	return len(names)
}

func post(path, body string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n" + body
}

func push(key, delivery string) string {
	body := `{"ref":"refs/heads/main","before":"` + strings.Repeat("1", 40) + `","after":"` + strings.Repeat("2", 40) +
		`","deleted":false,"repository":{"full_name":"shop/web"},"pusher":{"name":"ann"},"head_commit":null,"commits":[]}`
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return post("/hooks/web", body, "X-GitHub-Event: push", "X-GitHub-Delivery: "+delivery,
		"X-Hub-Signature-256: sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// hostile are requests none of which may be taken.
func hostile(n int) (text string, statuses []int) {
	id := strconv.Itoa(n)
	switch n % 9 {
	case 0:
		return push("guessed"+id, id), []int{403}
	case 1:
		return post("/hooks/web", "{}", "X-GitHub-Event: push"), []int{400, 401, 403}
	case 2: // it says it is too large
		return "POST /hooks/web HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n", []int{413}
	case 3: // it is too large, and does not say so
		return "POST /hooks/web HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + strings.Repeat("x", 0x2000) + "\r\n0\r\n\r\n", []int{413}
	case 4:
		return post("/hooks/web", "", "X-Large: "+strings.Repeat("x", 64<<10)), []int{431, 0}
	case 5:
		return "\x16\x03\x01 no HTTP " + id + "\r\n\r\n", []int{400}
	case 6:
		return post("/hooks/nobody"+id, "{}"), []int{404, 401, 403}
	case 7:
		return post("/v1/apps/web/deployments", "{}", "Authorization: Bearer "+id), []int{401, 403}
	}
	return post("/v1/apps/..%2f..%2fetc/deployments", "{}"), []int{400, 401, 403, 404}
}

// TestNothingHostileIsTaken: of forged, oversized and malformed requests none becomes
// an event, and they leave no memory behind. LANDFAST_LISTEN_REQUESTS is how many.
func TestNothingHostileIsTaken(t *testing.T) {
	requests := 900
	if text := os.Getenv("LANDFAST_LISTEN_REQUESTS"); text != "" {
		var err error
		if requests, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	e := start(t, "[listen]\nrate = 0\nmax_body = \"4KiB\"\nmax_header = \"8KiB\"\n")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc // the log is in it: some hundred bytes a request
	}
	var before uint64
	for i := range requests {
		if i == requests/10 {
			before = heap()
		}
		text, statuses := hostile(i)
		got, ok := e.raw(text), false
		for _, s := range statuses {
			ok = ok || s == got
		}
		if !ok {
			t.Errorf("%.60q: status %d, want one of %v", text, got, statuses)
		}
	}
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if n := e.waiting(); n != 0 {
		t.Errorf("%d events of hostile requests", n)
	}
	if got := e.raw(push(secret, "d-1")); got != 202 || e.waiting() != 1 {
		t.Errorf("a good push afterwards: status %d, %d events", got, e.waiting())
	}
	e.end()
	if strings.Contains(e.log.String(), secret) {
		t.Error("the log holds the secret")
	}
}

// TestSlowOnesAreCut: a request that does not arrive in time holds no place.
func TestSlowOnesAreCut(t *testing.T) {
	e := start(t, "[listen]\nmax_connections = 1\ntimeout = \"1s\"\n")
	if got := e.raw("POST /hooks/web HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"); got != 400 {
		t.Errorf("a body that never ends: status %d", got)
	}
	if got := e.raw("GET /heal"); got != 0 && got != 408 && got != 400 {
		t.Errorf("a header that never ends: status %d", got)
	}
	if got := e.raw(push(secret, "d-1")); got != 202 {
		t.Errorf("a good push behind them: status %d", got)
	}
}

// TestRatePerSource: who sends too much is told to wait, and by a trusted proxy only.
func TestRatePerSource(t *testing.T) {
	e := start(t, "[listen]\nrate = 1\nburst = 2\ntrusted_proxies = [\"127.0.0.1\"]\n")
	get := func(from string) int {
		return e.raw("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: " + from + "\r\n\r\n")
	}
	var got []string
	for _, from := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.9, 192.0.2.1"} {
		got = append(got, strconv.Itoa(get(from)))
	}
	if text := fmt.Sprint(got); text != "[200 200 429 200 429]" {
		t.Errorf("statuses %s", text)
	}
}

// TestWhatCannotBeStored is answered with an error, in JSON, and not acknowledged.
func TestWhatCannotBeStored(t *testing.T) {
	e := start(t, "", func(o *listen.Options) { o.Queue = fullDisk{} })
	c, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.addr+"/hooks/web", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := http.ReadRequest(bufio.NewReader(strings.NewReader(push(secret, "d-1"))))
	if err != nil {
		t.Fatal(err)
	}
	c.Header, c.Body, c.ContentLength = parsed.Header, parsed.Body, parsed.ContentLength
	r, err := http.DefaultClient.Do(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var body struct{ Error struct{ Status int } }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.StatusCode != 503 || body.Error.Status != 503 {
		t.Errorf("status %d, %+v, %v", r.StatusCode, body, err)
	}
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
