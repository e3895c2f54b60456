package suite_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast"
)

func TestRollbackBringsEverythingOfTheReleaseBack(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000)
		a.manifest("[socket]\nlisten = [\"9000\"]", "[env]\nPORT = 9000\nCOLOUR = \"red\"")
		a.deploy(a.release("1", "")).code0()
		a.landfast("rollback").exits(2).says("no earlier good release")
		// Which releases there are differs, and is not what this is about.
		files := func() string { return without(a.state(), "/srv/web/releases/", "/srv/web/current") }
		one, first := files(), a.current()
		a.manifest("[env]\nPORT = 9000\nCOLOUR = \"blue\"", "[dirs]\ncache = true",
			"[service]\ntype = \"notify\"\ncommand = \""+wellKnown+" two\"\numask = \"0077\"")
		a.deploy(a.release("2", "")).code0()
		two, second := files(), a.current()
		h.sh("test -e /var/cache/web; ! systemctl -q is-active web.socket")

		a.landfast("rollback").code0().says(first + " is live")
		r := a.answers("1")
		if !slices.Contains(r.Env, "COLOUR=red") || r.Umask != "0027" {
			h.t.Errorf("after the rollback the app has %q, umask %s", r.Env, r.Umask)
		}
		h.same("a rollback brings the files of the release back", one, files())
		if s := h.unit("web.socket", "ActiveState"); s != "active" {
			h.t.Errorf("web.socket is %s", s)
		}
		a.isWell()

		a.landfast("rollback", "web", second).exits(6).says("known to be bad", "--force")
		a.landfast("rollback", "web", first).exits(2).says("current release of web already")
		a.landfast("rollback", "web", "20200101T000000Z-abc").exits(2).says("20200101T000000Z-abc")
		a.landfast("rollback", "web", second, "--force").code0()
		r = a.answers("2")
		if !slices.Contains(r.Env, "COLOUR=blue") || r.Umask != "0077" {
			h.t.Errorf("after going forth again the app has %q, umask %s", r.Env, r.Umask)
		}
		h.same("going forth again brings the files of that release back", two, files())
		a.landfast("rollback", first, "--force").code0()
		a.answers("1")
		a.isWell()
		var verbs []string
		for _, d := range a.deployments() {
			verbs = append(verbs, fmt.Sprintf("%s %s", d.Verb, d.Status))
		}
		if got, want := strings.Join(verbs, ", "), "rollback succeeded, rollback succeeded, rollback succeeded, deploy succeeded, deploy succeeded"; got != want {
			h.t.Errorf("the history is %s, want %s", got, want)
		}
	})
}

func TestOperatingTellsTheTruth(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest()
		a.landfast("status").exits(1).says("no release yet")
		a.landfast("start").exits(2).says("landfast deploy web")
		a.landfast("show", "web", "last").exits(2).says("never deployed")
		a.deploy(a.release("1", "")).code0()
		id := a.current()

		s := a.status(0)
		if !s.OK || s.Release != id || s.Source != "/root/web/1" || len(s.Drift) != 0 || !strings.Contains(s.Health, "200 OK") {
			h.t.Errorf("status: %+v", s)
		}
		if len(s.Units) != 1 || s.Units[0].MainPID == 0 || s.Units[0].Active != "active" {
			h.t.Errorf("units: %+v", s.Units)
		}
		a.landfast("status").code0().says("● web", id, "/root/web/1", "web.service is active (running), pid", "drift       none", "succeeded")
		a.landfast("doctor").code0().says("✓ web", "as its manifest says")
		a.landfast("releases").code0().says("* ", id, "good", "/root/web/1")
		a.landfast("deployments").code0().says(a.deployments()[0].ID, "succeeded", id)
		a.landfast("show", a.deployments()[0].ID).code0().says("deploy of web by root: succeeded", "commit", "health", "done")
		a.landfast("show", "20200101T000000Z-deploy").exits(2)
		a.landfast("show", "nonsense").exits(2)
		a.landfast("logs").code0().says("this is version 1")
		if lines := strings.Count(a.landfast("logs", "-n", "1").code0().out, "\n"); lines != 1 {
			h.t.Errorf("logs -n 1 prints %d lines", lines)
		}
		a.landfast("logs", "--json", "-n", "1").code0().says(`"MESSAGE"`)

		pid := a.answers("1").PID
		a.landfast("restart").code0().says("web.service is active")
		if a.answers("1").PID == pid {
			h.t.Error("restart did not restart the app")
		}
		a.landfast("stop").code0().says("web.service is inactive")
		if _, _, err := a.get("http://localhost:9000/"); err == nil {
			h.t.Error("a stopped app answers")
		}
		if s := a.status(1); s.OK || s.Healthy || !strings.Contains(s.Health, "inactive") || s.Release != id {
			h.t.Errorf("status of a stopped app: %+v", s)
		}
		a.landfast("status").exits(1).says("✗ web", "inactive")
		a.landfast("doctor").exits(1).says("not healthy")
		a.landfast("plan").code0() // who stopped it wants it stopped
		a.landfast("start").code0()
		a.answers("1")
		a.isWell()
		a.landfast("status", "nobody").exits(2).says("nobody", "known are: web")
		a.landfast("stattus").exits(2).says("status")
		a.landfast("deploy", "--frm", "1").exits(2)
	})
}

