package suite_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// packWhole packs the machine's own root file system, with its init and as much as
// that needs, as version $1 into the file $2. A service in it tells how it runs.
const packWhole = `
cd /; r=$(mktemp -d); chmod 755 $r; mkdir $r/var $r/proc $r/sys $r/dev $r/run $r/tmp $r/root; chmod 1777 $r/tmp
echo "$1" >$r/version
cat >$r/inner.service <<'END'
[Service]
Type=oneshot
LoadCredential=DB
ExecStart=/etc/inner
[Install]
WantedBy=multi-user.target
END
cat >$r/inner <<'END'
#!/bin/sh
exec >/var/report.part 2>/dev/null
read inside outside count </proc/self/uid_map
echo "version $(cat /etc/version) map $inside $outside $count init $(cat /proc/1/comm) user $(setpriv --reuid 1000 --clear-groups id -u)"
touch /usr/x || echo "the release cannot be written"
echo "secret $(cat $CREDENTIALS_DIRECTORY/DB)"
tr '\0' '\n' </proc/1/environ | grep GREETING
ls /sys/class/net
mv /var/report.part /var/report
END
chmod 755 $r/inner; ln -s ../inner.service $r/wants
tar --numeric-owner -cf "$2" --transform 's|^\./version|./etc/version|;s|^\./inner$|./etc/inner|;flags=r;s|^\./inner.service|./etc/systemd/system/inner.service|;s|^\./wants|./etc/systemd/system/multi-user.target.wants/inner.service|' \
	--exclude='./usr/lib/python*' --exclude=./usr/lib/git-core --exclude='./usr/lib/*/gconv' --exclude=./usr/share --exclude='./usr/bin/python*' --exclude=./usr/local \
	./usr ./etc ./bin ./sbin ./lib ./lib64 -C $r ./version ./inner ./inner.service ./wants ./var ./proc ./sys ./dev ./run ./tmp ./root
rm -rf $r`

// TestNICE9ARootFileSystemIsBooted runs machines with an init of their own, which
// systemd-machined knows of. Packing and unpacking one takes seconds.
func TestNICE9ARootFileSystemIsBooted(t *testing.T) {
	if !everything() {
		t.Skip("set LANDFAST_SUITE_EVERYTHING=1: it packs a whole system")
	}
	labtest.Require(t)
	h := &host{t: t, Machine: labtest.Boot(t, lab.Options{
		Suite: "bookworm", Packages: []string{"systemd-container"},
		Capabilities: []string{"all"}, SystemCalls: []string{"@mount", "@keyring", "@privileged"},
		Binds: []lab.Bind{labtest.Landfast(t)},
	})}
	h.sh("mkdir -p /srv/box/releases; mount -t tmpfs -o mode=755 releases /srv/box/releases")
	a := h.app("box", 0)
	manifest := `name = "box"

[service]
kind = "nspawn"

[machine]
network = "private"

[env]
GREETING = "hello"

[secrets]
DB = { file = "/etc/landfast/secrets/box/db" }
`
	h.sh("mkdir -p -m 700 /etc/landfast/secrets/box; (umask 077; echo hunter2 >/etc/landfast/secrets/box/db)")
	a.write(a.dir+"/landfast.toml", manifest)
	for _, version := range []string{"1", "2"} {
		h.sh("set -- " + version + " " + a.dir + "/" + version + ".tar" + packWhole)
	}
	a.deploy("1.tar").code0()
	first := a.boots("1", true)
	if got := h.sh("machinectl show box -p Class -p Unit -p State --value | tr '\\n' ' '"); got != "box.service container running" {
		t.Errorf("systemd-machined says of the machine: %s", got)
	}

	// A reboot inside is one of the machine and not of the host.
	h.sh("kill -s RTMIN+5 " + first)
	h.eventually("the machine has booted again", func() (bool, string) {
		leader := h.run("/", "machinectl", "show", "box", "-p", "Leader", "--value").out
		return strings.TrimSpace(leader) != "" && strings.TrimSpace(leader) != first, leader
	})
	a.boots("1", true)

	a.deploy("2.tar").code0()
	a.boots("2", true)
	a.landfast("rollback").code0()
	a.boots("1", true)
	a.isWell()

	// Its init ends what runs inside, and then itself.
	a.landfast("stop").code0()
	if got := h.unit("box.service", "Result") + " " + h.unit("box.service", "ActiveState"); got != "success inactive" {
		t.Errorf("after the stop: %s", got)
	}
	if got := h.sh("machinectl --no-legend list"); got != "" {
		t.Errorf("machines that are left: %s", got)
	}

	// With the users of the host, what is written is in memory.
	a.write(a.dir+"/landfast.toml", strings.Replace(manifest, "[machine]\n", "[machine]\nprivate_users = false\n", 1))
	a.deploy("2.tar").code0()
	a.boots("2", false)

	h.sh("cd " + a.dir + "; mkdir -p e/etc e/sbin; echo ID=x >e/etc/os-release; cp /usr/bin/true e/sbin/init; tar -C e -cf empty.tar .")
	a.write(a.dir+"/landfast.toml", manifest)
	a.deploy("empty.tar").exits(2).says("no directory var")
	a.boots("2", false)
}

// boots checks what a service inside the machine said of itself, and gives the init
// of the machine as the host numbers it.
func (a *app) boots(version string, private bool) string {
	a.t.Helper()
	leader := a.sh("machinectl show box -p Leader --value")
	var said string
	a.eventually("release "+version+" has booted", func() (bool, string) {
		r := a.run("/", "cat", "/proc/"+leader+"/root/var/report")
		said = r.out
		return r.code == 0, r.all
	})
	var first, count int
	if _, err := fmt.Sscanf(said, "version "+version+" map 0 %d %d init systemd user 1000", &first, &count); err != nil {
		a.t.Fatalf("%v\n%s", err, said)
	}
	if private != (first >= 1<<16 && count == 1<<16) {
		a.t.Errorf("the users of the machine begin at %d and are %d; its own: %v", first, count, private)
	}
	if uid := a.sh("stat -c %u /proc/" + leader); uid != strconv.Itoa(first) {
		a.t.Errorf("root inside is %s on the host, want %d", uid, first)
	}
	if private != strings.Contains(said, "cannot be written") {
		a.t.Errorf("a machine whose users are its own, or not: %v\n%s", private, said)
	}
	if got := a.sh("cat /srv/box/current/rootfs/etc/version; ls -A /srv/box/current/rootfs/var; test ! -e /srv/box/current/rootfs/usr/x"); got != version {
		a.t.Errorf("the release has changed: %s", got)
	}
	if !strings.Contains(said, "secret hunter2\n") {
		a.t.Errorf("the secret did not reach a service of the machine:\n%s", said)
	}
	if !strings.Contains(said, "GREETING=hello") || !strings.HasSuffix(said, "\nlo\n") {
		a.t.Errorf("the variable, or a network of its own, is missing:\n%s", said)
	}
	return leader
}
