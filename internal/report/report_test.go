package report_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/report"
	"github.com/landfast/landfast/internal/trigger"
)

const commit = "bffeb74224043ba2feb48d137756c8a9331c449a"

// forge stands in for the APIs, and refuses what the real ones refuse: another
// path, method, token or state.
type forge struct {
	mu     sync.Mutex
	got    []string // state and context, in the order of arrival
	down   int      // so many requests are answered with 503
	secret string
	t      *testing.T
}

func (f *forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	if f.down > 0 {
		f.down--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var b map[string]any
	if err := json.Unmarshal(body, &b); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		f.t.Errorf("%s %s %s", r.Method, r.Header, body)
	}
	text := func(name string) string { s, _ := b[name].(string); return s }
	states, token, name := []string{"pending", "success", "error", "failure"}, "", "context"
	switch r.URL.EscapedPath() {
	case "/repos/shop/web/statuses/" + commit: // docs.github.com: REST API, commit statuses
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	case "/api/v1/repos/shop/web/statuses/" + commit: // Gitea: repoCreateStatus
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "token ")
	case "/api/v4/projects/shop%2Fweb/statuses/" + commit: // docs.gitlab.com: commits API
		token, name, states = r.Header.Get("PRIVATE-TOKEN"), "name", []string{"pending", "running", "success", "failed", "canceled"}
	case "/services/T0/B0/x": // Slack: incoming webhooks
		f.got = append(f.got, text("text"))
		return
	case "/hook":
		c, _ := hostconf.Parse("x", []byte("[[trigger]]\nname = \"w\"\napp = \"w\"\nprovider = \"standard\"\n"))
		set, err := trigger.New(trigger.Options{Config: c, Secret: func(string) ([]byte, error) { return []byte(f.secret), nil }})
		if err == nil {
			_, err = set.Handle(r.Context(), trigger.Request{Trigger: "w", Header: r.Header, Body: body})
		}
		if err != nil {
			f.t.Errorf("the webhook is not signed: %v", err)
		}
		f.got = append(f.got, text("type"))
		return
	default:
		f.t.Errorf("POST %s", r.URL.EscapedPath())
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if token != "the-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if !strings.Contains(strings.Join(states, " "), text("state")) || len(text("description")) > 150 || text(name) == "" {
		f.t.Errorf("%s: %s", r.URL, body)
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	f.got = append(f.got, text("state")+" "+text(name)+" "+text("target_url"))
}

type world struct {
	*forge
	now     time.Time
	dir     string
	secrets map[string]string
	box     *report.Outbox
}

func newWorld(t *testing.T, config string) *world {
	t.Helper()
	w := &world{forge: &forge{t: t, secret: trigger.NewSecret(true)}, now: time.Now().Truncate(time.Second), dir: t.TempDir()}
	server := httptest.NewTLSServer(w.forge)
	t.Cleanup(server.Close)
	c, err := hostconf.Parse("listen.toml", []byte(strings.ReplaceAll(config, "SERVER", server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	w.secrets = map[string]string{"r.report": "the-token\n", "hook.report": w.secret, "slack.report": server.URL + "/services/T0/B0/x"}
	w.box = report.Open(w.dir, report.Options{
		Reports: c.Reports, Client: server.Client(), Now: func() time.Time { return w.now },
		Secret: func(id string) ([]byte, error) {
			if s, ok := w.secrets[id]; ok {
				return []byte(s), nil
			}
			return nil, fs.ErrNotExist
		},
	})
	return w
}

func (w *world) report(state report.State) report.Report {
	ev := landfast.Event{ID: "1", App: "web", Repository: "shop/web", Commit: commit, Ref: "refs/heads/main", Actor: "ann", Message: "Serve <the> basket & more"}
	r := report.Of(ev, "h1", state, w.now)
	r.Deployment = "20261125T120000Z"
	if state == report.Failure {
		r.Reason = strings.Repeat("unhealthy ", 40)
	}
	return r
}

func (w *world) add(r report.Report) {
	w.t.Helper()
	if err := w.box.Add(r); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send() (outcomes string, next time.Time) {
	w.t.Helper()
	all, next, err := w.box.Send(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s %s; ", s.State, s.Outcome)
	}
	return b.String(), next
}

// TestStatuses reach each forge as it documents them.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ config, failed string }{
		{"provider = \"github\"\napi = \"SERVER\"", "failure"},
		{"provider = \"gitlab\"\napi = \"SERVER/api/v4\"", "failed"},
		{"provider = \"gitea\"\napi = \"SERVER/api/v1/\"", "failure"},
		{"provider = \"forgejo\"\napi = \"SERVER/api/v1\"", "failure"},
	} {
		w := newWorld(t, "[[report]]\nname = \"r\"\n"+c.config+"\ntarget = \"https://x/APP/DEPLOYMENT\"\n")
		for _, s := range []report.State{report.Pending, report.Success, report.Failure} {
			w.add(w.report(s))
			if got, next := w.send(); got != string(s)+" sent; " || !next.IsZero() {
				t.Errorf("%s: %s, %v", c.config, got, next)
			}
		}
		rest := " landfast/web@h1 https://x/web/20261125T120000Z"
		if got, want := strings.Join(w.got, "\n"), "pending"+rest+"\nsuccess"+rest+"\n"+c.failed+rest; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.config, got, want)
		}
	}
}

