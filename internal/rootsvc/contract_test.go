package rootsvc_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/rootsvc"
)

// eachDeployer runs a test with the verbs done directly, and through the service.
func eachDeployer(t *testing.T, f func(t *testing.T, w *world, d rootsvc.Deployer)) {
	t.Helper()
	t.Run("direct", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		f(t, w, w.direct)
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		f(t, w, &rootsvc.Client{Dial: w.serve(os.Getuid(), "landfast-worker@web.service")})
	})
}

func request(id string) rootsvc.Request {
	return rootsvc.Request{App: "web", Incoming: id, Actor: "ann", Origin: rootsvc.Origin{Repository: "shop/web", Commit: strings.Repeat("a", 40)}}
}

func TestDeployAndRollback(t *testing.T) {
	t.Parallel()
	eachDeployer(t, func(t *testing.T, w *world, d rootsvc.Deployer) {
		var steps []string
		watch := rootsvc.Watch{Event: func(e deploy.Event) {
			if e.Step.Status == landfast.StepDone {
				steps = append(steps, e.Step.Name)
			}
		}}
		w.incoming("one", manifestText, "good")
		done, err := d.Deploy(t.Context(), request("one"), watch)
		if err != nil || done.Status != landfast.StatusSucceeded || done.Actor != "ann" || w.current() != "one" {
			t.Fatalf("%+v, %v; %s is live", done, err, w.current())
		}
		if len(steps) < 8 || steps[0] != "prepare" {
			t.Errorf("told of the steps %q", steps)
		}
		if !strings.HasSuffix(done.To, "-aaaaaaa") {
			t.Errorf("the release %s does not carry the commit", done.To)
		}
		if got := w.tree("var/lib/landfast/web/incoming"); got != "/var/lib/landfast/web/incoming" {
			t.Errorf("left of the delivery:\n%s", got)
		}
		// Asked again, as by a worker that died before it heard the answer.
		w.incoming("one", manifestText, "good")
		again, err := d.Deploy(t.Context(), request("one"), rootsvc.Watch{})
		if err != nil || again.ID != "" || again.To != done.To {
			t.Errorf("the same delivery again: %+v, %v", again, err)
		}
		w.incoming("two", manifestText, "exits")
		done, err = d.Deploy(t.Context(), request("two"), rootsvc.Watch{})
		if landfast.KindOf(err) != landfast.RolledBack || done.Status != landfast.StatusRolledBack || done.Failure == nil || w.current() != "one" {
			t.Fatalf("a bad release: %+v, %v; %s is live", done, err, w.current())
		}
		w.incoming("two", manifestText, "exits")
		if _, err := d.Deploy(t.Context(), request("two"), rootsvc.Watch{}); landfast.KindOf(err) != landfast.Conflict {
			t.Errorf("a release that is known to be bad: %v", err)
		}
		w.incoming("three", manifestText, "good")
		if _, err := d.Deploy(t.Context(), request("three"), rootsvc.Watch{}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Rollback(t.Context(), rootsvc.Request{App: "web"}, rootsvc.Watch{}); err != nil || w.current() != "one" {
			t.Errorf("rollback: %v; %s is live", err, w.current())
		}
		left, err := d.Resume(t.Context(), rootsvc.Request{App: "web"}, rootsvc.Watch{})
		if left != nil || err != nil {
			t.Errorf("resume of nothing: %+v, %v", left, err)
		}
		units, err := d.Power(t.Context(), rootsvc.Request{Verb: rootsvc.VerbRestart, App: "web"})
		if err != nil || len(units) != 1 || units[0].Active != "restart" {
			t.Errorf("restart: %+v, %v", units, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	eachDeployer(t, func(t *testing.T, w *world, d rootsvc.Deployer) {
		before := w.tree("etc") + w.tree("srv")
		refused := func(what string, r rootsvc.Request, kind landfast.Kind, says string) {
			t.Helper()
			_, err := d.Deploy(t.Context(), r, rootsvc.Watch{})
			if landfast.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: want %s with %q, got %v", what, kind, says, err)
			}
		}
		w.incoming("beyond", manifestText+"[systemd.Service]\nExecStartPre = \"+/bin/sh -c id\"\n", "good")
		refused("beyond the policy", request("beyond"), landfast.Invalid, "ExecStartPre")
		w.incoming("other", strings.Replace(manifestText, `"web"`, `"api"`, 1), "good")
		refused("another app", request("other"), landfast.Invalid, `of app "api"`)
		w.incoming("wrong", "name = 1\n", "good")
		refused("no manifest of ours", request("wrong"), landfast.Invalid, "landfast.toml:1:8")
		refused("nothing there", request("nothing"), landfast.NotFound, "incoming/nothing")
		refused("up", request("../x"), landfast.Invalid, "../x")
		r := request("x")
		r.Origin.Commit = "HEAD; rm -rf /"
		refused("a commit", r, landfast.Invalid, "commit")
		r = request("x")
		r.App = "../web"
		refused("a name", r, landfast.Invalid, "name of an app")
		w.incoming("none", "", "good")
		refused("no manifest at all", request("none"), landfast.NotFound, "")

		// Links lead nowhere.
		dir := filepath.Join(w.root, "var/lib/landfast/web/incoming")
		for name, target := range map[string]string{"linked": "beyond", "out": "../../../../../etc"} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			refused("a link to "+target, request(name), landfast.Invalid, "not a directory")
		}
		w.incoming("manifest", "", "good")
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "manifest/landfast.toml")); err != nil {
			t.Fatal(err)
		}
		refused("a link for a manifest", request("manifest"), landfast.Invalid, "not a file")

		w.policy = "[app.web]\ndeploy = false\n"
		w.incoming("good", manifestText, "good")
		refused("left to operators", request("good"), landfast.Invalid, "operators")
		w.policy = "[app.web]\nmanifest = \"host\"\n"
		refused("no manifest on the host", request("good"), landfast.NotFound, "")
		w.policy = "[app.web\n"
		refused("a policy that cannot be read", request("good"), landfast.Invalid, "policy.toml:1")
		if after := w.tree("etc") + w.tree("srv"); after != before {
			t.Errorf("a refusal changed something:\n%s\nwas\n%s", after, before)
		}
	})
}

const withBuild = manifestText + "[build]\nsteps = [[\"/bin/true\"]]\noutput = \"out\"\n"

func TestBuild(t *testing.T) {
	t.Parallel()
	eachDeployer(t, func(t *testing.T, w *world, d rootsvc.Deployer) {
		w.incoming("one", withBuild, "good")
		if _, err := d.Deploy(t.Context(), request("one"), rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "nothing was built") {
			t.Errorf("deployed without a build: %v", err)
		}
		for name, text := range map[string]string{"out/bin/web": "x", "out/version": "built", "out/behaviour": "good"} {
			w.write("var/lib/landfast/web/incoming/one/"+name, text)
		}
		var lines []string
		r := rootsvc.Request{App: "web", Incoming: "one"}
		if err := d.Build(t.Context(), r, rootsvc.Watch{Log: func(l string) { lines = append(lines, l) }}); err != nil {
			t.Fatal(err)
		}
		if strings.Join(lines, "|") != "a line of the build|and the rest" {
			t.Errorf("the build said %q", lines)
		}
		if _, err := d.Deploy(t.Context(), request("one"), rootsvc.Watch{}); err != nil || w.current() != "built" {
			t.Errorf("%v; %s is live", err, w.current())
		}
		w.incoming("two", strings.Replace(withBuild, "/bin/true", "/bin/false", 1), "good")
		r.Incoming = "two"
		if err := d.Build(t.Context(), r, rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "the build of web failed") {
			t.Errorf("a build that fails: %v", err)
		}
		w.incoming("net", withBuild+"network = true\n", "good")
		r.Incoming = "net"
		if err := d.Build(t.Context(), r, rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "build_network") {
			t.Errorf("a network that the policy does not give: %v", err)
		}
		for _, id := range []string{"one", "two", "net"} {
			r.Incoming = id
			if err := d.Discard(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		if got := w.tree("var/lib/landfast/web/incoming"); got != "/var/lib/landfast/web/incoming" {
			t.Errorf("left:\n%s", got)
		}
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	eachDeployer(t, func(t *testing.T, w *world, d rootsvc.Deployer) {
		r := rootsvc.Request{App: "web", Reload: "nginx"}
		if err := d.Reload(t.Context(), r, rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "declares no reload") {
			t.Errorf("not declared: %v", err)
		}
		w.policy = "[reload.nginx]\ntest = [\"/bin/true\"]\nunit = \"nginx.service\"\napps = [\"web\"]\n"
		if err := d.Reload(t.Context(), r, rootsvc.Watch{}); err != nil {
			t.Error(err)
		}
		w.policy = strings.Replace(w.policy, "/bin/true", "/bin/false", 1)
		if err := d.Reload(t.Context(), r, rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "not reloaded") {
			t.Errorf("a test that fails: %v", err)
		}
	})
}

// TestACallerThatGoesAwayStopsNothing closes the connection right behind the request.
func TestACallerThatGoesAwayStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dial := w.serve(os.Getuid(), "landfast-worker@web.service")
	w.incoming("one", manifestText, "good")
	c, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := request("one")
	r.Verb = rootsvc.VerbDeploy
	if err := json.NewEncoder(c).Encode(r); err != nil {
		t.Fatal(err)
	}
	c.Close()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(w.log.String(), "outcome=succeeded") {
		select {
		case <-deadline:
			t.Fatalf("it did not go on:\n%s", w.log.String())
		case <-tick.C:
		}
	}
	if w.current() != "one" {
		t.Errorf("%s is live", w.current())
	}
}

// ask sends raw bytes and gives the answer.
func ask(t *testing.T, dial func(context.Context) (net.Conn, error), text string) string {
	t.Helper()
	c, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte(text)) // who is refused need not be read
	if u, ok := c.(*net.UnixConn); ok {
		_ = u.CloseWrite()
	}
	var b strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func TestGarbageIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dial := w.serve(os.Getuid(), "landfast-worker@web.service")
	for _, text := range []string{
		"", "\n", "{}\n", "[]\n", "null\n", `{"verb":"deploy"}` + "\n", `{"verb":"exec","app":"web"}` + "\n",
		`{"verb":"resume","app":"web","x":1}` + "\n", `{"verb":"resume","app":"web"}{}` + "\n", `{"verb":"resume","app":"web"}`,
		`{"verb":"resume","app":"web","incoming":"a"}` + "\n", `{"verb":"rollback","app":"web","release":"../x"}` + "\n",
		`{"verb":"resume","app":"web","actor":"a\nb"}` + "\n", "\xff\xfe\n", strings.Repeat("x", 200<<10), `{"verb":"start","app":"web` + "\x00" + `"}` + "\n",
	} {
		got := ask(t, dial, text)
		if !strings.Contains(got, `"error":{"kind":"invalid"`) || strings.Count(got, "\n") != 1 {
			t.Errorf("%.60q is answered %q", text, got)
		}
	}
	if strings.Contains(w.log.String(), "outcome=ok") {
		t.Errorf("something was done:\n%s", w.log.String())
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"verb":"deploy","app":"web","incoming":"a","actor":"x","force":true,"origin":{"commit":"abcdef0"}}`))
	f.Add([]byte(`{"verb":"rollback","app":"web","release":"20261121T013000Z-4be1c9a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := rootsvc.DecodeRequest(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(r.App+r.Incoming+r.Release+r.Reload, "/\n\x00 ") || strings.Contains(r.Incoming, "..") || strings.ContainsAny(r.Actor+r.Origin.Repository, "\n\x00\x1b") {
			t.Errorf("%q was taken: %+v", text, r)
		}
	})
}

// TestOtherPeersAreRefused: neither another account, nor the worker of another app.
func TestOtherPeersAreRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may ask for everything; the machine suite tries others")
	}
	w := newWorld(t)
	for _, p := range []struct {
		uid  int
		unit string
	}{{os.Getuid() + 1, "landfast-worker@web.service"}, {os.Getuid(), "landfast-worker@api.service"}, {os.Getuid(), "session-1.scope"}} {
		c := &rootsvc.Client{Dial: w.serve(p.uid, p.unit)}
		if _, err := c.Resume(t.Context(), rootsvc.Request{App: "web"}, rootsvc.Watch{}); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "refuses") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
