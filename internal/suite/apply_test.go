package suite_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// whole is an app that uses everything that leaves something on a host.
func (h *host) whole(name string, port int) *app {
	h.t.Helper()
	return h.app(name, port).manifest(
		fmt.Sprintf("[socket]\nlisten = [\"127.0.0.1:%d\", \"/run/%s.sock\"]", port, name),
		"[dirs]\nstate = true\nlogs = true\nruntime = true\ncache = true\nconfiguration = true\ntmp = true",
	)
}

func TestApplyDoesWhatPlanSaysAndNothingTheSecondTime(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		plan := a.landfast("plan").exits(3).says("/etc/systemd/system/web.service", "/etc/systemd/system/web.socket", "+[Service]", "web", "/srv/web").out
		applied := a.landfast("apply").code0().out
		h.same("apply does not print what plan printed", withoutState(plan), withoutState(applied))
		a.landfast("plan").code0().says("nothing to change")

		before := without(h.exactTree(system()...), "/lock ")
		a.landfast("apply").code0().says("nothing to change")
		h.same("a second apply changed something", before, without(h.exactTree(system()...), "/lock "))

		a.deploy(a.release("1", "")).code0()
		a.answers("1")
		a.landfast("plan").code0()
		pid := a.report().PID
		before = without(h.exactTree(system()...), "/lock ")
		a.landfast("apply").code0().says("nothing to change")
		h.same("an apply of what is live changed something", before, without(h.exactTree(system()...), "/lock "))
		if now := a.report().PID; now != pid {
			h.t.Errorf("an apply without changes restarted the app: pid %d, was %d", now, pid)
		}
		a.isWell()
	})
}

// withoutState leaves out the directory that apply has to make for its lock, before
// it looks at what there is to do.
func withoutState(text string) string {
	return without(text, "/var/lib/landfast")
}

// without leaves out the lines that have any of the texts in them.
func without(text string, any ...string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(any, func(s string) bool { return strings.Contains(line, s) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestAForeignFileInTheWayIsNamedAndNothingChanges(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		a.release("1", "")
		foreign := []struct{ name, make string }{
			{"/etc/systemd/system/web.service", "echo '[Service]' >/etc/systemd/system/web.service"},
			{"/etc/systemd/system/web.socket", "ln -s /dev/null /etc/systemd/system/web.socket"},
			{"/etc/sysusers.d/landfast-web.conf", "mkdir -p /etc/sysusers.d/landfast-web.conf"},
			{"/etc/tmpfiles.d/landfast-web.conf", "echo '# Managed by landfast (app webb).' >/etc/tmpfiles.d/landfast-web.conf"},
			{"/etc/landfast/apps/web.toml", "mkdir -p /etc/landfast/apps; echo 'name = \"web\"' >/etc/landfast/apps/web.toml"},
			{"/srv/web", "mkdir -p /srv; echo data >/srv/web"},
		}
		for _, f := range foreign {
			h.sh("mkdir -p /etc/sysusers.d /etc/tmpfiles.d /var/lib/landfast; " + f.make)
			// The lock and its directory stay: they are what keeps two apart.
			h.sh("mkdir -p /var/lib/landfast/web; : >>/var/lib/landfast/web/lock")
			before := h.exactTree("/srv", "/etc")
			a.landfast("plan").exits(6).says(f.name)
			a.landfast("apply").exits(6).says(f.name)
			a.deploy("1").exits(6).says(f.name)
			h.same(f.name+" in the way, and something changed", before, h.exactTree("/srv", "/etc"))
			h.sh("rm -rf /etc/landfast " + f.name)
		}
		a.landfast("apply").code0()
		// Beside ours, and of nobody's concern.
		h.sh("echo x >/etc/systemd/system/other.service; mkdir -p /etc/systemd/system/web.service.d; " +
			"printf '[Service]\\nNice=1\\n' >/etc/systemd/system/web.service.d/own.conf; echo y >/srv/notes; systemctl daemon-reload")
		before := h.exactTree("/etc/systemd/system/other.service", "/etc/systemd/system/web.service.d", "/srv/notes")
		a.deploy("1").code0()
		a.landfast("uninstall", "web").code0()
		h.same("files of others changed", before, h.exactTree("/etc/systemd/system/other.service", "/etc/systemd/system/web.service.d", "/srv/notes"))
	})
}

func TestDriftIsShownAndMended(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		a.deploy(a.release("1", "")).code0()
		a.isWell()
		want := a.state()
		for _, d := range []struct{ name, do, says string }{
			{"a unit file was edited", "sed -i s/^UMask=.*/UMask=0077/ /etc/systemd/system/web.service; systemctl daemon-reload", "/etc/systemd/system/web.service"},
			{"a unit file is gone", "rm /etc/systemd/system/web.socket; systemctl daemon-reload", "/etc/systemd/system/web.socket"},
			{"the mode of a directory", "chmod 0777 /srv/web", "/srv/web"},
			{"the owner of a directory", "chown nobody /srv/web/releases", "/srv/web/releases"},
			{"the mode of a file", "chmod 0600 /etc/tmpfiles.d/landfast-web.conf", "/etc/tmpfiles.d/landfast-web.conf"},
			{"a directory is gone", "rmdir /srv/web/flags", "/srv/web/flags"},
			{"the unit is not enabled", "systemctl disable web.socket web.service", "web.socket"},
			{"another file of ours", "echo '# Managed by landfast (app web). x' >/etc/systemd/system/web-old.service", "web-old.service"},
		} {
			h.in(h.t).sh(d.do)
			a.landfast("plan").exits(3).says(d.says)
			if s := a.status(0); !strings.Contains(strings.Join(s.Drift, "\n"), d.says) {
				h.t.Errorf("%s: the status does not name %s: %q", d.name, d.says, s.Drift)
			}
			a.landfast("doctor").exits(1).says(d.says)
			a.landfast("apply").code0()
			a.landfast("plan").code0()
			h.same(d.name+": apply did not mend it", want, a.state())
			a.answers("1")
			a.isWell()
		}
	})
}

