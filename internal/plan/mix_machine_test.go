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
	for line := range strings.Lines(labtest.Run(t, m, "journalctl", "-o", "cat", "_SYSTEMD_INVOCATION_ID="+id)) {
		var w witnessed
		if strings.HasPrefix(line, "{\"Args\"") {
			if err := json.Unmarshal([]byte(line), &w); err != nil {
				t.Fatal(err)
			}
			return w
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
	same(t, "the path unit", labtest.Run(t, m, "systemctl", "is-active", "flag6-restart.path"), "active")
	if !gone() {
		t.Error("the flag is still there after a boot")
	}
	boot := labtest.Run(t, m, "journalctl", "-b", "-o", "cat", "-u", "flag6.service")
	same(t, "starts of this boot", strings.Count(boot, `{"Args"`), 1)
	labtest.Run(t, m, "systemctl", "disable", "-q", "--now", "flag6.service", "flag6-restart.path", "flag6-restart.timer")
}

// hostParts are what programs need of the host.
func hostParts() []string {
	return []string{
		"/usr", "-/bin", "-/sbin", "-/lib", "-/lib32", "-/lib64", "-/etc/alternatives", "-/etc/group", "-/etc/hosts", "-/etc/ld.so.cache",
		"-/etc/localtime", "-/etc/nsswitch.conf", "-/etc/passwd", "-/etc/resolv.conf", "-/etc/ssl",
	}
}

func mixChroot(t *testing.T, m *lab.Machine) {
	app := witnessApp("cage")
	app.Chroot = &landfast.Chroot{Root: "/srv/cage/root", ReadOnly: hostParts(), ReadWrite: []string{"/mnt"}, Inaccessible: []string{"/usr/lib/python3", "-/usr/share/none"}}
	app.Env = []landfast.Var{{Name: "SHARED_DIR", Value: app.Paths.Shared}}
	app.Dirs = []landfast.Dir{
		{Kind: landfast.RuntimeDir, Base: "/run", Name: "cage", Path: "/run/cage", Mode: "0750", Env: "RUNTIME_DIR"},
		{Kind: landfast.ConfigurationDir, Base: "/etc", Name: "cage", Path: "/etc/cage", Mode: "0750", Env: "CONFIGURATION_DIR"},
		{Kind: landfast.LogsDir, Base: "/data", Name: "cage", Path: "/data/cage", Mode: "0750", Env: "LOGS_DIR"},
		{Kind: landfast.StateDir, Base: "/var/lib", Name: "cage", Path: "/var/lib/cage", Mode: "0750", Env: "STATE_DIR"},
		{Kind: landfast.TmpDir, Base: "/var/tmp", Name: "cage", Path: "/var/tmp/cage", Mode: "0750", Env: "TMP_DIR"},
	}
	// Root inside, with all its capabilities, tries to change the program.
	app.Main().BeforeStart = []landfast.Command{
		{Prefix: "!", Argv: []string{"sh", "-c", "! touch /srv/cage/current/bin/witness && ! touch /usr/x && ! touch /x && id -u && test ! -e /home && test ! -r /usr/lib/python3/dist-packages"}},
	}
	app.Services = append(app.Services, landfast.Service{
		Unit: "cage-py.service", Type: "oneshot",
		Command: landfast.Command{Argv: []string{"python3", "-c", "import os, ssl, socket; print('python in', os.getcwd(), sorted(os.listdir('/srv/cage')))"}},
	})
	place(t, m, app)
	w := testify(t, m, "cage.service")
	same(t, "directory", w.Dir, "/srv/cage/current")
	same(t, "journal", w.Refused["journal"], "")
	for path, want := range map[string]bool{"/home": false, "/var/lib/landfast": false, "/etc/shadow": false, "/proc/self": true, "/dev/null": true, "/run/systemd/journal/socket": true} {
		if (w.Seen[path] == "yes") != want {
			t.Errorf("%s is seen: %s, want %t", path, w.Seen[path], want)
		}
	}
	for what, refused := range w.Refused {
		allowed := slices.Contains([]string{"journal", "write SHARED_DIR", "write RUNTIME_DIR", "write LOGS_DIR", "write STATE_DIR", "write TMP_DIR"}, what)
		if allowed != (refused == "") {
			t.Errorf("%s: %q, allowed should be %t", what, refused, allowed)
		}
	}
	for _, dir := range []string{"/srv/cage/shared", "/data/cage", "/var/lib/cage", "/var/tmp/cage", "/run/cage"} {
		same(t, dir, labtest.Run(t, m, "stat", "-c", "%U", dir+"/written"), "cage")
	}
	labtest.Run(t, m, "journalctl", "--sync")
	if got := labtest.Run(t, m, "journalctl", "-o", "cat", "-u", "cage.service"); !strings.Contains(got, "heard from cage") {
		t.Error("the journal's own socket was not heard")
	}
	labtest.Run(t, m, "systemctl", "start", "cage-py.service")
	labtest.Run(t, m, "journalctl", "--sync")
	if got := labtest.Run(t, m, "journalctl", "-o", "cat", "-u", "cage-py.service"); !strings.Contains(got, "python in /srv/cage/current ['current', 'shared']") {
		t.Errorf("python said: %s", got)
	}
	labtest.Run(t, m, "systemctl", "stop", "cage.service")
}

func mixChrootRelease(t *testing.T, m *lab.Machine) {
	if m.Suite.Systemd < 252 {
		t.Skip("refused")
	}
	app := witnessApp("cell")
	app.Chroot = &landfast.Chroot{Root: app.Paths.Current}
	app.Env = []landfast.Var{{Name: "HERE", Value: app.Paths.Current + "/bin"}}
	place(t, m, app)
	w := testify(t, m, "cell.service")
	same(t, "directory", w.Dir, "/")
	same(t, "program", w.Program, "/bin/witness")
	same(t, "HERE", w.env("HERE"), "/bin")
	if w.Refused["write /bin"] == "" || w.Seen["/usr"] == "yes" {
		t.Errorf("it can write its program, or sees the host: %+v", w)
	}
	labtest.Run(t, m, "systemctl", "stop", "cell.service")
}

func mixGrants(t *testing.T, m *lab.Machine) {
	app := witnessApp("grant")
	app.Grants = []string{"sudoers", "polkit"}
	app.Services = append(app.Services, landfast.Service{
		Unit: "grant-a:b@.service", Type: "notify", Instances: []string{"1"}, Command: landfast.Command{Argv: []string{app.Paths.Current + "/bin/witness", "worker"}},
	})
	place(t, m, app)
	labtest.Run(t, m, "visudo", "-c")
	as := []string{"runuser", "-u", "landfast", "--"}
	try := func(argv ...string) bool {
		t.Helper()
		r, err := m.Exec(t.Context(), slices.Concat(as, argv)...)
		if err != nil {
			t.Fatal(err)
		}
		return r.Code == 0
	}
	allowed := [][]string{
		{"sudo", "-n", "/bin/systemctl", "--no-pager", "start", "grant.service"},
		{"sudo", "-n", labtest.Run(t, m, "sh", "-c", "command -v systemctl"), "--no-pager", "restart", "grant.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "status", "grant.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "start", "grant-a:b@1.service"},
	}
	refused := [][]string{
		{"sudo", "-n", "systemctl", "restart", "grant.service"},
		{"sudo", "-n", "systemctl", "status", "grant.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "stop", "dbus.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "start", "grant.service", "dbus.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "start", "grant-a:b@2.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "edit", "grant.service"},
		{"sudo", "-n", "systemctl", "--no-pager", "daemon-reload"},
		{"sudo", "-n", "-u", "grant", "systemctl", "--no-pager", "status", "grant.service"},
		{"sudo", "-n", "true"},
	}
	if m.Suite.Name != "bullseye" { // its polkit is 0.105
		allowed = append(
			allowed,
			[]string{"systemctl", "--no-ask-password", "restart", "grant.service"},
			[]string{"systemctl", "--no-ask-password", "stop", "grant-a:b@1.service"},
			[]string{"systemctl", "--no-ask-password", "stop", "grant.service"},
		)
		refused = append(
			refused,
			[]string{"systemctl", "--no-ask-password", "stop", "dbus.service"},
			[]string{"systemctl", "--no-ask-password", "start", "grant-a:b@2.service"},
			[]string{"systemctl", "--no-ask-password", "enable", "grant.service"},
			[]string{"systemctl", "--no-ask-password", "kill", "grant.service"},
			[]string{"systemctl", "--no-ask-password", "reload", "grant.service"},
			[]string{"systemctl", "--no-ask-password", "daemon-reload"},
		)
	}
	for _, argv := range allowed {
		if !try(argv...) {
			t.Errorf("refused: %q", argv)
		}
	}
	for _, argv := range refused {
		if try(argv...) {
			t.Errorf("allowed: %q", argv)
		}
	}
	// Nobody else has got anything.
	as[2] = "grant"
	for _, argv := range allowed {
		if try(argv...) && !slices.Contains(argv, "status") {
			t.Errorf("allowed to the app: %q", argv)
		}
	}
}

func mixServices(t *testing.T, m *lab.Machine) {
	app := witnessApp("many")
	app.Env = []landfast.Var{{Name: "PORT", Value: "8080"}}
	bin := app.Paths.Current + "/bin/witness"
	app.Services = append(
		app.Services,
		landfast.Service{
			Unit: "many-worker@.service", Type: "notify", Instances: []string{"1", "b-c.d"}, Working: app.Paths.Current + "/bin",
			Command: landfast.Command{Argv: []string{bin, "worker", "q " + landfast.InstanceMark + " %i"}},
			Env:     []landfast.Var{{Name: "PORT", Value: "900" + landfast.InstanceMark}},
			Systemd: []landfast.Directive{{Section: "Service", Name: "Nice", Value: "5"}},
		},
		landfast.Service{
			Unit: "many-tick.service", Type: "oneshot", Restart: "no", Command: landfast.Command{Argv: []string{bin, "once"}},
			Timer: &landfast.Timer{Unit: "many-tick.timer", Every: time.Hour, RandomDelay: time.Millisecond},
		},
	)
	p := place(t, m, app)
	w := testify(t, m, "many-worker@b-c.d.service")
	same(t, "arguments", strings.Join(w.Args[1:], "|"), "worker|q b-c.d %i")
	same(t, "PORT", w.env("PORT"), "900b-c.d")
	same(t, "directory", w.Dir, "/srv/many/releases/r1/bin")
	same(t, "nice", labtest.Run(t, m, "systemctl", "show", "--value", "-p", "Nice", "many-worker@b-c.d.service"), "5")
	main := testify(t, m, "many.service")
	same(t, "PORT of the main service", main.env("PORT"), "8080")
	for _, u := range p.Units {
		state := labtest.Run(t, m, "systemctl", "show", "--value", "-p", "UnitFileState", u.Name)
		if want := map[bool]string{true: "enabled", false: "static"}[u.Enable]; state != want {
			t.Errorf("%s is %s, want %s", u.Name, state, want)
		}
	}
	same(t, "what the timer starts", labtest.Run(t, m, "systemctl", "show", "--value", "-p", "InvocationID", "many-tick.service"), "")
	labtest.Run(t, m, "systemctl", "start", "many-tick.timer")
	next := labtest.Run(t, m, "systemctl", "show", "--value", "-p", "NextElapseUSecMonotonic", "many-tick.timer")
	if next == "" || next == "infinity" {
		t.Errorf("the timer waits for nothing: %q", next)
	}
	tick := testify(t, m, "many-tick.service")
	same(t, "arguments of the timer's", strings.Join(tick.Args[1:], "|"), "once")
	labtest.Run(t, m, "systemctl", "disable", "-q", "--now", "many-tick.timer", "many.service", "many-worker@1.service", "many-worker@b-c.d.service")
}

func niceDynamicUser(t *testing.T, m *lab.Machine) {
	app := witnessApp("ghost")
	app.DynamicUser, app.Group = true, "ghost-code"
	app.Dirs = []landfast.Dir{
		{Kind: landfast.RuntimeDir, Base: "/run", Name: "ghost", Path: "/run/ghost", Mode: "0750", Env: "RUNTIME_DIR"},
		{Kind: landfast.ConfigurationDir, Base: "/etc", Name: "ghost", Path: "/etc/ghost", Mode: "0750", Env: "CONFIGURATION_DIR"},
		{Kind: landfast.StateDir, Base: "/var/lib", Name: "ghost", Path: "/var/lib/ghost", Mode: "0750", Env: "STATE_DIR"},
	}
	place(t, m, app)
	if r, err := m.Exec(t.Context(), "grep", "^ghost:", "/etc/passwd", "/etc/group"); err != nil || r.Code == 0 {
		t.Errorf("there is an account: %v %+v", err, r)
	}
	w := testify(t, m, "ghost.service")
	if w.UID < 61184 || w.UID > 65519 {
		t.Errorf("the user is %d, which systemd did not make up", w.UID)
	}
	for what, want := range map[string]bool{"write STATE_DIR": true, "write RUNTIME_DIR": true, "write CONFIGURATION_DIR": false, "write /srv/ghost/releases/r1": false, "write /usr": false} {
		if (w.Refused[what] == "") != want {
			t.Errorf("%s: %q, allowed should be %t", what, w.Refused[what], want)
		}
	}
	if !strings.HasPrefix(w.Dirs["CONFIGURATION_DIR"], "0750 ") {
		t.Errorf("it cannot see its configuration: %s", w.Dirs["CONFIGURATION_DIR"])
	}
	same(t, "releases", labtest.Run(t, m, "stat", "-c", "%U:%G %a", "/srv/ghost/releases"), "landfast:ghost-code 750")
	labtest.Run(t, m, "systemctl", "stop", "ghost.service")
}

// mixTransient runs single commands with what a service has.
func mixTransient(t *testing.T, m *lab.Machine) {
	app := witnessApp("solo")
	app.Env = []landfast.Var{{Name: "GREETING", Value: "hello big world"}}
	app.Main().Umask = "0077"
	place(t, m, app)
	run := func(o plan.TransientOptions) (witnessed, string) {
		t.Helper()
		text, err := plan.Transient(app, plan.Facts{Systemd: m.Suite.Systemd}, o)
		if err != nil {
			t.Fatal(err)
		}
		put(t, m, "/run/systemd/system/solo-command.service", text)
		labtest.Run(t, m, "systemctl", "daemon-reload")
		if r, err := m.Exec(t.Context(), "systemctl", "start", "solo-command.service"); err != nil || r.Code != 0 {
			return witnessed{}, labtest.Run(t, m, "systemctl", "show", "--value", "-p", "ExecMainStatus", "solo-command.service")
		}
		var w witnessed
		text = labtest.Run(t, m, "cat", "/run/solo.out")
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return w, "0"
	}
	out := []landfast.Directive{{Section: "Service", Name: "StandardOutput", Value: "file:/run/solo.out"}}
	w, _ := run(plan.TransientOptions{
		Command: landfast.Command{Argv: []string{app.Paths.Current + "/bin/witness", "once", "a b"}}, Working: app.Paths.Current + "/bin",
		Env: []landfast.Var{{Name: "EXTRA", Value: "$x"}}, Directives: out,
	})
	same(t, "arguments", strings.Join(w.Args[1:], "|"), "once|a b")
	same(t, "user", w.UID, number(t, m, "-u", "solo"))
	same(t, "umask", w.Umask, "0077")
	same(t, "GREETING", w.env("GREETING"), "hello big world")
	same(t, "EXTRA", w.env("EXTRA"), "$x")
	same(t, "directory", w.Dir, "/srv/solo/releases/r1/bin")
	if w.Refused["write /srv/solo/releases/r1/bin"] == "" {
		t.Error("it can write the release")
	}
	_, code := run(plan.TransientOptions{Command: landfast.Command{Argv: []string{"sh", "-c", "exit 7"}}})
	same(t, "exit code", code, "7")
}