// TestOthers: a webhook, Slack, a command.
func TestOthers(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	w := newWorld(t, "[[report]]\nname = \"hook\"\nprovider = \"webhook\"\nurl = \"SERVER/hook\"\n"+
		"[[report]]\nname = \"slack\"\nprovider = \"slack\"\non = [\"success\"]\n"+
		"[[report]]\nname = \"cmd\"\nprovider = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"cat > "+out+"\"]\n"+
		"[[report]]\nname = \"not-me\"\nprovider = \"command\"\napps = [\"blog\"]\ncommand = [\"/bin/false\"]\n")
	w.add(w.report(report.Pending))
	w.send()
	w.add(w.report(report.Success))
	if got, _ := w.send(); got != "success sent; success sent; success sent; " {
		t.Error(got)
	}
	want := "deployment.pending\ndeployment.success\nweb bffeb74: live on h1 (Serve &lt;the&gt; basket &amp; more), by ann"
	if got := strings.Join(w.got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var r report.Report
	text, err := os.ReadFile(out)
	if err != nil || json.Unmarshal(text, &r) != nil || r.State != report.Success || r.Commit != commit {
		t.Errorf("%s, %v", text, err)
	}
}

// TestOutage: reports wait, with growing pauses, over restarts; what was overtaken
// is not sent; after a day it is given up.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "[[report]]\nname = \"r\"\nprovider = \"github\"\napi = \"SERVER\"\n")
	w.down = 1 << 30
	w.add(w.report(report.Pending))
	pause := 10 * time.Second
	for range 4 {
		got, next := w.send()
		if got != "pending waits; " || next.Sub(w.now) != pause {
			t.Fatalf("%s, next in %v, want %v", got, next.Sub(w.now), pause)
		}
		if got, _ := w.send(); got != "pending waits; " {
			t.Fatal(got)
		}
		w.now = next
		pause *= 2
	}
	w.add(w.report(report.Success))
	w.down = 0
	if got, next := w.send(); got != "pending overtaken; success sent; " || !next.IsZero() {
		t.Errorf("%s, %v", got, next)
	}
	if len(w.got) != 1 || !strings.HasPrefix(w.got[0], "success ") {
		t.Errorf("%v", w.got)
	}
	w.down = 1 << 30
	w.add(w.report(report.Failure))
	for range 100 {
		got, next := w.send()
		if got == "failure given up; " {
			break
		}
		if got != "failure waits; " || next.Sub(w.now) > time.Hour {
			t.Fatalf("%s, next in %v", got, next.Sub(w.now))
		}
		w.now = next
	}
	if got, _ := w.send(); got != "" {
		t.Errorf("after it was given up: %s", got)
	}
}

// TestNotDecisive: whatever is wrong with a receiver, Send says so and goes on.
func TestNotDecisive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "[[report]]\nname = \"a\"\nprovider = \"github\"\napi = \"https://127.0.0.1:1\"\n[[report]]\nname = \"cmd\"\nprovider = \"command\"\ncommand = [\"/does/not/exist\"]\n"+
		"[[report]]\nname = \"r\"\nprovider = \"gitea\"\napi = \"SERVER/api/v1\"\n[[report]]\nname = \"slack\"\nprovider = \"slack\"\n")
	w.secrets["r.report"], w.secrets["a.report"] = "wrong", "the-token"
	w.secrets["slack.report"] = "http://example.org/secret-path"
	r := w.report(report.Success)
	w.add(r)
	if got, _ := w.send(); got != "success waits; success waits; success waits; success given up; " {
		t.Error(got)
	}
	r.Commit = "../../x"
	w = newWorld(t, "[[report]]\nname = \"r\"\nprovider = \"github\"\napi = \"SERVER\"\n")
	w.add(r)
	if got, _ := w.send(); got != "success given up; " {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "0.json"), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.add(w.report(report.Success))
	if got, _ := w.send(); got != "success sent; " {
		t.Error(got)
	}
	// The address of Slack is a secret.
	w = newWorld(t, "[[report]]\nname = \"slack\"\nprovider = \"slack\"\ninsecure_http = true\n")
	w.secrets["slack.report"] = "http://127.0.0.1:1/secret-path"
	w.add(w.report(report.Success))
	all, _, err := w.box.Send(t.Context())
	if err != nil || len(all) != 1 || strings.Contains(all[0].Problem, "secret-path") {
		t.Errorf("%+v, %v", all, err)
	}
}