func TestAUnitDroppedFromTheManifestGoes(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		a.deploy(a.release("1", "")).code0()
		if s := h.unit("web.socket", "ActiveState"); s != "active" {
			h.t.Errorf("web.socket is %s", s)
		}
		a.manifest() // without the socket
		a.landfast("apply").code0().says("web.socket")
		for property, want := range map[string]string{"ActiveState": "inactive", "UnitFileState": "", "LoadState": "not-found"} {
			if got := h.unit("web.socket", property); got != want {
				h.t.Errorf("web.socket has %s=%s, want %q", property, got, want)
			}
		}
		if left := h.sh("find /etc/systemd/system /run/web.sock -name 'web.sock*' 2>/dev/null || true"); left != "" {
			h.t.Errorf("left of the socket: %s", left)
		}
		a.answers("1")
		a.isWell()
	})
}

// dataDirs are the empty directories that stay without --purge, because data goes
// into them.
var dataDirs = regexp.MustCompile(`(?m)^(/srv|/etc|/var/lib|/var/log|/var/cache|/var/tmp|/var/lib/landfast)/web(/releases|/shared|/deployments)? d.*\n`)

func TestUninstallLeavesTheMachineAsItWas(t *testing.T) {
	eachHost(t, func(h *host) {
		everywhere := append(system(), "/etc", "/var/lib", "/var/log/web", "/var/cache", "/var/tmp", "/run/systemd", "/opt")
		accounts := func() string { return h.sh("getent passwd landfast web || true; getent group landfast web || true") }
		other := h.app("other", 9100).manifest()
		other.deploy(other.release("1", "")).code0()
		// Who changes accounts keeps the former files, and systemd's own state moves.
		quiet := func() string {
			return without(h.tree(everywhere...), "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock", "/run/systemd/", "/lock ")
		}
		before, was := quiet(), accounts()

		a := h.whole("web", 9000)
		a.landfast("apply").code0()
		a.landfast("uninstall", "web").code0()
		h.same("apply and uninstall", before, dataDirs.ReplaceAllString(quiet(), ""))

		a.deploy(a.release("1", "")).code0()
		h.sh("echo precious >/var/lib/web/data")
		a.landfast("uninstall", "web", "--plan").code0().says("web.service")
		a.answers("1")
		a.landfast("uninstall", "web").code0().says("web.service", "web.socket")
		if got := h.sh("cat /var/lib/web/data; ls /srv/web/releases | wc -l; systemctl list-units --all --plain --no-legend 'web.*'; getent passwd web | cut -d: -f1"); got != "precious\n1\nweb" {
			h.t.Errorf("after an uninstall there is:\n%s", got)
		}
		a.landfast("apply").code0()
		a.landfast("uninstall", "web", "--purge").code0()
		h.same("deploy and uninstall --purge", before, quiet())
		h.same("accounts after --purge", was, accounts())
		other.answers("1")
		other.isWell()

		other.landfast("uninstall", "other", "--purge").code0()
		if got := h.sh("ls -d /etc/landfast /var/lib/landfast /srv/other /run/landfast 2>/dev/null || true; getent passwd other landfast || true"); got != "" {
			h.t.Errorf("after the last app there is still:\n%s", got)
		}
	})
}

