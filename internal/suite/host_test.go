package suite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// host is a machine with landfast and the probe, and the test that uses it.
type host struct {
	*lab.Machine
	t *testing.T
}

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// Programs built once in a test process.
var (
	probe = sync.OnceValues(func() (string, error) { return lab.Build(context.Background(), "./testdata/probe") })
	fault = sync.OnceValues(func() (string, error) { return lab.Build(context.Background(), "./testdata/fault") })
)

// eachHost runs a test on a fresh machine of each suite, on all of them at once.
func eachHost(t *testing.T, f func(h *host)) {
	t.Helper()
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			f(boot(t, suite))
		})
	}
}

func boot(t *testing.T, suite string) *host {
	t.Helper()
	binds := []lab.Bind{labtest.Landfast(t)}
	for name, build := range map[string]func() (string, error){"probe": probe, "fault": fault} {
		path, err := build()
		if err != nil {
			t.Fatal(err)
		}
		binds = append(binds, lab.Bind{Host: path, Inside: "/usr/local/bin/" + name})
	}
	return &host{Machine: labtest.Boot(t, lab.Options{Suite: suite, Binds: binds}), t: t}
}

// in is the same host for a subtest.
func (h *host) in(t *testing.T) *host { return &host{Machine: h.Machine, t: t} }

// result is how a command ended.
type result struct {
	t       testing.TB
	command string
	code    int
	out     string // stdout
	all     string // stdout and stderr, as they came
}

// run runs a command in a directory of the machine.
func (h *host) run(dir string, argv ...string) result {
	h.t.Helper()
	return h.exec(lab.Cmd{Dir: dir, Argv: argv})
}

func (h *host) exec(c lab.Cmd) result {
	h.t.Helper()
	var out strings.Builder
	var all locked
	c.Stdout, c.Stderr = io.MultiWriter(&out, &all), &all
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*patience)
	defer cancel()
	r, err := h.Run(ctx, c)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, all.String())
	}
	return result{t: h.t, command: strings.Join(c.Argv, " "), code: r.Code, out: out.String(), all: all.String()}
}

// sh runs a script, which must succeed, and gives what it printed.
func (h *host) sh(script string) string {
	h.t.Helper()
	return strings.TrimSpace(h.run("/", "sh", "-euc", script).code0().out)
}

// locked is a buffer that two streams may write to.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// exits checks the exit code and ends the test when it is another.
func (r result) exits(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("%s: exit code %d, want %d\n%s", r.command, r.code, code, r.all)
	}
	return r
}

func (r result) code0() result {
	r.t.Helper()
	return r.exits(0)
}

// says checks that every text was printed.
func (r result) says(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.all, text) {
			r.t.Errorf("%s does not say %q:\n%s", r.command, text, r.all)
		}
	}
	return r
}

// silentOn checks that a text was not printed.
func (r result) silentOn(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.all, text) {
			r.t.Errorf("%s says %q:\n%s", r.command, text, r.all)
		}
	}
	return r
}

// decode reads what was printed on stdout as one JSON value.
func (r result) decode(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.out), v); err != nil {
		r.t.Fatalf("%s does not print JSON: %v\n%s", r.command, err, r.all)
	}
}

// write writes a file of the machine.
func (h *host) write(path, text string) {
	h.t.Helper()
	if err := h.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// read reads a file of the machine.
func (h *host) read(path string) string {
	h.t.Helper()
	text, err := h.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// get asks an HTTP server of the machine, once and on a connection of its own.
func (h *host) get(url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: h.Dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// eventually waits for a condition; the last text it gave is in the failure.
func (h *host) eventually(what string, condition func() (ok bool, seen string)) {
	h.t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := condition()
		if ok {
			return
		}
		select {
		case <-limit:
			h.t.Fatalf("waited in vain for: %s; last seen: %s", what, seen)
		case <-h.t.Context().Done():
			h.t.Fatal(h.t.Context().Err())
		case <-tick.C:
		}
	}
}

// unit asks systemd for a property of a unit.
func (h *host) unit(unit, property string) string {
	h.t.Helper()
	return h.sh(fmt.Sprintf("systemctl show --value -p %s %s", property, unit))
}
