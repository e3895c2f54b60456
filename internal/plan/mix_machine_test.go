package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/plan"
)

// witnessed is what testdata/witness says.
type witnessed struct {
	Args, Env     []string
	UID, GID      int
	Groups        []int
	Umask         string
	Files, Core   uint64
	Dir, Program  string
	Dirs          map[string]string
	Seen, Refused map[string]string
}

func (w *witnessed) env(name string) string {
	for _, v := range w.Env {
		if rest, ok := strings.CutPrefix(v, name+"="); ok {
			return rest
		}
	}
	return "(not set)"
}

// TestMix asks processes on machines for every row of the list of what the unit
// generators before this one can express.
func TestMix(t *testing.T) {
	labtest.Require(t)
	witness, err := lab.Build(t.Context(), "./testdata/witness")
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			m := labtest.Boot(t, lab.Options{Suite: suite, Binds: []lab.Bind{{Host: witness, Inside: "/usr/local/bin/witness"}}})
			for _, row := range []struct {
				name string
				test func(*testing.T, *lab.Machine)
			}{
				{"mix 1 to 4 names, paths, process, environment", mixProcess},
				{"mix 5 runtime environment", mixRuntimeEnvironment},
				{"mix 6 restart flag", mixRestartFlag},
				{"mix 7 chroot", mixChroot},
				{"mix 7 chroot of a release", mixChrootRelease},
				{"mix 13 grants", mixGrants},
				{"services, instances, timers", mixServices},
				{"nice 4 dynamic user", niceDynamicUser},
				{"single commands", mixTransient},
			} {
				t.Run(row.name, func(t *testing.T) { row.test(t, m) })
			}
		})
	}
}