func TestAnInterruptedDeploymentIsShownAndResumed(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest()
		a.deploy(a.release("1", "")).code0()
		before := a.state()
		a.landfast("resume", "web").code0().says("nothing was interrupted")
		p, out := a.waiting()
		a.manifest()
		if err := p.Kill(); err != nil {
			h.t.Fatal(err)
		}
		a.ended(p, out).exits(128 + 9)
		a.landfast("status", "web").says("running…")
		a.landfast("deployments").code0().says("running…")
		a.landfast("doctor").exits(1).says("is running, or its process has died", "landfast resume web")
		a.landfast("resume", "web").code0().says("was interrupted: undoing it", "is rolled-back")
		h.same("a resumed deployment was not undone", before, a.state())
		a.answers("1")
		a.isWell()
		a.landfast("show", "last").code0().says("the process that ran it died")
		a.landfast("doctor").code0()
		a.landfast("resume", "web").code0().says("nothing was interrupted")
	})
}

func TestAStuckDeploymentIsHeldForAPerson(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest()
		a.deploy(a.release("0", "")).code0()
		a.deploy(a.release("1", "")).code0()
		before := a.state()
		p, out := a.waiting()
		a.manifest()
		h.sh("mount --bind /etc/systemd/system /etc/systemd/system; mount -o remount,ro,bind /etc/systemd/system")
		if err := p.Signal(syscall.SIGINT); err != nil {
			h.t.Fatal(err)
		}
		a.ended(p, out).exits(5).says("stuck", "install", "read-only file system", "landfast resume web")
		if s := a.status(5); s.OK || s.Held == "" || !strings.Contains(s.Held, "landfast resume web") || s.Deployment.Status != landfast.StatusStuck {
			h.t.Errorf("status of a stuck app: %+v", s)
		}
		a.landfast("status", "web").exits(5).says("✗ web", "HELD", "stuck")
		a.landfast("doctor").exits(1).says("stuck", "landfast resume web")
		a.landfast("deployments").code0().says("stuck")
		a.landfast("show", "last").code0().says("stuck", "read-only file system")
		for _, verb := range [][]string{{"deploy", "--from", "1"}, {"rollback"}, {"resume", "web"}} {
			a.landfast(verb...).exits(5).says("web", "stuck", "landfast resume web")
		}
		h.sh("umount /etc/systemd/system")
		a.landfast("deploy", "--from", "1").exits(5)
		a.landfast("resume", "web").code0().says("is rolled-back")
		h.same("what was stuck was not undone in the end", before, a.state())
		a.answers("1")
		a.isWell()
		a.landfast("doctor").code0()
		a.deploy(a.release("3", "")).code0()
		a.answers("3")
	})
}
