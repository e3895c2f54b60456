package plan

import (
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// chroot gives a service its root directory. What it needs of the host is bound
// into it, read-only: programs are the host's own, so that its updates reach
// them, and the release is the one that is current when the service starts. Even
// root inside cannot write either.
//
// Where the root directory is the release itself, the release is bound over an
// empty one, as systemd refuses a link for a root directory; what the manifest
// names is bound into it, and paths below it are those inside.
func (b *builder) chroot(f *unit.File, s *landfast.Service) {
	c := b.app.Chroot
	if c == nil {
		return
	}
	sec := f.Section("Service")
	sec.Add("RootDirectory", b.ok("chroot.root")(unit.Path(b.rootDir())))
	sec.Add("MountAPIVFS", "yes")
	if b.ownRoot() {
		sec.Add("BindReadOnlyPaths", b.ok("chroot.root")(unit.PathList("", c.Root))+":/")
	}
	readOnly := c.ReadOnly
	if !b.ownRoot() {
		readOnly = append(readOnly[:len(readOnly):len(readOnly)], b.app.Paths.Current)
	}
	for _, d := range b.app.Dirs {
		if d.Kind == landfast.ConfigurationDir && !b.bySystemd(d) {
			readOnly = append(readOnly, d.Path)
		}
	}
	b.pathLists(sec, "BindReadOnlyPaths", "chroot.read_only", "", readOnly)
	b.pathLists(sec, "BindPaths", "chroot.read_write", "", c.ReadWrite)
	// For syslog(3) and the journal's own protocol, and for the end of a start.
	sec.Add("BindReadOnlyPaths", "-/run/systemd/journal")
	if s.Type == "notify" {
		sec.Add("BindReadOnlyPaths", "/run/systemd/notify")
	}
	b.pathLists(sec, "InaccessiblePaths", "chroot.inaccessible", "+", c.Inaccessible)
}

// pathLists adds paths one to a line, so that a difference shows one. A path may
// begin with "-": it may be absent.
func (b *builder) pathLists(sec *unit.Section, name, key, prefix string, paths []string) {
	for _, p := range paths {
		before := prefix
		if rest, ok := strings.CutPrefix(p, "-"); ok {
			p, before = rest, "-"+prefix
		}
		sec.Add(name, b.ok(key)(unit.PathList(before, p)))
	}
}

// ownRoot reports whether the root directory lies in the release.
func (b *builder) ownRoot() bool {
	c := b.app.Chroot
	return c != nil && (c.Root == b.app.Paths.Current || below(c.Root, b.app.Paths.Current))
}

// rootDir is the directory of the host that is / at first.
func (b *builder) rootDir() string {
	if b.ownRoot() {
		return b.app.Paths.Deploy + "/root"
	}
	return b.app.Chroot.Root
}

// inside is a path as the process names it: one below its root directory begins
// there.
func (b *builder) inside(p string) string {
	if b.app.Chroot == nil {
		return p
	}
	switch root := b.app.Chroot.Root; {
	case p == root:
		return "/"
	case strings.HasPrefix(p, root+"/"):
		return strings.TrimPrefix(p, root)
	}
	return p
}

func (b *builder) allInside(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = b.inside(w)
	}
	return out
}

// checkChroot refuses what cannot be.
func (b *builder) checkChroot() {
	c := b.app.Chroot
	if c == nil {
		return
	}
	if !b.has(233) {
		b.failf("chroot", "systemd %d has no BindReadOnlyPaths= (since 233) to show programs of the host inside", b.version)
	}
	for _, list := range []struct {
		key   string
		paths []string
	}{{"root", []string{c.Root}}, {"read_only", c.ReadOnly}, {"read_write", c.ReadWrite}, {"inaccessible", c.Inaccessible}} {
		for _, p := range list.paths {
			if err := unit.CheckPath(strings.TrimPrefix(p, "-")); err != nil {
				b.failf("chroot."+list.key, "%q: %w", p, err)
			}
		}
	}
	switch {
	case c.Root == "/":
		b.failf("chroot.root", "/ is the host's own root")
	case below(c.Root, b.app.Paths.Releases) && !b.ownRoot():
		b.failf("chroot.root", "%s lies among the releases, which come and go", c.Root)
	case b.ownRoot() && !b.has(252):
		b.failf("chroot.root", "systemd %d makes the directories that it mounts at closed to the app (known to work since 252): use a directory that is not the release", b.version)
	case b.ownRoot():
		b.notef("systemd makes the directories that it mounts at, such as proc and usr, in the release where they are missing")
	}
	for i := range b.app.Services {
		for _, cmd := range b.app.Services[i].BeforeStart {
			if strings.Contains(cmd.Prefix, "+") {
				b.failf(b.key(&b.app.Services[i], "before_start"), "systemd runs commands with the prefix + in the bare root directory, without what is bound into it: use !")
			}
		}
	}
}

// chrootDir adds the root directory, and in it the directories above all that is
// mounted there: systemd 247 makes them with the umask of the service, which may
// keep that from going through.
func (b *builder) chrootDir() {
	c := b.app.Chroot
	if c == nil {
		return
	}
	root := b.rootDir()
	b.dir(root, 0o755, "root", "root", true)
	if b.ownRoot() {
		return
	}
	inside := slices.Concat(c.ReadOnly, c.ReadWrite, []string{b.app.Paths.Current, b.app.Paths.Shared, "/var/tmp", "/run/systemd/journal"})
	for _, d := range b.app.Dirs {
		inside = append(inside, d.Path)
	}
	for _, p := range inside {
		above := path.Dir(strings.TrimPrefix(p, "-"))
		for i, r := range above + "/" {
			if r == '/' && i > 0 && above != "/" {
				b.dir(root+above[:i], 0o755, "root", "root", true)
			}
		}
	}
}
