package suite_test

import (
	"strings"
	"testing"
)

// TestALinkOfTheAppLeadsNowhere: who may write a directory may put a link in the
// place of one below it. Root follows none of these.
func TestALinkOfTheAppLeadsNowhere(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest("[dirs]\ncache = { base = \"/srv/web/shared\", name = \"a/trap\" }")
		a.deploy(a.release("1", "")).code0()
		a.sh("mkdir -p /etc/trap && echo system >/etc/trap/file && chmod 755 /etc/trap")
		before := a.sh("stat -c '%U %a' /etc/trap; cat /etc/trap/file")
		for _, target := range []string{"../../../etc", "/etc"} {
			a.sh("cd /srv/web/shared && rm -rf a && ln -s " + target + " a && chown -h web:web a")
			for _, verb := range [][]string{{"plan", "web"}, {"apply", "web"}, {"deploy", "--from", a.release("2", "")}, {"uninstall", "web", "--purge"}} {
				r := a.landfast(verb...)
				if r.code != 6 {
					t.Errorf("%s with a link to %s: exit code %d\n%s", strings.Join(verb, " "), target, r.code, r.all)
				}
				r.says("symbolic link", "/srv/web/shared/a")
			}
		}
		if after := a.sh("stat -c '%U %a' /etc/trap; cat /etc/trap/file"); after != before {
			t.Errorf("/etc/trap was\n%s\nand is\n%s", before, after)
		}
		a.sh("rm /srv/web/shared/a")
		a.landfast("apply", "web").code0()
		a.isWell()
	})
}

// TestAnAppKeepsToItself: neither the system's directories and names nor those of
// another app can be had.
func TestAnAppKeepsToItself(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("aa", 8081).manifest("[dirs]\nstate = true")
		a.deploy(a.release("1", "")).code0()
		for _, section := range []string{
			"[dirs]\nstate = \"landfast\"", "[dirs]\nstate = \"landfast/aa\"", "[dirs]\nruntime = \"systemd\"",
			"[dirs]\nstate = { base = \"/\", name = \"home\" }", "[dirs]\nconfiguration = \"ssh\"", "[paths]\nshared = \"/usr/share/doc\"",
			"[paths]\nshared = \"/home/ann\"", "[paths]\ndeploy = \"/etc/systemd\"", "[paths]\nshared = \"/var/lib/dpkg\"",
			"[systemd.Install]\nAlias = \"dbus.service\"", "[systemd.Install]\nWantedBy = \"../../../x\"",
		} {
			b := h.app("bb", 8082).manifest(section)
			b.landfast("check").exits(2)
			b.landfast("plan").exits(2)
		}
		for _, section := range []string{"[paths]\ndeploy = \"/srv/aa\"", "[dirs]\nstate = \"aa\"", "[paths]\nshared = \"/srv/aa/shared/bb\"", "[paths]\nbase = \"/srv/aa\""} {
			b := h.app("bb", 8082).manifest(section)
			b.landfast("plan").exits(6).says("app aa")
			b.deploy(b.release("1", "")).exits(6)
		}
		a.isWell()
	})
}
