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

// rootSystem makes a small root file system of the machine's own programs, as a
// release on a file system whose users can be mapped.
const rootSystem = `set -e
releases=$1; r=$releases/r1/rootfs
mkdir -p "$releases"; mount -t tmpfs -o mode=755 releases "$releases"
mkdir -p "$r"/usr/bin "$r"/usr/lib "$r"/usr/lib64 "$r"/etc "$r"/proc "$r"/sys "$r"/dev "$r"/run "$r"/tmp "$r"/root "$r"/var
: >"$r/etc/passwd"; echo ID=small >"$r/etc/os-release"
ln -s usr/bin "$r/bin"; ln -s usr/lib "$r/lib"; ln -s usr/lib64 "$r/lib64"
for p in sh cat id touch sleep; do
	cp -L "$(command -v $p)" "$r/usr/bin/"
	for l in $(ldd "$(command -v $p)" | grep -o '/lib[^ ]*'); do mkdir -p "$r$(dirname $l)"; cp -L "$l" "$r$l"; done
done
ln -sfn releases/r1 "$releases/../current"`

// TestMachineInAMachine runs a root file system. It takes the program of this
// host, which the images do not have, and so only runs where that fits.
func TestMachineInAMachine(t *testing.T) {
	labtest.Require(t)
	if analyzeVersion(t) != 252 {
		t.Skip("the machine is a Debian 12, whose systemd-nspawn this host does not have")
	}
	m := labtest.Boot(t, lab.Options{
		Suite: "bookworm", Binds: []lab.Bind{{Host: "/usr/bin/systemd-nspawn"}},
		Capabilities: []string{"all"}, SystemCalls: []string{"@mount", "@keyring", "@privileged"},
	})
	for _, c := range []struct {
		private bool
		want    string // user map, writing to the root file system
	}{
		{true, "read only"},
		{false, "written"},
	} {
		app := smallest("box" + fmt.Sprint(c.private))
		app.Env = []landfast.Var{{Name: "GREETING", Value: "hello big world"}}
		s := app.Main()
		s.Kind, s.Restart, s.StopTimeout = landfast.KindNspawn, "no", 10*time.Second
		s.Machine = &landfast.Machine{PrivateUsers: c.private, PrivateNetwork: true, ReadOnlyBinds: []string{"/etc/passwd"}}
		s.Command.Argv = []string{"/bin/sh", "-c", `echo "map $(cat /proc/self/uid_map)"; touch /x && echo "root: written" || echo "root: read only"; touch /etc/passwd || echo "bind: read only"; echo "$GREETING as $(id -u)"; exec sleep 1000`}
		p, err := plan.Build(app, plan.Facts{Systemd: 252})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Files {
			// The machine has no systemd-machined to tell of it.
			put(t, m, f.Path, strings.Replace(f.Content, "--keep-unit", "--keep-unit --register=no", 1))
		}
		labtest.Run(t, m, "sh", "-c", rootSystem, "sh", app.Paths.Releases)
		before := labtest.Run(t, m, "sh", "-c", "cd "+app.Paths.Releases+"; find . -ls | cksum")
		labtest.Run(t, m, "systemctl", "daemon-reload")
		if r, err := m.Exec(t.Context(), "systemctl", "start", s.Unit); err != nil || r.Code != 0 {
			t.Fatalf("start %s: %v %+v\n%s", s.Unit, err, r, labtest.Run(t, m, "journalctl", "-o", "cat", "-u", s.Unit))
		}
		var said string
		until(t, "the machine speaks", func() bool {
			labtest.Run(t, m, "journalctl", "--sync")
			said = labtest.Run(t, m, "journalctl", "-o", "cat", "-u", s.Unit)
			return strings.Contains(said, "hello big world as 0")
		})
		for _, want := range []string{"root: " + c.want, "bind: read only"} {
			if !strings.Contains(said, want) {
				t.Errorf("private users %t: %s is not in\n%s", c.private, want, said)
			}
		}
		if mapped := !strings.Contains(said, "4294967295"); mapped != c.private {
			t.Errorf("private users %t: %s", c.private, said)
		}
		labtest.Run(t, m, "systemctl", "stop", s.Unit)
		same(t, "the end of "+s.Unit, labtest.Run(t, m, "systemctl", "show", "--value", "-p", "Result", s.Unit), "success")
		same(t, "the release of "+s.Unit, labtest.Run(t, m, "sh", "-c", "cd "+app.Paths.Releases+"; find . -ls | cksum"), before)
	}
}
