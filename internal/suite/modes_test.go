package suite_test

import "testing"

// TestDirectoriesHaveTheirModes: special bits too, before and after a start, and a
// mode that somebody changed is drift.
func TestDirectoriesHaveTheirModes(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest("[dirs]\nstate = { mode = \"2750\" }\nconfiguration = { mode = \"0755\" }\ncache = { mode = \"1770\" }\nlogs = true\nruntime = { mode = \"2755\" }")
		a.deploy(a.release("1", "")).code0()
		want := "/var/lib/web 2750 web:web\n/etc/web 755 root:web\n/var/cache/web 1770 web:web\n/var/log/web 750 web:web\n/run/web 2755 web:web"
		stat := "stat -c '%n %a %U:%G' /var/lib/web /etc/web /var/cache/web /var/log/web /run/web"
		if got := a.sh(stat); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		a.isWell()
		a.landfast("restart", "web").code0()
		if got := a.sh(stat); got != want {
			t.Errorf("after a restart, got\n%s\nwant\n%s", got, want)
		}
		a.isWell()
		a.sh("chmod g-s /var/lib/web")
		a.landfast("plan", "web").exits(3).says("/var/lib/web", "0750", "2750")
		a.landfast("apply", "web").code0()
		if got := a.sh(stat); got != want {
			t.Errorf("after an apply, got\n%s\nwant\n%s", got, want)
		}
	})
}
