package plan

import (
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// checkSystemDirs refuses directories of the system: those of an app get its owner
// and mode, systemd hands some of them over with all that is in them, and a purge
// removes them.
func (b *builder) checkSystemDirs() {
	p := b.app.Paths
	for _, d := range []struct{ key, path string }{
		{"paths.deploy", p.Deploy},
		{"paths.releases", p.Releases},
		{"paths.bin", p.Bin},
		{"paths.flags", p.Flags},
		{"paths.shared", p.Shared},
	} {
		b.checkSystemDir(d.key, d.path)
	}
	for _, d := range b.app.Dirs {
		b.checkSystemDir("dirs."+string(d.Kind), d.Path)
	}
	if b.app.Chroot != nil && b.app.Chroot.Root != p.Current && b.app.Chroot.Root != "/" {
		b.checkSystemDir("chroot.root", b.app.Chroot.Root)
	}
}

func (b *builder) checkSystemDir(key, dir string) {
	if unit.CheckPath(dir) == nil && ofSystem(dir) {
		b.failf(key, "%q is a directory of the system: choose one of the app's own, such as /srv/%s", dir, b.app.Name)
	}
}

// ofSystem reports whether a directory is one that every system has, or lies in a
// part of it that belongs to the system alone.
func ofSystem(dir string) bool {
	common := strings.Fields(`/bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /proc /root /run /sbin
		/srv /sys /tmp /usr /usr/local /var /var/cache /var/lib /var/log /var/spool /var/tmp`)
	within := func(top string) bool { return dir == top || below(dir, top) }
	if slices.ContainsFunc(common, func(c string) bool { return dir == "/" || c == dir || below(c, dir) }) {
		return true
	}
	alone := strings.Fields(`/bin /boot /dev /lib /lib32 /lib64 /libx32 /proc /root /sbin /sys
		/etc/alternatives /etc/apparmor.d /etc/apt /etc/cron.d /etc/cron.daily /etc/cron.hourly /etc/cron.monthly /etc/cron.weekly
		/etc/dbus-1 /etc/default /etc/dpkg /etc/init.d /etc/landfast /etc/ld.so.conf.d /etc/logrotate.d /etc/modprobe.d
		/etc/network /etc/pam.d /etc/polkit-1 /etc/profile.d /etc/security /etc/selinux /etc/skel /etc/ssh /etc/ssl
		/etc/sudoers.d /etc/sysctl.d /etc/systemd /etc/sysusers.d /etc/tmpfiles.d /etc/udev /etc/xdg
		/run/dbus /run/landfast /run/lock /run/systemd /run/udev /run/user
		/var/cache/apt /var/cache/private /var/lib/apt /var/lib/dbus /var/lib/dpkg /var/lib/landfast /var/lib/pam
		/var/lib/private /var/lib/systemd /var/lib/sudo /var/log/journal /var/log/private /var/spool/cron`)
	if slices.ContainsFunc(alone, within) {
		return true
	}
	local, inLocal := strings.CutPrefix(dir, "/usr/local/")
	first, _, _ := strings.Cut(local, "/")
	switch {
	case within("/usr") && !inLocal:
		return true
	case inLocal:
		return slices.Contains(strings.Fields("bin etc games include lib lib64 libexec man sbin share src"), first)
	}
	return path.Dir(dir) == "/home" // somebody's home
}

// claimed gives the other app that has a directory in, above or at dir.
func claimed(o Observed, dir string) string {
	if SharedDir(dir) {
		return ""
	}
	var apps []string
	for other, app := range o.Others {
		if other == dir || below(other, dir) || below(dir, other) {
			apps = append(apps, app)
		}
	}
	if len(apps) == 0 {
		return ""
	}
	return slices.Min(apps)
}

// SharedDir reports whether a directory of a plan is every app's.
func SharedDir(dir string) bool { return slices.Contains(SharedDirs(), dir) }
