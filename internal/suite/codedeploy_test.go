package suite_test

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// appspec is as much of an appspec.yml as the agent needs.
type appspec struct {
	version, os, exists string
	files               []copied
	hooks               map[string][]hook
}

type copied struct{ source, destination string }

type hook struct {
	location string
	timeout  int // seconds
	runas    string
}

// readAppspec reads the part of YAML that an appspec.yml is written in: maps and
// lists by indentation, scalars without quotes. Anything else fails the test.
func (h *host) readAppspec(text string) appspec {
	h.t.Helper()
	spec := appspec{hooks: map[string][]hook{}}
	section, event := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		body := strings.TrimLeft(line, " ")
		if body == "" || strings.HasPrefix(body, "#") {
			continue
		}
		item := strings.HasPrefix(body, "- ")
		key, value, ok := strings.Cut(strings.TrimPrefix(body, "- "), ":")
		if value = strings.TrimSpace(value); !ok || strings.ContainsAny(value, "\"'{}[]&*|>%@`") {
			h.t.Fatalf("appspec.yml: cannot read %q", line)
		}
		switch indent := len(line) - len(body); {
		case indent == 0 && !item:
			section = key
			spec.top(h.t, key, value)
		case section == "files":
			spec.file(h.t, item, key, value)
		case section == "hooks" && indent == 2 && !item && value == "":
			event = key
		case section == "hooks" && indent > 2 && event != "":
			spec.hook(h.t, event, item, key, value)
		default:
			h.t.Fatalf("appspec.yml: %q is out of place", line)
		}
	}
	return spec
}

func (s *appspec) top(t testing.TB, key, value string) {
	t.Helper()
	switch key {
	case "version":
		s.version = value
	case "os":
		s.os = value
	case "file_exists_behavior":
		s.exists = value
	case "files", "hooks":
	default:
		t.Fatalf("appspec.yml has no section %q", key)
	}
}

func (s *appspec) file(t testing.TB, item bool, key, value string) {
	t.Helper()
	if item {
		s.files = append(s.files, copied{})
	}
	f := &s.files[len(s.files)-1]
	switch key {
	case "source":
		f.source = value
	case "destination":
		f.destination = value
	default:
		t.Fatalf("appspec.yml: files have no %q", key)
	}
}

func (s *appspec) hook(t testing.TB, event string, item bool, key, value string) {
	t.Helper()
	if !slices.Contains(lifecycle, event) {
		t.Fatalf("appspec.yml: there is no event %q that has hooks", event)
	}
	if item {
		s.hooks[event] = append(s.hooks[event], hook{timeout: 3600})
	}
	h := &s.hooks[event][len(s.hooks[event])-1]
	switch key {
	case "location":
		h.location = value
	case "timeout":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 3600 {
			t.Fatalf("appspec.yml: a timeout of %q seconds", value)
		}
		h.timeout = n
	case "runas":
		h.runas = value
	default:
		t.Fatalf("appspec.yml: hooks have no %q", key)
	}
}

