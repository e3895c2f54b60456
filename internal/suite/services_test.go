package suite_test

import (
	"strings"
	"testing"
)

// TestAnAppOfSeveralUnits deploys and operates a main service, two instances of a
// worker and a timer as one app.
func TestAnAppOfSeveralUnits(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080)
		sections := []string{
			"[services.worker]\ncommand = [\"sleep\", \"1001\"]\ninstances = [\"a\", \"b\"]\n[services.worker.env]\nQUEUE = \"${instance}\"",
			"[timers.report]\ncommand = [\"/bin/echo\", \"a report\"]\ncalendar = \"yearly\"",
		}
		a.manifest(sections...)
		a.deploy(a.release("1", "")).code0()
		units := []string{"web.service", "web-worker@a.service", "web-worker@b.service", "web-report.timer"}
		all := func(want string) {
			t.Helper()
			for _, u := range units {
				if got := a.unit(u, "ActiveState"); got != want {
					t.Errorf("%s is %s, want %s", u, got, want)
				}
			}
		}
		all("active")
		if env := a.unit("web-worker@b.service", "Environment"); !strings.Contains(env, "QUEUE=b") {
			t.Errorf("the environment of instance b is %s", env)
		}
		a.isWell()
		before := a.unit("web-worker@a.service", "InvocationID")
		a.landfast("restart", "web").code0().says("web-worker@a.service is active")
		if a.unit("web-worker@a.service", "InvocationID") == before {
			t.Error("the worker was not restarted")
		}
		all("active")
		a.landfast("stop", "web").code0()
		all("inactive")
		a.landfast("start", "web").code0()
		all("active")
		if got := a.unit("web-report.service", "ActiveState"); got != "inactive" {
			t.Errorf("the report is %s, before its time", got)
		}
		a.sh("systemctl start web-report.service")
		a.landfast("logs", "web").code0().says("a report", "this is version 1")

		// A release that fails takes all of them back, and a unit that was dropped comes
		// back with the rest.
		a.manifest(strings.Replace(sections[0], `"a", "b"`, `"a", "c"`, 1))
		a.deploy(a.release("2", "exit")).exits(4)
		all("active")
		a.answers("1")
		if a.sh("systemctl is-active web-worker@c.service || true") == "active" {
			t.Error("the new instance was left behind")
		}
		a.isWell()
		a.deploy(a.release("3", "")).code0()
		if got := a.sh("systemctl is-active web-worker@a.service web-worker@b.service web-worker@c.service web-report.timer || true"); got != "active\ninactive\nactive\ninactive" {
			t.Errorf("a, b, c and the timer are %q", got)
		}
		a.isWell()
	})
}
