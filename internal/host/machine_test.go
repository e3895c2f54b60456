package host_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

const (
	selfInside = "/usr/local/bin/hosttest"
	service    = "name = \"web\"\n[service]\ncommand = \"bin/web\"\n[dirs]\nstate = true\n"
	withEnv    = service + "[env]\nGREETING = \"hello\"\n"
	withSocket = withEnv + "[socket]\nlisten = \"8080\"\n"
	otherPort  = withEnv + "[socket]\nlisten = \"8081\"\n"
)

// TestInside is what runs inside the machine.
func TestInside(t *testing.T) {
	verb := os.Getenv("LANDFAST_TEST_INSIDE")
	if verb == "" {
		t.Skip("run by TestMachines")
	}
	if err := inside(t.Context(), verb, os.Getenv("LANDFAST_TEST_MANIFEST")); err != nil {
		t.Fatal(err)
	}
}

// inside does one thing to the machine this program runs in, as root. It is how
// the tests see the real "/", with the real bus and the real tools.
func inside(ctx context.Context, verb, text string) error {
	bus, err := systemd.Connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	h, err := host.Open("/", bus)
	if err != nil {
		return err
	}
	defer h.Close()
	if verb == "once" {
		st, err := h.RunOnce(ctx, "landfast-web-once.service", text)
		fmt.Println(st.Result, st.ExitStatus, st.Load)
		return err
	}
	app, err := manifest.Parse("landfast.toml", []byte(text))
	if err != nil {
		return err
	}
	facts, err := h.Facts(ctx)
	if err != nil {
		return err
	}
	p, err := plan.Build(app, facts)
	if err != nil {
		return err
	}
	o, err := h.Observe(ctx, p)
	if err != nil {
		return err
	}
	c := plan.Uninstall(p, o, verb == "purge")
	if verb == "plan" || verb == "apply" {
		if c, err = plan.Diff(p, o); err != nil {
			return err
		}
	}
	fmt.Print(c.Text())
	if verb == "plan" {
		return nil
	}
	unlock, err := h.Lock(ctx, "web", verb)
	if err != nil {
		return err
	}
	defer unlock()
	return h.Apply(ctx, c)
}

// machine is a machine with this program in it.
type machine struct {
	*lab.Machine
	t *testing.T
}

// do runs inside with a verb in the machine, and gives what it prints.
func (m machine) do(verb, text string) string {
	m.t.Helper()
	r, err := m.Run(m.t.Context(), lab.Cmd{
		Argv: []string{selfInside, "-test.run=^TestInside$"},
		Env:  []string{"LANDFAST_TEST_INSIDE=" + verb, "LANDFAST_TEST_MANIFEST=" + text},
	})
	out, ok := strings.CutSuffix(r.Stdout, "PASS\n")
	if err != nil || !ok {
		m.t.Fatalf("%s: %v\n%s%s", verb, err, r.Stdout, r.Stderr)
	}
	return out
}

// apply applies a manifest, and fails the test when a plan then finds anything to do.
func (m machine) apply(text string) string {
	m.t.Helper()
	did := m.do("apply", text)
	if left := m.do("plan", text); left != "" {
		m.t.Fatalf("applied:\n%s\nand still to do:\n%s", did, left)
	}
	return did
}

// is fails the test unless a property of a unit has the value.
func (m machine) is(unit, property, want string) {
	m.t.Helper()
	if got := m.property(unit, property); got != want {
		m.t.Errorf("%s of %s is %q, want %q", property, unit, got, want)
	}
}

func (m machine) property(unit, property string) string {
	m.t.Helper()
	return labtest.Run(m.t, m.Machine, "systemctl", "show", "-P", property, unit)
}

// disk lists what is on the disk of the machine, but for logs and what systemd keeps for itself.
func (m machine) disk() []string {
	m.t.Helper()
	lines := tree(m.t, strings.TrimSuffix(m.Path("/"), "/"), "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp",
		"/var/log", "/var/lib/systemd", "/var/cache", "/usr/bin", "/usr/lib", "/usr/share", "/usr/local/bin")
	return slices.DeleteFunc(lines, func(line string) bool {
		// The backups that passwd(5) tools keep, and their lock.
		for _, b := range []string{"passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock", "subuid-", "subgid-"} {
			if strings.HasPrefix(line, "/etc/"+b+" ") {
				return true
			}
		}
		return line == "" || strings.HasPrefix(line, " ")
	})
}

func TestMachines(t *testing.T) {
	labtest.Require(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			m := machine{labtest.Boot(t, lab.Options{Suite: suite, Binds: []lab.Bind{{Host: self, Inside: selfInside}}}), t}
			before := m.disk()
			accounts := m.accounts()
			m.install()
			m.live()
			m.change()
			m.once()
			m.gone(before, accounts)
		})
	}
}

// install applies a manifest to a machine that has never seen one.
func (m machine) install() {
	m.t.Helper()
	did := m.apply(withSocket)
	if !strings.Contains(did, "+ web  system account") || !strings.Contains(did, "enable web.socket") {
		m.t.Errorf("apply said:\n%s", did)
	}
	for _, unit := range []string{"web.service", "web.socket"} {
		m.is(unit, "UnitFileState", "enabled")
		m.is(unit, "ActiveState", "inactive")
		m.is(unit, "NeedDaemonReload", "no")
	}
	got := labtest.Run(m.t, m.Machine, "stat", "-c", "%n %a %U:%G", "/srv/web", "/srv/web/releases", "/srv/web/shared", "/var/lib/web", "/var/lib/landfast/web")
	want := "/srv/web 750 landfast:web\n/srv/web/releases 750 landfast:web\n/srv/web/shared 750 web:web\n/var/lib/web 750 web:web\n/var/lib/landfast/web 750 root:root"
	if d := cmp.Diff(want, got); d != "" {
		m.t.Errorf("directories (-want +got):\n%s", d)
	}
}

