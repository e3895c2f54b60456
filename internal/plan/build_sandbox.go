package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// sandbox adds the lines of the app's profile, less what this service cannot
// live with, and the holes that let it at its own directories.
func (b *builder) sandbox(f *unit.File, s *landfast.Service) {
	lines, err := unit.Profile(b.app.Sandbox.Profile)
	if err != nil {
		b.fail("sandbox.profile", err)
		return
	}
	if lines, err = unit.Allow(lines, b.app.Sandbox.Allow...); err != nil {
		b.fail("sandbox.allow", err)
		return
	}
	var known []unit.Line
	var missing []string
	for _, l := range lines {
		now, ok := l.For(b.version)
		switch {
		case !ok:
			missing = append(missing, fmt.Sprintf("%s=%s (%d)", l.Directive, l.Value, l.Since))
			continue
		case now.Value != l.Value:
			b.notef("systemd %d does not know %s=%s (since %d): %s stands in", b.version, l.Directive, l.Value, l.Since, now.Value)
		}
		if now, ok = b.relax(now, s); ok {
			known = append(known, now)
		}
	}
	if len(missing) > 0 {
		b.notef("systemd %d lacks part of the sandbox, left out with the version that brought it: %s", b.version, strings.Join(missing, ", "))
	}
	sec := f.Section("Service")
	b.holes(f, s, known)
	for _, l := range known {
		sec.Add(l.Directive, l.Value)
	}
	if b.app.Sandbox.Profile == "strict" {
		for _, c := range s.BeforeStart {
			if strings.Contains(c.Prefix, "!") {
				b.notef("commands with the prefix ! run as root inside the sandbox, which leaves them no capability; + runs them outside of it")
			}
		}
	}
}

// relax takes from a line what this service cannot live with.
func (b *builder) relax(l unit.Line, s *landfast.Service) (unit.Line, bool) {
	ambient := b.passedValue(s, "AmbientCapabilities")
	switch l.Directive {
	case "PrivateUsers":
		if ambient != "" {
			b.notef("PrivateUsers= is left out: in a user namespace AmbientCapabilities=%s would not count for the host's network", ambient)
			return l, false
		}
		if b.usesProc(s, s.Stop) || b.usesProc(s, s.Reload) {
			b.notef("PrivateUsers= is left out: stop and reload commands could not see which release the running process belongs to")
			return l, false
		}
	case "CapabilityBoundingSet":
		if ambient != "" {
			b.notef("CapabilityBoundingSet= has what AmbientCapabilities= gives: %s", ambient)
			l.Value = ambient
		}
	case "PrivateTmp":
		if b.hasDir(landfast.TmpDir) && !b.has(233) {
			b.notef("PrivateTmp= is left out: systemd %d has no BindPaths= (since 233) to let the app's own directory through", b.version)
			return l, false
		}
	case "ProtectHome":
		if b.usesHome() {
			b.notef("ProtectHome= is read-only: the app lies in somebody's home")
			l.Value = "read-only"
		}
	}
	return l, true
}

// holes lets the app write its own directories, and see its own in /var/tmp.
func (b *builder) holes(f *unit.File, s *landfast.Service, lines []unit.Line) {
	value := func(name string) string { return b.effective(s, lines, name) }
	bind, write := b.reached(slices.Contains([]string{"yes", "true", "on", "1"}, value("PrivateTmp")))
	if len(write) > 0 && (b.app.DynamicUser || value("ProtectSystem") == "strict" || value("ProtectHome") == "read-only") {
		b.add(f, "Service", "ReadWritePaths", b.ok("paths.shared")(unit.PathList("", write...)))
	}
	if len(bind) > 0 {
		b.add(f, "Service", "BindPaths", b.ok("dirs.tmp")(unit.PathList("", bind...)))
	}
}

// effective is the value of a directive as it will be: passed through, or else of
// the profile.
func (b *builder) effective(s *landfast.Service, lines []unit.Line, name string) string {
	if v := b.passedValue(s, name); v != "" {
		return v
	}
	for _, l := range lines {
		if l.Directive == name {
			return l.Value
		}
	}
	return ""
}

// reached are the directories of the app that have to be bound into its view of the
// machine, and those that have to be writable in it.
func (b *builder) reached(privateTmp bool) (bind, write []string) {
	for _, d := range b.app.Dirs {
		switch {
		case d.Kind == landfast.TmpDir && privateTmp && (below(d.Path, "/var/tmp") || below(d.Path, "/tmp")):
			bind = append(bind, d.Path)
		case d.Kind != landfast.ConfigurationDir && !b.bySystemd(d):
			write = append(write, d.Path)
		}
	}
	if !b.app.DynamicUser {
		write = append([]string{b.app.Paths.Shared}, write...)
	}
	if b.app.Chroot != nil { // what is not bound is not there
		return append(write, bind...), nil
	}
	return bind, write
}

func (b *builder) hasDir(k landfast.DirKind) bool {
	return slices.ContainsFunc(b.app.Dirs, func(d landfast.Dir) bool { return d.Kind == k })
}

// usesProc reports whether a command is run from the release of the running
// process.
func (b *builder) usesProc(s *landfast.Service, c *landfast.Command) bool {
	if c == nil {
		return false
	}
	_, ok := b.fromWorking(s, *c)
	return ok
}

// usesHome reports whether a path of the app is hidden by ProtectHome=.
func (b *builder) usesHome() bool {
	paths := []string{b.app.Paths.Deploy, b.app.Paths.Current, b.app.Paths.Releases, b.app.Paths.Shared, b.app.Paths.Working}
	for _, d := range b.app.Dirs {
		paths = append(paths, d.Path)
	}
	return slices.ContainsFunc(paths, func(p string) bool {
		return below(p, "/home") || below(p, "/root") || below(p, "/run/user")
	})
}