func TestAStagedRootGetsTheSameFiles(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		h.sh("mkdir /root/image")
		a.landfast("plan", "--root", "/root/image").exits(3)
		a.landfast("apply", "--root", "/root/image").code0()
		a.landfast("plan", "--root", "/root/image").code0()
		a.landfast("apply").code0()
		// Users are numbers, and those of an empty root are given out anew; what
		// sysusers keeps for itself is no file of ours.
		files := `cd %s; find etc/systemd/system etc/tmpfiles.d etc/sysusers.d etc/landfast -type f -path '*web*' -exec md5sum {} + | sort -k2; ` +
			`find etc/systemd/system -type l -name 'web*' -printf '%%p %%l\n' | sort; find srv -printf '%%p %%M\n' | sort`
		h.same("the staged files (before: staged, after: live)", h.sh(fmt.Sprintf(files, "/root/image")), h.sh(fmt.Sprintf(files, "/")))
		h.same("rendered and staged",
			h.sh("cd /root/web; landfast render --systemd $(systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p') --out /root/rendered >/dev/null; cd /root/rendered; find . -type f | sort | xargs md5sum"),
			h.sh("cd /root/image; find . -type f -path '*web*' ! -name lock | sort | xargs md5sum"))
		a.landfast("uninstall", "web", "--root", "/root/image", "--purge").code0()
		if left := h.sh("find /root/image -name '*web*'"); left != "" {
			h.t.Errorf("left in the staged root:\n%s", left)
		}
	})
}

func TestWithoutRootItSaysSo(t *testing.T) {
	eachHost(t, func(h *host) {
		h.sh("echo 'u ann - \"\" /home/ann /bin/sh' | systemd-sysusers -; mkdir -p /home/ann/web")
		a := h.app("web", 9000)
		a.dir = "/home/ann/web"
		a.manifest()
		a.release("1", "")
		ann := func(args string) result {
			return a.run(a.dir, "sh", "-c", "setpriv --reuid=ann --regid=ann --clear-groups landfast "+args)
		}
		ann("check").code0()
		ann("render").code0().says("[Service]")
		for _, verb := range []string{"apply", "deploy --from 1", "rollback", "resume", "stop", "restart", "prune", "uninstall web"} {
			r := ann(verb)
			if r.code != 1 && r.code != 2 {
				h.t.Errorf("landfast %s as a user: exit code %d\n%s", verb, r.code, r.all)
			}
			r.says("root")
		}
		if left := h.tree("/srv", "/etc/landfast", "/var/lib/landfast"); strings.Contains(left, "web") {
			h.t.Errorf("a user without rights made:\n%s", left)
		}
		a.deploy("1").code0()
		for _, verb := range []string{"status web", "releases web", "show web last", "logs web", "exec web -- id", "plan web"} {
			if r := ann(verb); r.code == 0 {
				h.t.Errorf("landfast %s as a user: exit code 0\n%s", verb, r.all)
			} else {
				r.says("run as root")
			}
		}
	})
}