// live puts a release there and starts it, as a deployment does.
func (m machine) live() {
	m.t.Helper()
	if err := m.WriteFile("/srv/web/releases/1/bin/web", []byte("#!/bin/sh\nexec sleep infinity\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	labtest.Run(m.t, m.Machine, "chown", "-R", "landfast:web", "/srv/web/releases")
	labtest.Run(m.t, m.Machine, "chmod", "-R", "u=rwX,g=rX,o=", "/srv/web/releases")
	labtest.Run(m.t, m.Machine, "ln", "-s", "releases/1", "/srv/web/current")
	labtest.Run(m.t, m.Machine, "systemctl", "start", "web.socket", "web.service")
	if left := m.do("plan", withSocket); left != "" {
		m.t.Errorf("once it runs, a plan finds:\n%s", left)
	}
}

// change applies other manifests while the app is live.
func (m machine) change() {
	m.t.Helper()
	first := m.property("web.service", "InvocationID")
	m.apply(otherPort)
	if m.property("web.service", "InvocationID") == first {
		m.t.Error("the service was not restarted with its socket")
	}
	m.is("web.socket", "Listen", "[::]:8081 (Stream)")
	m.is("web.service", "ActiveState", "active")

	did := m.apply(withEnv) // without the socket
	if !strings.Contains(did, "stop web.socket") || !strings.Contains(did, "disable web.socket") {
		m.t.Errorf("apply said:\n%s", did)
	}
	m.is("web.socket", "LoadState", "not-found")
	m.is("web.service", "ActiveState", "active")

	m.apply(withSocket) // and with it again
	m.is("web.socket", "ActiveState", "active")
	m.is("web.service", "ActiveState", "active")

	labtest.Run(m.t, m.Machine, "systemctl", "stop", "web.service")
	m.apply(strings.Replace(withSocket, "hello", "bye", 1)) // what is stopped stays so
	m.is("web.service", "ActiveState", "inactive")
	m.apply(withSocket)
	labtest.Run(m.t, m.Machine, "systemctl", "start", "web.service")
}

// once runs a unit that is nowhere but in memory, and it leaves nothing.
func (m machine) once() {
	m.t.Helper()
	for _, test := range []struct{ text, want string }{
		{"[Service]\nType=oneshot\nExecStart=/bin/true\n", "success 0 loaded\n"},
		{"[Service]\nType=oneshot\nExecStart=/bin/sh -c \"exit 5\"\n", "exit-code 5 loaded\n"},
		{"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", "success 0 loaded\n"},
	} {
		if got := m.do("once", test.text); got != test.want {
			m.t.Errorf("got %q, want %q", got, test.want)
		}
		m.is("landfast-web-once.service", "LoadState", "not-found")
		if units := labtest.Run(m.t, m.Machine, "systemctl", "list-units", "--all", "--plain", "--no-legend", "landfast*"); units != "" {
			m.t.Errorf("left behind: %s", units)
		}
	}
	// A reload would have told the journal.
	log, err := m.Journal(m.t.Context(), "")
	if err != nil {
		m.t.Fatal(err)
	}
	_, after, _ := strings.Cut(log, "landfast-web-once.service")
	if strings.Contains(after, "Reloading") {
		m.t.Error("running a unit once took a daemon-reload")
	}
}

// gone takes the app off, and compares the machine with what it was.
func (m machine) gone(before []string, accounts string) {
	m.t.Helper()
	labtest.Run(m.t, m.Machine, "sh", "-c", "echo data >/var/lib/web/data")
	m.do("uninstall", withSocket)
	labtest.Run(m.t, m.Machine, "test", "-e", "/srv/web/releases/1/bin/web", "-a", "-f", "/var/lib/web/data")
	m.do("purge", withSocket)
	if d := cmp.Diff(before, m.disk()); d != "" {
		m.t.Errorf("the disk before and after (-before +after):\n%s", d)
	}
	if d := cmp.Diff(accounts, m.accounts()); d != "" {
		m.t.Errorf("the accounts before and after (-before +after):\n%s", d)
	}
	if units := labtest.Run(m.t, m.Machine, "systemctl", "list-units", "--all", "--plain", "--no-legend", "web*", "landfast*"); units != "" {
		m.t.Errorf("systemd still knows: %s", units)
	}
	if failed := labtest.Run(m.t, m.Machine, "systemctl", "--failed", "--plain", "--no-legend"); failed != "" {
		m.t.Errorf("failed units: %s", failed)
	}
	if left := labtest.Run(m.t, m.Machine, "find", "/run", "-name", "*landfast*"); left != "" {
		m.t.Errorf("left in /run: %s", left)
	}
}

// accounts are the files of passwd(5), with the bytes they had.
func (m machine) accounts() string {
	m.t.Helper()
	return labtest.Run(m.t, m.Machine, "cat", "/etc/passwd", "/etc/group")
}
