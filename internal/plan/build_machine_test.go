package plan_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/plan"
)

// delicate are values that arrive changed where they are written into a unit
// file without care.
func delicate() []string {
	return []string{
		"", " ", "hello big world", " both ends ", `{"a":1}`, `C:\temp`, "100%", "100%done", "%h", "%%", "%i",
		"$HOME", "${HOME}", "$$", "$", "a$b", "$$HOME", "${", `"`, `'`, `it's`, `\`, `\\`, `\n`, `trailing\`, "tab\there", "\t",
		";", "#", "# no comment", "a;b", `\;`, `";"`, "[Service]", "A=B", "-", "--", "-x", "+x", "!x", "@x", ":x", "~", "*", "?[a]",
		"héllo ☃ 日本 🙂", "\u00a0", "\ufeff", "`id`", "$(id)", "a\u0085b", strings.Repeat("x", 5000),
	}
}

// probeApp is an app that uses whatever a manifest can say.
func probeApp() *landfast.App {
	app := smallest("web")
	app.Group = "shops"
	s := app.Main()
	s.Type = "notify"
	s.Command.Argv = append(s.Command.Argv, delicate()...)
	s.BeforeStart = []landfast.Command{{Prefix: "-", Argv: []string{"false"}}, {Argv: []string{"/srv/web/current/bin/web", "prepare"}}}
	s.Stop = &landfast.Command{Argv: []string{"/srv/web/current/bin/web", "stop", "$now & then"}}
	s.Socket = &landfast.Socket{Unit: "web.socket", Listen: []string{"8080", "/run/web/web.sock"}, Mode: "0660", Group: "shops"}
	for i, v := range delicate() {
		app.Env = append(app.Env, landfast.Var{Name: fmt.Sprintf("V%d", i), Value: v})
	}
	app.Env = append(app.Env, landfast.Var{Name: "SHARED", Value: app.Paths.Shared})
	app.EnvFiles = []landfast.EnvFile{{Path: "/etc/web/a [b]*100%.env"}, {Path: "/etc/web/none", Optional: true}}
	for kind, base := range map[landfast.DirKind]string{
		landfast.RuntimeDir: "/run", landfast.ConfigurationDir: "/etc", landfast.LogsDir: "/var/log",
		landfast.StateDir: "/data/state", landfast.CacheDir: "/var/cache", landfast.TmpDir: "/var/tmp",
	} {
		app.Dirs = append(app.Dirs, landfast.Dir{
			Kind: kind, Base: base, Name: "web", Path: base + "/web", Mode: "0750",
			Env: strings.ToUpper(string(kind)) + "_DIR",
		})
	}
	return app
}

// TestMachine puts the plan on machines and asks the process what arrived, what
// it may do in the default sandbox, and which release its stop command is of.
func TestMachine(t *testing.T) {
	labtest.Require(t)
	probe, err := lab.Build(t.Context(), "./testdata/probe")
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			m := labtest.Boot(t, lab.Options{Suite: suite, Binds: []lab.Bind{{Host: probe, Inside: "/usr/local/bin/probe"}}})
			app := probeApp()
			install(t, m, app)
			for _, r := range []string{"r1", "r2"} {
				labtest.Run(t, m, "install", "-D", "-o", "landfast", "-g", "shops", "-m", "0750", "/usr/local/bin/probe", "/srv/web/releases/"+r+"/bin/web")
			}
			labtest.Run(t, m, "chown", "-R", "landfast:shops", "/srv/web/releases")
			put(t, m, "/etc/web/a [b]*100%.env", "FROM_FILE=yes\n")
			put(t, m, "/etc/web/app.conf", "x\n")

			r, err := m.Exec(t.Context(), "systemctl", "start", "web.service")
			if err != nil || r.Code == 0 {
				t.Errorf("without a release it starts: %v, %+v", err, r)
			}
			labtest.Run(t, m, "systemctl", "stop", "web.service")
			labtest.Run(t, m, "ln", "-s", "releases/r1", "/srv/web/current")
			labtest.Run(t, m, "systemctl", "start", "web.socket")
			got := ask(t, m)
			if want := app.Main().Command.Argv; !slices.Equal(got.Args, want) {
				t.Errorf("arguments (-meant +arrived):\n%s", cmp.Diff(want, got.Args))
			}
			for _, v := range append(app.Env, landfast.Var{Name: "FROM_FILE", Value: "yes"}) {
				if !slices.Contains(got.Env, v.Name+"="+v.Value) {
					t.Errorf("%s=%q did not arrive: %q", v.Name, v.Value, got.Env)
				}
			}
			sandboxed(t, got)
			written(t, m, app)
			stops(t, m)

			// Without a stop command it has a user namespace, too.
			app.Main().Stop = nil
			install(t, m, app)
			labtest.Run(t, m, "systemctl", "start", "web.socket")
			sandboxed(t, ask(t, m))
			pid := labtest.Run(t, m, "systemctl", "show", "-P", "MainPID", "web.service")
			if a, b := labtest.Run(t, m, "readlink", "/proc/"+pid+"/ns/user"), labtest.Run(t, m, "readlink", "/proc/1/ns/user"); a == b {
				t.Error("the process is in the user namespace of the machine")
			}
			if got := labtest.Run(t, m, "grep", "CapBnd", "/proc/"+pid+"/status"); got != "CapBnd:\t0000000000000000" {
				t.Errorf("capabilities it could get: %s", got)
			}
		})
	}
}

// install does by hand what package host does.
func install(t *testing.T, m *lab.Machine, app *landfast.App) {
	t.Helper()
	var version int
	if _, err := fmt.Sscanf(labtest.Run(t, m, "systemctl", "--version"), "systemd %d", &version); err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(app, plan.Facts{Systemd: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("systemd %d; notes: %q", version, p.Notes)
	for _, f := range p.Files {
		put(t, m, f.Path, f.Content)
	}
	labtest.Run(t, m, "systemd-sysusers")
	for _, d := range p.Dirs {
		labtest.Run(t, m, "mkdir", "-p", d.Path)
		labtest.Run(t, m, "chown", d.Owner+":"+d.Group, d.Path)
		labtest.Run(t, m, "chmod", fmt.Sprintf("%04o", d.Mode), d.Path)
	}
	labtest.Run(t, m, "systemd-tmpfiles", "--create", "/etc/tmpfiles.d/landfast-web.conf")
	labtest.Run(t, m, "systemctl", "daemon-reload")
}

func put(t *testing.T, m *lab.Machine, path, content string) {
	t.Helper()
	labtest.Run(t, m, "mkdir", "-p", filepath.Dir(path))
	if err := m.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// report is what testdata/probe tells.
type report struct {
	Program   string
	Args, Env []string
	Refused   map[string]string
}

func ask(t *testing.T, m *lab.Machine) report {
	t.Helper()
	var r report
	for _, how := range [][]string{{"http://127.0.0.1:8080/"}, {"--unix-socket", "/run/web/web.sock", "http://web/"}} {
		text := labtest.Run(t, m, append([]string{"curl", "-sS", "--max-time", "20"}, how...)...)
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return r
}

// sandboxed compares what the process could do with what it must and must not.
func sandboxed(t *testing.T, got report) {
	t.Helper()
	may := []string{
		"write RUNTIME_DIR", "write LOGS_DIR", "write STATE_DIR", "write CACHE_DIR", "write TMP_DIR", "write SHARED",
		"read configuration", "list interfaces",
	}
	if len(got.Refused) < len(may)+8 {
		t.Errorf("the probe tried only %q", got.Refused)
	}
	for what, answer := range got.Refused {
		if want := slices.Contains(may, what); want != (answer == "") {
			t.Errorf("%s: %q; allowed should be %t", what, answer, want)
		}
	}
}

// written looks for what the process wrote where the host has it.
func written(t *testing.T, m *lab.Machine, app *landfast.App) {
	t.Helper()
	for _, d := range app.Dirs {
		if d.Kind == landfast.ConfigurationDir {
			continue
		}
		if got := labtest.Run(t, m, "stat", "-c", "%U:%G", d.Path+"/written"); got != "web:shops" {
			t.Errorf("%s/written belongs to %s", d.Path, got)
		}
	}
	if got := labtest.Run(t, m, "stat", "-c", "%U:%G %a", "/etc/web"); got != "root:shops 750" {
		t.Errorf("/etc/web is %s", got)
	}
}

// stops stops the service while current names the next release already.
func stops(t *testing.T, m *lab.Machine) {
	t.Helper()
	labtest.Run(t, m, "ln", "-sfn", "releases/r2", "/srv/web/current")
	labtest.Run(t, m, "systemctl", "stop", "web.socket", "web.service")
	var r report
	text, err := m.ReadFile("/srv/web/shared/stop.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Program != "/srv/web/releases/r1/bin/web" || r.Args[len(r.Args)-1] != "$now & then" {
		t.Errorf("stopped by %s with %q, want the running release r1", r.Program, r.Args)
	}
	if got := labtest.Run(t, m, "systemctl", "show", "-P", "Result", "web.service"); got != "success" {
		t.Errorf("the result is %s", got)
	}
}
