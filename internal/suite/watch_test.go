package suite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast"
)

// TestWatch: a release that goes bad behind its commit is rolled back by itself, also
// when the machine was started anew in between; a good one is left alone, and nothing
// stays behind.
func TestWatch(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest("[health]\nhttp = \"/healthz\"\ninterval = \"20ms\"\ntimeout = \"5s\"\nwatch = \"60s\"")
		a.release("1", "")
		a.release("2", "sickens")
		a.deploy("1").code0().says("no release to go back to")
		a.deploy("2").code0()
		if s := a.status(0); s.Watched == "" {
			t.Errorf("status does not say that it is watched: %+v", s)
		}
		h.sh("touch /run/sick; chmod 644 /run/sick")
		a.goesBack("503")
		h.sh("rm /run/sick")
		a.isWell()
		// The same in the next life of the machine.
		a.deploy("2", "--force").code0()
		if err := a.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.eventually("version 2 answers again", func() (bool, string) {
			out := a.run("/", "curl", "-s", "http://localhost:8080/").out
			return strings.Contains(out, `"Version":"2"`), out
		})
		h.sh("touch /run/sick; chmod 644 /run/sick")
		a.goesBack("503")
		h.sh("rm /run/sick")
		// One that dies again and again.
		a.deploy("2", "--force").code0()
		h.sh("for i in 1 2 3; do systemctl kill -s KILL web.service; sleep 1.3; done")
		a.goesBack("SIGKILL", "restarted it")
		a.isWell()
		h.eventually("nothing watches", func() (bool, string) {
			out := h.sh("ps -eo args | grep '[l]andfast watch' || true; ls /var/lib/landfast/web/watch.json 2>/dev/null || true")
			return out == "", out
		})
	})
}

// goesBack waits until version 1 is live again, and looks at why.
func (a *app) goesBack(why ...string) {
	a.t.Helper()
	a.eventually("version 1 is back", func() (bool, string) {
		var all []landfast.Deployment
		r := a.landfast("deployments", "web", "--json")
		r.decode(&all)
		return len(all) > 0 && all[0].Actor == "watch" && all[0].Status == landfast.StatusSucceeded, r.all
	})
	a.answers("1")
	d := a.deployments()[0]
	says := func(text string) bool {
		return slices.ContainsFunc(why, func(w string) bool { return strings.Contains(text, w) })
	}
	if d.Verb != landfast.VerbRollback || !says(d.Reason) {
		a.t.Errorf("the rollback: %+v", d)
	}
	for _, r := range a.releases() {
		if r.ID == d.From && (r.State != landfast.ReleaseBad || !says(r.Reason)) {
			a.t.Errorf("the release that went bad: %+v", r)
		}
	}
}

// TestIrreversibleMigrations: no way leads back behind them, until it is forced.
func TestIrreversibleMigrations(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest()
		a.release("1", "")
		a.release("2", "")
		a.release("3", "")
		a.deploy("1").code0()
		a.manifest("[hooks]\nmigrate = \"" + wellKnown + " migrate\"\nirreversible = true")
		a.deploy("2").code0()
		a.manifest()
		a.deploy("3").code0()
		a.landfast("rollback").code0()
		a.answers("2")
		a.landfast("rollback").exits(6).says("ran migrations that cannot be taken back")
		a.answers("2")
		a.landfast("rollback", "--force").code0()
		a.answers("1")
	})
}
