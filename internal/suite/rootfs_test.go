package suite_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// packSystem packs a small root file system of the machine's own programs. Its id
// is setuid, as id of root or of a user shows; plain is the same program and is
// not.
const packSystem = `
r=$(mktemp -d); cd "$r"; chmod 755 .
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 etc proc sys dev run tmp root var home
chmod 1777 tmp; echo "$1" >etc/version; echo ID=small >etc/os-release; : >etc/passwd
ln -s /usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64; ln -s /usr/bin/sh usr/bin/start
for p in sh cat id touch sleep setpriv; do
	cp -L "$(command -v $p)" usr/bin/
	for l in $(ldd "$(command -v $p)" | grep -o '/lib[^ ]*'); do mkdir -p ".$(dirname $l)"; cp -L "$l" ".$l"; done
done
cp usr/bin/id usr/bin/plain; chmod 4755 usr/bin/id; ln usr/bin/id usr/bin/id2
echo secret >etc/shadow; chown 1000:1000 etc/shadow; chmod 600 etc/shadow
cat >etc/run <<'END'
user="setpriv --reuid 1000 --regid 1000 --clear-groups"
read inside outside count </proc/self/uid_map
echo "version $(cat /etc/version) map $inside $outside $count root $(plain -u) user $($user plain -u) setuid $($user id2 -u)"
echo "shadow $($user cat /etc/shadow) other $(setpriv --reuid 1001 --clear-groups cat /etc/shadow || echo refused)"
echo "secret $($user cat $CREDENTIALS_DIRECTORY/DB || cat $CREDENTIALS_DIRECTORY/DB)"
echo ready
exec sleep 86399
END
tar --numeric-owner -czf "$2" .; rm -rf "$r"`

// TestARootFileSystemIsDeployed takes systemd-nspawn of this host, which the
// images do not have, and so only runs where that fits.
func TestARootFileSystemIsDeployed(t *testing.T) {
	labtest.Require(t)
	out, err := exec.Command("/usr/bin/systemd-nspawn", "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "systemd 252 ") {
		t.Skipf("the machine is a Debian 12, whose systemd-nspawn this host does not have: %s, %v", out, err)
	}
	h := &host{t: t, Machine: labtest.Boot(t, lab.Options{
		Suite: "bookworm", Capabilities: []string{"all"}, SystemCalls: []string{"@mount", "@keyring", "@privileged"},
		Binds: []lab.Bind{labtest.Landfast(t), {Host: "/usr/bin/systemd-nspawn", Inside: "/usr/local/lib/systemd-nspawn"}},
	})}
	// The machine has no systemd-machined to tell of it.
	h.write("/usr/bin/systemd-nspawn", "#!/bin/sh\nexec /usr/local/lib/systemd-nspawn --register=no \"$@\"\n")
	h.sh("chmod 755 /usr/bin/systemd-nspawn; useradd mallory; mkdir -p /srv/box/releases; mount -t tmpfs -o mode=755 releases /srv/box/releases")
	a := h.app("box", 0)
	a.write(a.dir+"/landfast.toml", `name = "box"

[service]
kind = "nspawn"
command = "/bin/start /etc/run"
type = "simple"
stop_timeout = "5s"

[machine]
network = "private"

[secrets]
DB = { file = "/etc/landfast/secrets/box/db" }
`)
	h.sh("mkdir -p -m 700 /etc/landfast/secrets/box; (umask 077; echo hunter2 >/etc/landfast/secrets/box/db)")
	for _, version := range []string{"1", "2"} {
		h.sh("set -- " + version + " " + a.dir + "/" + version + ".tar.gz" + packSystem)
	}
	a.deploy("1.tar.gz").code0()
	a.runsInside("1")
	a.isOutOfReach()

	a.deploy("2.tar.gz").code0()
	a.runsInside("2")
	a.landfast("rollback").code0()
	a.runsInside("1")
	if n := len(a.releases()); n != 2 {
		t.Errorf("there are %d releases, want 2", n)
	}

	h.sh("mkdir " + a.dir + "/directory; echo x >" + a.dir + "/directory/x")
	a.deploy("directory").exits(2).says("does not keep owners", "--numeric-owner")
	h.sh("cd " + a.dir + "; mkdir -p e/usr; echo x >e/usr/x; tar -C e -cf empty.tar .")
	a.deploy("empty.tar").exits(2).says("no program /bin/start")
	a.runsInside("1")
}

// runsInside checks what the process in the machine said of itself, and what the
// host sees of it.
func (a *app) runsInside(version string) {
	a.t.Helper()
	var said string
	a.eventually("release "+version+" runs", func() (bool, string) {
		id := a.unit("box.service", "InvocationID")
		said = a.sh("journalctl --sync; journalctl -o cat _SYSTEMD_INVOCATION_ID=" + id)
		return strings.Contains(said, "ready") && strings.Contains(said, "version "+version+" "), said
	})
	at := strings.Index(said, "version ")
	var first, count int
	if _, err := fmt.Sscanf(said[at:], "version "+version+" map 0 %d %d root 0 user 1000 setuid 0", &first, &count); err != nil || first < 1<<16 || count != 1<<16 {
		a.t.Errorf("users are not the machine's own, or setuid is lost: %v\n%s", err, said)
	}
	if !strings.Contains(said, "secret hunter2\n") {
		a.t.Errorf("the secret did not reach the machine:\n%s", said)
	}
	if !strings.Contains(said, "shadow secret other refused") {
		a.t.Errorf("the owners inside are others:\n%s", said)
	}
	if uid := a.sh("stat -c %u /proc/$(pgrep -f '^sleep 86399')"); uid != strconv.Itoa(first) {
		a.t.Errorf("root inside is %s on the host, want %d", uid, first)
	}
}

// isOutOfReach checks that no user of the host gets at what is setuid inside.
func (a *app) isOutOfReach() {
	a.t.Helper()
	file := a.dirOf("usr/bin/id")
	if got := a.sh("stat -c '%a %u:%g %h' " + file); got != "4755 0:0 2" {
		a.t.Errorf("%s is %s", file, got)
	}
	if got := a.sh("stat -L -c '%a %u:%g' /srv/box/current"); got != "700 0:0" {
		a.t.Errorf("the release is %s", got)
	}
	for _, user := range []string{"mallory", "landfast", "box"} {
		a.run("/", "runuser", "-u", user, "--", file, "-u").exits(1).says("Permission denied")
	}
}

// dirOf is where a path of the machine lies on the host.
func (a *app) dirOf(inside string) string { return "/srv/box/current/rootfs/" + inside }
