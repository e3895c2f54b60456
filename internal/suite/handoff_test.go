package suite_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab/load"
)

// handoff is the example under the strategy handoff, with its releases.
func (h *host) handoff(more string) *app {
	h.t.Helper()
	manifest, err := os.ReadFile("../../examples/go-web/landfast.toml")
	if err != nil {
		h.t.Fatal(err)
	}
	a := h.app("web", 8080)
	text, _, _ := strings.Cut(string(manifest), "\n[cutover]")
	h.write(a.dir+"/landfast.toml", text+"\n[cutover]\nstrategy = \"handoff\"\n"+more)
	for name, text := range goWeb(h.t) {
		h.write(a.dir+"/"+name, string(text))
	}
	return a
}

// instance is the unit of the current release.
func (a *app) instance() string { return a.name + "@" + a.current() + ".service" }

// property is a property of a unit, as systemd tells it.
func (a *app) property(unit, name string) string {
	a.t.Helper()
	return a.sh("systemctl show --value -p " + name + " " + unit)
}

// load puts an app under load.
func (a *app) load() *load.Run {
	a.t.Helper()
	clients, err := load.Start(a.t.Context(), load.Options{URL: fmt.Sprintf("http://localhost:%d/", a.port), Dial: a.Dial, Workers: 2})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { clients.Stop() })
	return clients
}

// unhurt does something under load, of which clients must not notice anything but
// that the version named answers in the end.
func (a *app) unhurt(clients *load.Run, name, last string, do func()) {
	a.t.Helper()
	clients.Lap()
	do()
	a.eventually("version "+last+" answers clients", func() (bool, string) {
		status, body, err := a.get(fmt.Sprintf("http://localhost:%d/", a.port))
		return status == 200 && err == nil, body
	})
	lap := clients.Lap()
	a.t.Logf("%s: %s", name, lap)
	if lap.Failed > 0 || lap.OK == 0 {
		a.t.Errorf("%s: requests failed: %s; the first: %s", name, lap, lap.Example)
	}
	if lap.Versions[last] == 0 {
		a.t.Errorf("%s: version %s answered nobody: %s", name, last, lap)
	}
}

// TestHandoff: both releases run for a moment and nobody notices; one that cannot
// start or is not healthy never sees a request; the units mean what people expect.
func TestHandoff(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.handoff("\n[smoke]\n\"/\" = 200\n")
		a.deploy("web-1.tar.gz").code0()
		a.isWell()
		// 04000 is O_NONBLOCK: nothing that systemd starts may take it off the socket.
		if flags := a.sh("sed -n 's/^flags:.*\\(.\\)...$/\\1/p' /proc/" + a.property(a.instance(), "MainPID") + "/fdinfo/3 || true"); flags != "" && flags[0] < '4' {
			a.t.Errorf("the socket blocks: flags …%s…", flags)
		}
		clients := a.load()
		socket := a.property("web.socket", "InvocationID")
		a.unhurt(clients, "next", "2", func() {
			reloads := a.reloads()
			a.deploy("web-2.tar.gz").code0().silentOn("killed")
			if n := a.reloads(); n != reloads {
				a.t.Errorf("systemd read its units %d times again for a release that changes none", n-reloads)
			}
		})
		a.isWell()
		a.unhurt(clients, "cannot start", "2", func() {
			before := a.instance()
			a.deploy("web-3.tar.gz").exits(1).says("rehearse", "nothing live was touched")
			if now := a.instance(); now != before {
				a.t.Errorf("%s is current, want %s", now, before)
			}
		})
		a.isWell()
		a.deploy("web-3.tar.gz").exits(6).says("known to be bad")
		a.unhurt(clients, "back", "1", func() { a.landfast("rollback").code0() })
		a.unhurt(clients, "forth", "2", func() { a.deploy("web-2.tar.gz", "--force").code0() })
		a.unhurt(clients, "systemctl restart", "2", func() { a.sh("systemctl restart web") })
		a.unhurt(clients, "restart", "2", func() { a.landfast("restart").code0() })
		a.unhurt(clients, "killed", "2", func() { a.sh("systemctl kill -s TERM " + a.instance()) })
		if now := a.property("web.socket", "InvocationID"); now != socket {
			a.t.Error("the socket was opened anew")
		}
		if units := a.sh("systemctl list-units --all --plain --no-legend 'web@*' | wc -l; ls /etc/systemd/system | grep -c '^web@'"); units != "1\n1" {
			a.t.Errorf("units of other releases are left: %s\n%s", units, a.sh("systemctl list-units --all 'web*'; ls /etc/systemd/system"))
		}
		clients.Stop()
		a.asPeopleExpect("web.socket")
		a.reboots()
		a.landfast("uninstall", "web", "--purge").code0()
		if left := a.sh("ls /etc/systemd/system | grep web || true; systemctl list-units --all --plain --no-legend 'web*'"); left != "" {
			a.t.Errorf("left behind: %s", left)
		}
	})
}

// reloads is how often systemd has read its unit files.
func (a *app) reloads() int {
	return strings.Count(a.sh("journalctl -b _PID=1 -o cat"), "Reloading.")
}

// asPeopleExpect: systemctl stop, start and status of the app itself.
func (a *app) asPeopleExpect(also string) {
	a.t.Helper()
	a.sh("systemctl stop web " + also)
	if active := a.property(a.instance(), "ActiveState"); active != "inactive" {
		a.t.Errorf("after systemctl stop the release is %s", active)
	}
	a.sh("systemctl start web")
	a.answersNow("2")
	a.landfast("stop").code0()
	if out := a.sh("systemctl is-active web.service " + also + " " + a.instance() + " || true"); strings.Trim(out, "inactve\n") != "" {
		a.t.Errorf("after stop: %s", out)
	}
	a.landfast("start").code0()
	a.answersNow("2")
	a.isWell()
}

// reboots: the current release is there again, alone.
func (a *app) reboots() {
	a.t.Helper()
	if err := a.Restart(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	a.eventually("the release runs again", func() (bool, string) {
		s := a.property(a.instance(), "ActiveState")
		return s == "active", s
	})
	a.answersNow("2")
	a.isWell()
}

// answersNow checks which version of the example answers.
func (a *app) answersNow(version string) {
	a.t.Helper()
	a.eventually("version "+version+" answers", func() (bool, string) {
		out := a.sh(fmt.Sprintf("curl -s -i --max-time 5 http://localhost:%d/ | head -20", a.port))
		return strings.Contains(out, version), out
	})
}