// lifecycle are the events of a deployment in place that run hooks, in their order
// (AWS CodeDeploy User Guide, "AppSpec 'hooks' section"). Install is the agent's own,
// between BeforeInstall and AfterInstall.
var lifecycle = []string{"ApplicationStop", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart", "ValidateService"}

// agent does what the CodeDeploy agent does on a machine.
type agent struct {
	*host
	app  string
	last string // the archive of the last deployment that succeeded
	n    int
}

// deployed is how a deployment by the agent ended.
type deployed struct {
	failed string // the event; "": it succeeded
	code   int    // of the hook that failed
	log    string
}

// deploy brings a bundle to the machine and goes through the events.
func (g *agent) deploy(bundle string) deployed {
	g.t.Helper()
	g.n++
	id := fmt.Sprintf("d-%09d", g.n)
	archive := "/opt/codedeploy-agent/deployment-root/group/" + id + "/deployment-archive"
	g.sh(fmt.Sprintf("mkdir -p %s; cp -a %s/. %s/", archive, bundle, archive))
	spec := g.readAppspec(g.read(archive + "/appspec.yml"))
	if spec.version != "0.0" || spec.os != "linux" || spec.exists != "OVERWRITE" {
		g.t.Errorf("the agent would refuse %+v", spec)
	}
	for _, event := range lifecycle {
		dir, hooks := archive, spec.hooks[event]
		if event == "ApplicationStop" { // that of the application which is to be stopped
			if hooks = nil; g.last != "" {
				dir, hooks = g.last, g.readAppspec(g.read(g.last + "/appspec.yml")).hooks[event]
			}
		}
		if event == "Install" {
			g.install(archive, spec.files)
		}
		for _, h := range hooks {
			if r := g.hook(dir, event, id, h); r.code != 0 {
				return deployed{failed: event, code: r.code, log: r.all}
			}
		}
	}
	g.last = archive
	return deployed{}
}

// hook runs one script as the agent does: with a closed input, in an environment
// that has nothing but the service's own and the four variables.
func (g *agent) hook(archive, event, id string, h hook) result {
	g.t.Helper()
	script := path.Join(archive, h.location)
	return g.exec(lab.Cmd{
		Dir: "/opt/codedeploy-agent",
		Argv: []string{
			"env", "-i", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "LIFECYCLE_EVENT=" + event, "DEPLOYMENT_ID=" + id,
			"APPLICATION_NAME=" + g.app, "DEPLOYMENT_GROUP_NAME=group",
			"timeout", strconv.Itoa(h.timeout), "su", h.runas, "-c", script,
		},
	})
}

// install removes what the last installation put in place, and copies the files.
func (g *agent) install(archive string, files []copied) {
	g.t.Helper()
	const cleanup = "/opt/codedeploy-agent/cleanup"
	g.sh("touch " + cleanup + "; tac " + cleanup + " | while read -r f; do if [ -L \"$f\" ] || [ -f \"$f\" ]; then rm \"$f\"; else rmdir \"$f\"; fi; done; : >" + cleanup)
	for _, f := range files {
		g.sh(fmt.Sprintf(`mkdir -p %[2]s; cd %[1]s%[3]s
			find . -mindepth 1 -type d | while read -r d; do if ! [ -d "%[2]s/$d" ]; then mkdir "%[2]s/$d"; echo "%[2]s/$d" >>%[4]s; fi; done
			find . ! -type d | while read -r f; do cp -Pp "$f" "%[2]s/$f"; echo "%[2]s/$f" >>%[4]s; done`, archive, f.destination, f.source, cleanup))
	}
}

// bundle makes a bundle of a release as the documentation says.
func (a *app) bundle(version string) string {
	a.t.Helper()
	dir := "bundle-" + version
	a.landfast("render", "codedeploy", "--out", dir).code0()
	a.sh("cp -a " + a.dir + "/" + version + " " + a.dir + "/" + dir + "/release")
	return a.dir + "/" + dir
}

func TestMIX12CodeDeployBringsReleasesAndLearnsOfBadOnes(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest(inRelease, "[health]\nhttp = \"/healthz\"\ninterval = \"20ms\"\ntimeout = \"500ms\"")
		for version, behave := range map[string]string{"1": "", "2": "sick", "3": "exit", "4": ""} {
			a.project(version)
			a.release(version, behave)
		}
		h.sh("echo stale >/root/web/1/stale")
		g := &agent{host: h, app: "web"}

		if d := g.deploy(a.bundle("1")); d.failed != "" {
			h.t.Fatalf("the first bundle failed at %s: %s", d.failed, d.log)
		}
		a.answers("1")
		a.isWell()
		h.sh("test -e /srv/web/current/stale")
		before := a.state()

		// Unhealthy, and one that does not even start: the hook fails, and what was
		// there before answers when it has.
		for _, version := range []string{"2", "3"} {
			d := g.deploy(a.bundle(version))
			if d.failed != "AfterInstall" || d.code != 4 {
				h.t.Errorf("bundle %s ended at %q with code %d, want AfterInstall with 4:\n%s", version, d.failed, d.code, d.log)
			}
			if !strings.Contains(d.log, "is live again") {
				h.t.Errorf("the log of bundle %s does not say what is live:\n%s", version, d.log)
			}
			a.answers("1")
			h.same("after the bad bundle "+version, before, a.state())
		}
		// CodeDeploy retries, or somebody does: it is refused, and nothing is touched.
		if d := g.deploy("/root/web/bundle-3"); d.failed != "AfterInstall" || d.code != 6 {
			h.t.Errorf("the bad bundle again ended at %q with code %d, want AfterInstall with 6:\n%s", d.failed, d.code, d.log)
		}
		a.answers("1")

		if d := g.deploy(a.bundle("4")); d.failed != "" {
			h.t.Fatalf("the last bundle failed at %s: %s", d.failed, d.log)
		}
		a.answers("4")
		h.sh("test ! -e /srv/web/current/stale")
		// What CodeDeploy does to roll back is to deploy the former bundle again.
		if d := g.deploy("/root/web/bundle-1"); d.failed != "" {
			h.t.Fatalf("going back to the first bundle failed at %s: %s", d.failed, d.log)
		}
		a.answers("1")
		a.isWell()

		// A service that died behind the deployment fails the validation.
		h.sh("systemctl stop web.service")
		if r := g.hook(g.last, "ValidateService", "d-1", hook{location: "landfast/validate", timeout: 60, runas: "root"}); r.code == 0 {
			h.t.Errorf("the validation of an app that is stopped succeeds:\n%s", r.all)
		}
	})
}
