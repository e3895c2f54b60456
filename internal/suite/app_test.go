package suite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
)

// app is an app as its maker has it: a directory with a manifest and releases.
type app struct {
	*host
	name string
	port int
	dir  string
}

// wellKnown is how the probe is started in most tests: it is not in the release,
// which so stays small.
const wellKnown = "/usr/local/bin/probe"

// app makes the directory of an app. Apps of one machine have ports of their own.
func (h *host) app(name string, port int) *app {
	h.t.Helper()
	return &app{host: h, name: name, port: port, dir: "/root/" + name}
}

// manifest writes the manifest: what every test needs, with the sections of this
// one. A section given replaces the one of the same name.
func (a *app) manifest(sections ...string) *app {
	a.t.Helper()
	given := strings.Join(sections, "\n")
	text := fmt.Sprintf("name = %q\n", a.name)
	for _, s := range []struct{ name, body string }{
		{"[service]", "command = \"" + wellKnown + "\"\ntype = \"notify\"\nstop_timeout = \"5s\""},
		{"[env]", fmt.Sprintf("PORT = %d", a.port)},
		{"[health]", "http = \"/healthz\"\ninterval = \"20ms\"\ntimeout = \"5s\""},
	} {
		if !strings.Contains(given, s.name) {
			text += "\n" + s.name + "\n" + s.body + "\n"
		}
	}
	a.write(a.dir+"/landfast.toml", text+"\n"+given+"\n")
	return a
}

// release makes the directory of a release and gives its name.
func (a *app) release(version, behave string) string {
	a.t.Helper()
	text, err := json.Marshal(map[string]string{"Version": version, "Behave": behave})
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(a.dir+"/"+version+"/release.json", string(text)+"\n")
	return version
}

// landfast runs a verb in the directory of the app.
func (a *app) landfast(args ...string) result {
	a.t.Helper()
	return a.run(a.dir, append([]string{"landfast"}, args...)...)
}

// deploy deploys a directory that release made, or any other source.
func (a *app) deploy(from string, flags ...string) result {
	a.t.Helper()
	return a.landfast(append([]string{"deploy", "--from", from}, flags...)...)
}

// report asks the app that runs.
func (a *app) report() report {
	a.t.Helper()
	status, body, err := a.get(fmt.Sprintf("http://localhost:%d/", a.port))
	if err != nil || status != 200 {
		a.t.Fatalf("ask %s: status %d, %v\n%s", a.name, status, err, body)
	}
	var r report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		a.t.Fatalf("%v\n%s", err, body)
	}
	return r
}

// report is what the probe tells (testdata/probe).
type report struct {
	Version, Release string
	PID              int
	Args, Env        []string
	UID, GID         int
	Groups           []int
	Umask            string
	Files            uint64
	Written          map[string]string
}

// answers checks that a version runs, from the release that current names.
func (a *app) answers(version string) report {
	a.t.Helper()
	r := a.report()
	if r.Version != version {
		a.t.Errorf("version %s of %s answers, want %s", r.Version, a.name, version)
	}
	if want := "/srv/" + a.name + "/releases/" + a.current(); r.Release != want {
		a.t.Errorf("%s runs in %s, and current is %s", a.name, r.Release, want)
	}
	return r
}

// status is the JSON of `landfast status`.
type status struct {
	App, Release, Source, Health, Held string
	Watched                            string
	OK, Healthy                        bool
	Drift                              []string
	Units                              []landfast.UnitStatus
	Deployment                         *landfast.Deployment
}

// status asks for the status of the app, which must exit with code.
func (a *app) status(code int) status {
	a.t.Helper()
	var all []status
	a.landfast("status", a.name, "--json").exits(code).decode(&all)
	if len(all) != 1 {
		a.t.Fatalf("the status is of %d apps, want 1", len(all))
	}
	return all[0]
}

// isWell checks that nothing is wrong with the app, as landfast sees it.
func (a *app) isWell() {
	a.t.Helper()
	s := a.status(0)
	if !s.OK || !s.Healthy || len(s.Drift) > 0 || s.Held != "" {
		a.t.Errorf("status of %s: %+v", a.name, s)
	}
	if s.Deployment == nil || !s.Deployment.Status.Ended() {
		a.t.Errorf("the last deployment of %s has not ended: %+v", a.name, s.Deployment)
	}
}

// deployments asks for the history, newest first.
func (a *app) deployments() []landfast.Deployment {
	a.t.Helper()
	var all []landfast.Deployment
	a.landfast("deployments", a.name, "--json").code0().decode(&all)
	return all
}

// listed is one release in the JSON of `landfast releases`.
type listed struct {
	landfast.Release
	Current bool
}

func (a *app) releases() []listed {
	a.t.Helper()
	var all []listed
	a.landfast("releases", a.name, "--json").code0().decode(&all)
	return all
}

// current is the id of the release that current names.
func (a *app) current() string {
	a.t.Helper()
	target, err := os.Readlink(a.Path("/srv/"+a.name) + "/current")
	if err != nil {
		a.t.Fatal(err)
	}
	return filepath.Base(target)
}

// start begins a deployment and does not wait for it.
func (a *app) start(argv ...string) (*lab.Process, *locked) {
	a.t.Helper()
	var out locked
	p, err := a.Start(a.t.Context(), lab.Cmd{Dir: a.dir, Argv: argv, Stdout: &out, Stderr: &out})
	if err != nil {
		a.t.Fatal(err)
	}
	return p, &out
}