// place puts a plan on a machine, with a release that is the witness.
func place(t *testing.T, m *lab.Machine, app *landfast.App) *plan.Plan {
	t.Helper()
	var version int
	if _, err := fmt.Sscanf(labtest.Run(t, m, "systemctl", "--version"), "systemd %d", &version); err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(app, plan.Facts{Systemd: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("notes: %q", p.Notes)
	for _, f := range p.Files {
		put(t, m, f.Path, f.Content)
		labtest.Run(t, m, "chmod", fmt.Sprintf("%04o", f.Mode.Perm()), f.Path)
	}
	labtest.Run(t, m, "systemd-sysusers")
	for _, d := range p.Dirs {
		labtest.Run(t, m, "mkdir", "-p", d.Path)
		labtest.Run(t, m, "chown", d.Owner+":"+d.Group, d.Path)
		labtest.Run(t, m, "chmod", fmt.Sprintf("%04o", d.Mode.Perm()), d.Path)
	}
	for _, f := range p.Files {
		if strings.HasPrefix(f.Path, "/etc/tmpfiles.d/") {
			labtest.Run(t, m, "systemd-tmpfiles", "--create", f.Path)
		}
	}
	release := app.Paths.Releases + "/r1"
	labtest.Run(t, m, "install", "-D", "-o", app.DeployUser, "-g", app.Group, "-m", "0750", "/usr/local/bin/witness", release+"/bin/witness")
	labtest.Run(t, m, "chown", "-R", app.DeployUser+":"+app.Group, release)
	labtest.Run(t, m, "chmod", "-R", "g+rX,o-rwx", release)
	labtest.Run(t, m, "ln", "-sfn", "releases/r1", app.Paths.Current)
	labtest.Run(t, m, "systemctl", "daemon-reload")
	for _, u := range p.Units {
		if u.Enable {
			labtest.Run(t, m, "systemctl", "enable", "-q", u.Name)
		}
	}
	return p
}

// witnessApp is an app whose only service is the witness.
func witnessApp(name string) *landfast.App {
	app := smallest(name)
	app.Main().Command.Argv = []string{app.Paths.Current + "/bin/witness", name}
	app.Main().Type = "notify"
	app.Main().Restart = "no"
	return app
}

// testify starts a unit and gives what its process says.
func testify(t *testing.T, m *lab.Machine, unit string) witnessed {
	t.Helper()
	r, err := m.Exec(t.Context(), "systemctl", "start", unit)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 0 {
		labtest.Run(t, m, "journalctl", "--sync")
		t.Fatalf("start %s: %s\n%s", unit, r.Stderr, labtest.Run(t, m, "journalctl", "-o", "cat", "-u", unit))
	}
	return said(t, m, unit)
}

// said is what the witness said in the last start of a unit.
func said(t *testing.T, m *lab.Machine, unit string) witnessed {
	t.Helper()
	labtest.Run(t, m, "journalctl", "--sync")
	id := labtest.Run(t, m, "systemctl", "show", "--value", "-p", "InvocationID", unit)
	// Of a process that has ended by the time its line is read, the journal knows the
	// unit and not always the invocation.
	for _, match := range []string{"_SYSTEMD_INVOCATION_ID=" + id, "_SYSTEMD_UNIT=" + unit} {
		lines := strings.Split(labtest.Run(t, m, "journalctl", "-o", "cat", match), "\n")
		for _, line := range slices.Backward(lines) {
			var w witnessed
			if strings.HasPrefix(line, "{\"Args\"") {
				if err := json.Unmarshal([]byte(line), &w); err != nil {
					t.Fatal(err)
				}
				return w
			}
		}
	}
	t.Fatalf("%s said nothing", unit)
	return witnessed{}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func number(t *testing.T, m *lab.Machine, flag, name string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(labtest.Run(t, m, "id", flag, name), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func group(t *testing.T, m *lab.Machine, name string) int {
	t.Helper()
	var n int
	entry := strings.Split(labtest.Run(t, m, "getent", "group", name), ":")
	if _, err := fmt.Sscan(entry[2], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func mixProcess(t *testing.T, m *lab.Machine) {
	app := witnessApp("shop")
	app.User, app.Group = "shop-app", "shops"
	s := app.Main()
	s.Command.Argv = append([]string{"/usr/bin/nice", "-n", "5"}, append(s.Command.Argv, "hello big world", "100%", "$HOME")...)
	s.LimitNOFILE, s.LimitCORE, s.Umask, s.Identifier = 1234, "4096", "0077", "shop-log"
	s.BeforeStart = []landfast.Command{{Prefix: "-", Argv: []string{"false"}}, {Argv: []string{app.Paths.Current + "/bin/witness", "print", "before"}}}
	app.Env = []landfast.Var{
		{Name: "LANG", Value: "C.UTF-8"},
		{Name: "GREETING", Value: "hello big world"},
		{Name: "JSON", Value: `{"a":1}`},
		{Name: "WIN", Value: `C:\temp`},
		{Name: "DONE", Value: "100%done %h"},
		{Name: "LEVEL", Value: "app"},
		{Name: "FIRST", Value: "app"},
	}
	s.Env = []landfast.Var{{Name: "LEVEL", Value: "service"}}
	app.EnvFiles = []landfast.EnvFile{{Path: "/etc/shop/one"}, {Path: "/etc/shop/two", Optional: true}, {Path: "/etc/shop/none", Optional: true}}
	for kind, base := range map[landfast.DirKind]string{
		landfast.RuntimeDir: "/run", landfast.ConfigurationDir: "/etc", landfast.LogsDir: "/var/log",
		landfast.StateDir: "/data", landfast.CacheDir: "/var/cache", landfast.TmpDir: "/var/tmp",
	} {
		app.Dirs = append(app.Dirs, landfast.Dir{Kind: kind, Base: base, Name: "shop", Path: base + "/shop", Mode: "0750", Env: strings.ToUpper(string(kind)) + "_DIR"})
	}
	place(t, m, app)
	put(t, m, "/etc/shop/one", "FIRST=one\nSECOND=one\n")
	put(t, m, "/etc/shop/two", "SECOND=two\n")
	w := testify(t, m, "shop.service")
	same(t, "arguments", strings.Join(w.Args[1:], "|"), "shop|hello big world|100%|$HOME")
	uid, gid := number(t, m, "-u", "shop-app"), group(t, m, "shops")
	same(t, "user", w.UID, uid)
	same(t, "group", w.GID, gid)
	same(t, "umask", w.Umask, "0077")
	same(t, "limit of files", w.Files, 1234)
	same(t, "limit of core", w.Core, 4096)
	same(t, "directory", w.Dir, "/srv/shop/releases/r1")
	for name, want := range map[string]string{
		"LANG": "C.UTF-8", "GREETING": "hello big world", "JSON": `{"a":1}`, "WIN": `C:\temp`, "DONE": "100%done %h",
		"LEVEL": "service", "FIRST": "one", "SECOND": "two", "STATE_DIR": "/data/shop", "RUNTIME_DIR": "/run/shop",
	} {
		same(t, name, w.env(name), want)
	}
	for name := range w.Dirs {
		owner := uid
		if name == "CONFIGURATION_DIR" {
			owner = 65534 // root, as its user namespace names it
			if strings.Contains(w.Dirs[name], " 0:") {
				owner = 0
			}
		}
		same(t, name, w.Dirs[name], fmt.Sprintf("0750 %d:%d", owner, gid))
		if refused := w.Refused["write "+name]; (refused == "") == (name == "CONFIGURATION_DIR") {
			t.Errorf("write %s: %q", name, refused)
		}
	}
	same(t, "directories", len(w.Dirs), 6)
	id := labtest.Run(t, m, "systemctl", "show", "--value", "-p", "InvocationID", "shop.service")
	if got := labtest.Run(t, m, "journalctl", "-o", "cat", "_SYSTEMD_INVOCATION_ID="+id, "-t", "shop-log"); !strings.Contains(got, "before\n") {
		t.Errorf("the command before the start said nothing under the identifier: %s", got)
	}
	labtest.Run(t, m, "systemctl", "stop", "shop.service")
}

func mixRuntimeEnvironment(t *testing.T, m *lab.Machine) {
	app := witnessApp("env5")
	app.Before = &landfast.EnvironmentCommand{
		Unit: "env5-environment.service", File: "/run/env5-environment/environment",
		Command: landfast.Command{Argv: []string{app.Paths.Current + "/bin/witness", "print", "ADDRESS=198.18.0.1", "COOKIE=a b c", "LEVEL=command"}},
	}
	app.EnvFiles = []landfast.EnvFile{{Path: "/etc/env5.env"}}
	put(t, m, "/etc/env5.env", "LEVEL=file\n")
	app.Dirs = []landfast.Dir{{Kind: landfast.RuntimeDir, Base: "/run", Name: "env5", Path: "/run/env5", Mode: "0750", Env: "RUNTIME_DIR"}}
	place(t, m, app)
	w := testify(t, m, "env5.service")
	same(t, "ADDRESS", w.env("ADDRESS"), "198.18.0.1")
	same(t, "COOKIE", w.env("COOKIE"), "a b c")
	same(t, "LEVEL", w.env("LEVEL"), "file")
	same(t, "the command's unit", labtest.Run(t, m, "systemctl", "is-active", "env5-environment.service"), "active")
	same(t, "the file", labtest.Run(t, m, "stat", "-c", "%U:%G %a", "/run/env5-environment/environment"), "root:env5 640")
	same(t, "its directory", labtest.Run(t, m, "stat", "-c", "%U:%G %a", "/run/env5-environment"), "root:env5 2750")

	// A shorter text leaves nothing of the longer one, and the service starts once.
	app.Before.Command.Argv = []string{app.Paths.Current + "/bin/witness", "print", "ADDRESS=198.18.0.2"}
	place(t, m, app)
	labtest.Run(t, m, "systemctl", "stop", "env5-environment.service")
	same(t, "the service, when the command's unit stops", labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "env5.service"), "inactive")
	w = testify(t, m, "env5.service")
	same(t, "ADDRESS", w.env("ADDRESS"), "198.18.0.2")
	same(t, "COOKIE", w.env("COOKIE"), "(not set)")

	// A command that fails keeps the service from starting.
	app.Before.Command.Argv = []string{"/bin/false"}
	place(t, m, app)
	labtest.Run(t, m, "systemctl", "stop", "env5-environment.service")
	if r, err := m.Exec(t.Context(), "systemctl", "start", "env5.service"); err != nil || r.Code == 0 {
		t.Errorf("the service starts without its environment: %v %+v", err, r)
	}
	labtest.Run(t, m, "systemctl", "disable", "-q", "env5.service")
}

// until waits for something that systemd does by itself.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func invocation(t *testing.T, m *lab.Machine, unit string) string {
	t.Helper()
	return labtest.Run(t, m, "systemctl", "show", "--value", "-p", "InvocationID", unit)
}

func mixRestartFlag(t *testing.T, m *lab.Machine) {
	app := witnessApp("flag6")
	flag := app.Paths.Flags + "/restart.flag"
	app.Main().RestartFlag = flag
	// It takes its time to come up, so that a flag can be touched meanwhile.
	app.Main().BeforeStart = []landfast.Command{{Argv: []string{"sleep", "0.5"}}}
	place(t, m, app)
	labtest.Run(t, m, "systemctl", "start", "flag6.service", "flag6-restart.path", "flag6-restart.timer")
	before := invocation(t, m, "flag6.service")
	touch := []string{"runuser", "-u", "landfast", "--", "touch", flag}
	labtest.Run(t, m, touch...)
	gone := func() bool {
		r, err := m.Exec(t.Context(), "test", "-e", flag)
		return err == nil && r.Code != 0
	}
	until(t, "the flag is taken away", gone)
	// The restart goes on: another touch leads to another restart.
	during := invocation(t, m, "flag6.service")
	labtest.Run(t, m, touch...)
	until(t, "the second flag is taken away", gone)
	idle := func() bool {
		return labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "flag6-restart.service") == "inactive" &&
			labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "flag6.service") == "active"
	}
	until(t, "the service is up", idle)
	after := invocation(t, m, "flag6.service")
	if after == before || after == during {
		t.Errorf("invocations: %s before, %s during the restart, %s after it", before, during, after)
	}
	labtest.Run(t, m, "journalctl", "--sync")
	id := labtest.Run(t, m, "journalctl", "-o", "cat", "-u", "flag6.service")
	same(t, "starts", strings.Count(id, `{"Args"`), 3)

	// The app itself cannot touch it.
	if r, err := m.Exec(t.Context(), "runuser", "-u", "flag6", "--", "touch", flag); err != nil || r.Code == 0 {
		t.Errorf("the app can touch the flag: %v %+v", err, r)
	}
	// What does not run is not started.
	labtest.Run(t, m, "systemctl", "stop", "flag6.service")
	labtest.Run(t, m, touch...)
	until(t, "the flag is taken away", gone)
	until(t, "the restart has ended", func() bool {
		return labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "flag6-restart.service") == "inactive"
	})
	same(t, "a service that was stopped", labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "flag6.service"), "inactive")
	// The event is lost: the timer's visit finds the flag.
	labtest.Run(t, m, "systemctl", "stop", "flag6-restart.path")
	labtest.Run(t, m, "systemctl", "start", "flag6.service")
	before = invocation(t, m, "flag6.service")
	labtest.Run(t, m, touch...)
	labtest.Run(t, m, "systemctl", "start", "flag6-restart.service")
	if before == invocation(t, m, "flag6.service") {
		t.Error("the visit of the timer did not restart the service")
	}
	// A flag from before the boot restarts nothing.
	labtest.Run(t, m, touch...)
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the service is up", idle)
	// It comes behind the service.
	until(t, "the path unit waits", func() bool {
		return labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ActiveState", "flag6-restart.path") == "active"
	})
	if !gone() {
		t.Error("the flag is still there after a boot")
	}
	boot := labtest.Run(t, m, "journalctl", "-b", "-o", "cat", "-u", "flag6.service")
	same(t, "starts of this boot", strings.Count(boot, `{"Args"`), 1)
	labtest.Run(t, m, "systemctl", "disable", "-q", "--now", "flag6.service", "flag6-restart.path", "flag6-restart.timer")
}
