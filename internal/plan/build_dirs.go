package plan

import (
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// dirs adds the directories, parents first. A directory that two keys name is
// there once, as the first wants it.
func (b *builder) dirs() {
	a, p := b.app, b.app.Paths
	state := path.Join(deployHome, a.Name)
	b.dir("/etc/landfast", 0o755, "root", "root", false)
	b.dir("/etc/landfast/apps", 0o755, "root", "root", false)
	b.dir(deployHome, 0o755, "root", "root", false)
	b.dir(state, 0o750, "root", "root", true)
	b.dir(path.Join(state, "deployments"), 0o750, "root", "root", true)
	b.dir(path.Join(state, "releases"), 0o750, "root", "root", true)
	b.dir(p.Deploy, 0o750, a.DeployUser, a.Group, true)
	b.dir(p.Releases, 0o750, a.DeployUser, a.Group, true)
	b.dir(p.Bin, 0o750, a.DeployUser, a.Group, false)
	b.dir(p.Flags, 0o750, a.DeployUser, a.Group, false)
	if a.DynamicUser {
		// Nothing may belong to an account that the next start may not have.
		b.dir(p.Shared, 0o750, a.DeployUser, a.Group, true)
	} else {
		b.dir(p.Shared, 0o750, a.User, a.Group, true)
	}
	b.chrootDir()
	for _, d := range a.Dirs {
		if b.bySystemd(d) && (d.Kind == landfast.RuntimeDir || a.DynamicUser && d.Kind != landfast.ConfigurationDir) {
			continue // it comes and goes with the service, or its owner does
		}
		b.dir(d.Path, mode(d.Mode), dirOwner(a, d), a.Group, true)
	}
}

func (b *builder) dir(path string, mode fs.FileMode, owner, group string, data bool) {
	for _, d := range b.plan.Dirs {
		if d.Path == path {
			return
		}
	}
	b.plan.Dirs = append(b.plan.Dirs, Dir{Path: path, Mode: mode, Owner: owner, Group: group, Data: data})
}

// dirOwner is who may write a directory of the app. The app reads its
// configuration and does not change it; systemd leaves ConfigurationDirectory=
// with root and root's group if it makes it, so that the plan does.
func dirOwner(a *landfast.App, d landfast.Dir) string {
	if d.Kind == landfast.ConfigurationDir {
		return "root"
	}
	return a.User
}

// mode is a mode that was checked, as bits.
func mode(octal string) fs.FileMode {
	bits, _ := strconv.ParseUint(octal, 8, 16)
	m := fs.FileMode(bits & 0o777)
	for _, special := range []struct {
		bit  uint64
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if bits&special.bit != 0 {
			m |= special.mode
		}
	}
	return m
}

// directoryName is the directive with which systemd keeps a kind of directory,
// "" when it keeps none.
func directoryName(k landfast.DirKind) string {
	switch k {
	case landfast.RuntimeDir:
		return "RuntimeDirectory"
	case landfast.ConfigurationDir:
		return "ConfigurationDirectory"
	case landfast.LogsDir:
		return "LogsDirectory"
	case landfast.StateDir:
		return "StateDirectory"
	case landfast.CacheDir:
		return "CacheDirectory"
	}
	return ""
}

// systemdBase is the only base systemd has for a kind of directory.
func systemdBase(k landfast.DirKind) string {
	switch k {
	case landfast.RuntimeDir:
		return "/run"
	case landfast.ConfigurationDir:
		return "/etc"
	case landfast.LogsDir:
		return "/var/log"
	case landfast.StateDir:
		return "/var/lib"
	case landfast.CacheDir:
		return "/var/cache"
	}
	return ""
}

// bySystemd reports whether systemd makes a directory when the service starts.
func (b *builder) bySystemd(d landfast.Dir) bool {
	name := directoryName(d.Kind)
	directive, known := unit.Lookup("Service", name)
	switch {
	case !known || !directive.Known(b.version):
		return false
	case strings.Contains(d.Name, "/") && !b.has(235): // until then, one name only
		return false
	}
	return d.Base == systemdBase(d.Kind) && path.Join(d.Base, d.Name) == d.Path
}

// tmpfiles adds the tmpfiles.d file with the directories that systemd would
// not make for the service, or not with that owner. It has none below the
// deploy directory: tmpfiles refuses a path that leads from one user's
// directory into another's.
func (b *builder) tmpfiles() {
	for _, d := range b.app.Dirs {
		if d.Kind != landfast.ConfigurationDir && b.bySystemd(d) {
			continue
		}
		key := "dirs." + string(d.Kind)
		b.tmpfile(b.ok(key)(unit.TmpfilesDir(d.Path, d.Mode, dirOwner(b.app, d), b.app.Group)))
		if name := directoryName(d.Kind); name != "" && d.Base == systemdBase(d.Kind) && !b.bySystemd(d) {
			b.notef("systemd %d does not know %s= as it is needed: tmpfiles.d makes %s", b.version, name, d.Path)
		}
	}
}

// tmpfile adds lines to the tmpfiles.d file.
func (b *builder) tmpfile(lines ...string) { b.tmp = append(b.tmp, lines...) }

// tmpfilesFile adds the file itself, when all that goes into it is known.
func (b *builder) tmpfilesFile() {
	if len(b.tmp) > 0 {
		b.file("/etc/tmpfiles.d/landfast-"+b.app.Name+".conf", Mark(b.app.Name)+strings.Join(b.tmp, "\n")+"\n")
	}
}
