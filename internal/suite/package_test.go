package suite_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// script is a script that a document shows, behind the comment <!-- name -->.
func (h *host) script(document, name string) string {
	h.t.Helper()
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "\n```\n")
	if !ok || !ok2 {
		h.t.Fatalf("%s has no script %s", document, name)
	}
	return script + "\n"
}

// packaged is an app that has something of everything which a package must carry.
func (h *host) packaged() *app {
	h.t.Helper()
	a := h.app("web", 9000).manifest(
		inRelease,
		"[services.worker]\ncommand = \"sleep infinity\"\ninstances = 2",
		"[socket]\nlisten = [\"127.0.0.1:9000\"]",
		"[dirs]\nstate = true\nlogs = true\nconfiguration = true\ntmp = true",
	)
	h.write("/root/build-deb", h.script("how-to/package.md", "build-deb"))
	return a
}

// pack makes a package of a version and gives its name.
func (a *app) pack(version string) string {
	a.t.Helper()
	a.project(version)
	systemd := a.sh("systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p'")
	a.run(a.dir, "sh", "/root/build-deb", a.name, version, version, systemd).code0()
	return a.dir + "/" + a.name + "_" + version + "_" + a.sh("dpkg --print-architecture") + ".deb"
}

func (h *host) dpkg(args ...string) result {
	h.t.Helper()
	return h.run("/", append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "dpkg"}, args...)...)
}

// active checks how a unit is: "active enabled".
func (h *host) active(unit, want string) {
	h.t.Helper()
	if got := h.unit(unit, "ActiveState") + " " + h.unit(unit, "UnitFileState"); got != want {
		h.t.Errorf("%s is %s, want %s", unit, got, want)
	}
}

func TestMIX14APackageOfAStagedAppIsAnAppOfTheMachine(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.packaged()
		one, two := a.pack("1"), a.pack("2")
		left := func() string {
			return h.sh("find / -xdev \\( -path /root -o -path /proc -o -path /sys -o -path /usr -o -path /var/lib/dpkg -o -path /var/log/journal -o -path /tmp \\) -prune -o " +
				"\\( -name 'web*' -o -name '*-web*' -o -name '*landfast*' \\) -print | sort; " +
				"systemctl list-units --all --plain --no-legend 'web*'")
		}
		before := left()
		h.sh("! getent passwd web && ! getent passwd landfast")

		h.dpkg("-i", one).code0()
		a.sealed(a.answers("1"))
		h.same("owners and modes (before: wanted)", `landfast:web 750 /srv/web
landfast:web 777 /srv/web/current
landfast:web 750 /srv/web/releases
web:web 750 /srv/web/shared
root:web 750 /etc/web
web:web 750 /var/lib/web
web:web 750 /var/log/web
web:web 750 /var/tmp/web
root:root 644 /etc/systemd/system/web.service
root:root 755 /`, h.sh("stat -c '%U:%G %a %n' /srv/web /srv/web/current /srv/web/releases /srv/web/shared /etc/web /var/lib/web /var/log/web /var/tmp/web /etc/systemd/system/web.service /"))
		// The package is what apply would have made, so landfast knows the app.
		h.run("/", "landfast", "plan", "web").code0().says("nothing to change")
		if s := a.status(0); !s.Healthy || s.Release != a.current() || len(s.Drift) > 0 {
			h.t.Errorf("the status is %+v", s)
		}
		for _, u := range []string{"web.socket", "web.service", "web-worker@1.service", "web-worker@2.service"} {
			h.active(u, "active enabled")
		}

		h.sh("echo precious >/var/lib/web/data; echo mine >/srv/web/shared/data; systemctl disable --quiet --now web-worker@2.service")
		h.dpkg("-i", two).code0()
		a.sealed(a.answers("2"))
		h.run("/", "landfast", "status", "web").code0()
		if got := h.sh("ls /srv/web/releases | wc -l; cat /var/lib/web/data; stat -c %U /srv/web/shared/data"); got != "1\nprecious\nroot" {
			h.t.Errorf("after the second package: %s", got)
		}
		h.active("web-worker@1.service", "active enabled")
		h.active("web-worker@2.service", "inactive disabled") // by hand, and it stays so

		h.dpkg("-r", "web").code0()
		if got := h.sh("systemctl list-units --all --plain --no-legend 'web*'; find /etc/systemd/system -name 'web*'; ls -d /srv/web/current /etc/landfast 2>/dev/null || true; cat /var/lib/web/data"); got != "precious" {
			h.t.Errorf("after dpkg -r there is:\n%s", got)
		}
		h.dpkg("-P", "web").code0()
		h.same("after dpkg -P", before, left())
	})
}

// A tree that is staged is what a machine boots from.
func TestAStagedReleaseStartsWithTheMachine(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.packaged()
		a.project("1")
		// The machine itself, seen as a tree that is not running: what systemd and
		// the accounts are is found in it.
		h.sh("mkdir /mnt/image; mount --bind / /mnt/image")
		a.deploy("1", "--root", "/mnt/image").code0().says("is current below /mnt/image").silentOn("cutover", "health ")
		a.landfast("plan", "--root", "/mnt/image").code0().says("nothing to change")
		h.active("web.service", "inactive enabled")

		// A release that cannot start for certain is not staged, and the former one stays.
		was := a.current()
		h.sh("mkdir /root/web/empty; touch /root/web/empty/file")
		a.deploy("empty", "--root", "/mnt/image").exits(2).says("the release has no file")
		if now := a.current(); now != was {
			h.t.Errorf("current was %s and is %s", was, now)
		}
		a.landfast("plan", "--systemd", "252").exits(2).says("--root")

		h.sh("umount /mnt/image")
		if err := h.Restart(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		h.eventually("the app answers after the boot", func() (bool, string) {
			status, body, err := h.get(fmt.Sprintf("http://localhost:%d/healthz", a.port))
			return status == 200, fmt.Sprint(body, err)
		})
		a.sealed(a.answers("1"))
		a.landfast("plan").code0().says("nothing to change")
		// The next release comes as any other does, and the staged one is a good one.
		a.project("2")
		a.deploy("2").code0()
		a.answers("2")
		a.landfast("rollback").code0()
		a.answers("1")
	})
}
