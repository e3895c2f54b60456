package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/cli"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// TestTriggerTest sends what `trigger test` sends to the real verification.
func TestTriggerTest(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	root := t.TempDir()
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := cli.Run(t.Context(), append(args, "--root", root), cli.Std{In: strings.NewReader(""), Out: &out, Err: &out}, "test")
		return code, out.String()
	}
	for _, p := range []string{"github", "gitlab", "gitea", "forgejo", "bitbucket", "generic", "standard"} {
		args := []string{"trigger", "add", p, p}
		if p != "generic" && p != "standard" {
			args = append(args, "--repository", "shop/web")
		}
		if code, out := run(args...); code != 0 {
			t.Fatalf("%s: %s", p, out)
		}
	}
	conf, err := hostconf.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	set, err := trigger.New(trigger.Options{Config: conf, Secret: func(id string) ([]byte, error) { return hostconf.ReadSecret(root, id) }})
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v, err := set.Handle(r.Context(), trigger.Request{Trigger: strings.TrimPrefix(r.URL.Path, "/hooks/"), Header: r.Header, Body: body})
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		for _, ev := range v.Events {
			if ev.Closed == "" {
				t.Errorf("it would deploy: %+v", ev)
			}
			closed++
		}
	}))
	defer listener.Close()
	for _, tr := range conf.Triggers {
		if code, out := run("trigger", "test", tr.Name, "--url", listener.URL); code != 0 {
			t.Errorf("%s: %d: %s", tr.Name, code, out)
		}
	}
	if closed != 7 {
		t.Errorf("%d closed events, want 7", closed)
	}
	if err := os.WriteFile(filepath.Join(root, hostconf.SecretsDir, "github.secret"), []byte(trigger.NewSecret(false)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := run("trigger", "test", "github", "--url", listener.URL); code != 1 || !strings.Contains(out, "403") {
		t.Errorf("with another secret: %d: %s", code, out)
	}
}
