package suite_test

import (
	"testing"

	"github.com/landfast/landfast/internal/source/hostile"
)

func TestHostileArchivesAreRefusedAndNothingHappens(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest("[releases]\nmax_size = 8388608\nmax_files = 1000")
		a.deploy(a.release("1", "")).code0()
		pid := a.answers("1").PID
		places := []string{"/srv/web/releases", "/srv/web", "/srv", "/tmp", "/root", "/var/lib/landfast/web/work", "/"}
		for _, dir := range places {
			h.write(dir+"/"+hostile.Canary, "alive")
		}
		canaries := func() string {
			var all []string
			for _, dir := range places {
				all = append(all, dir+"/"+hostile.Canary)
			}
			return h.exactTree(all...)
		}
		h.sh("rm /var/lib/landfast/web/work/" + hostile.Canary) // swept before each download
		around := func() string { return canaries() + without(h.tree("/etc/passwd", "/tmp"), "/tmp/systemd-private-") }
		before, outside := a.state(), around()
		refused, allowed := 0, 0
		for _, c := range hostile.Cases() {
			if err := h.WriteFile("/root/web/"+c.Name, c.Archive, 0o644); err != nil {
				h.t.Fatal(err)
			}
			// Some of the allowed ones are the same files, and known to be bad by then.
			r := a.deploy(c.Name, "--force")
			if c.Allowed {
				// It is a release like any other, and no app: that shows when it starts.
				allowed++
				r.exits(4).says("release.json")
			} else {
				refused++
				if r.code != 1 && r.code != 2 {
					h.t.Errorf("%s: exit code %d\n%s", c.Name, r.code, r.all)
				}
				r.says(c.Entry, "nothing live was touched").silentOn("goroutine", "panic")
			}
			h.sh("rm /root/web/" + c.Name)
			h.same(c.Name+" changed the app", before, a.state())
			h.same(c.Name+" got out", outside, around())
			if h.t.Failed() {
				return
			}
		}
		if now := a.answers("1").PID; now == pid && allowed > 0 {
			h.t.Errorf("%d archives were allowed, and the app was never restarted", allowed)
		}
		a.isWell()
		h.t.Logf("%d archives refused, %d allowed", refused, allowed)
	})
}
