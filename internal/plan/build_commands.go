package plan

import (
	"errors"
	"path"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// commands adds what the service runs.
func (b *builder) commands(sec *unit.Section, s *landfast.Service) {
	asRoot := b.permissionsStartOnly(sec, s)
	for _, c := range s.BeforeStart {
		if asRoot {
			c.Prefix = strings.Trim(c.Prefix, "+!")
		}
		sec.Add("ExecStartPre", b.command(b.key(s, "before_start"), c))
	}
	sec.Add("ExecStart", b.command(b.key(s, "command"), s.Command))
	if s.Reload != nil {
		sec.Add("ExecReload", b.running(s, "reload", *s.Reload, ""))
	}
	if s.Stop != nil {
		sec.Add("ExecStop", b.running(s, "stop", *s.Stop, "-"))
	}
}

// permissionsStartOnly replaces the prefixes "+" and "!" on a systemd that does
// not know them, by the directive that did the same for all commands but the
// main one. Where only some of these are to run as root there is no way.
func (b *builder) permissionsStartOnly(sec *unit.Section, s *landfast.Service) bool {
	all, old := true, false
	for _, c := range s.BeforeStart {
		root := strings.ContainsAny(c.Prefix, "+!")
		all = all && root
		old = old || root && !b.knowsPrefix(c.Prefix)
	}
	switch {
	case !b.knowsPrefix(s.Command.Prefix):
		b.failf(b.key(s, "command"), "systemd %d does not know the prefix %s", b.version, s.Command.Prefix)
	case !old:
	case all && s.Stop == nil && s.Reload == nil:
		sec.Add("PermissionsStartOnly", "yes")
		b.notef("systemd %d does not know the prefixes + (since 231) and ! (since 235): PermissionsStartOnly= stands in", b.version)
		return true
	default:
		b.failf(b.key(s, "before_start"), "systemd %d runs all of these, stop and reload as root or none: it does not know the prefixes + (since 231) and ! (since 235)", b.version)
	}
	return false
}

func (b *builder) knowsPrefix(prefix string) bool {
	return (!strings.Contains(prefix, "+") || b.has(231)) && (!strings.Contains(prefix, "!") || b.has(235))
}

// command renders a command for the host's systemd.
func (b *builder) command(key string, c landfast.Command) string {
	b.checkDollar(key, c.Argv)
	if len(c.Argv) > 0 && !strings.HasPrefix(c.Argv[0], "/") && !b.has(239) {
		b.notef("systemd %d runs no program without its path (since 239): /usr/bin/env looks for %s", b.version, c.Argv[0])
		c.Argv = append([]string{"/usr/bin/env"}, c.Argv...)
	}
	if !strings.Contains(c.Prefix, "+") {
		c.Argv = b.allInside(c.Argv)
	}
	return b.marked(key, c.Argv, func(argv []string) (string, error) { return unit.Command(c.Prefix, argv) })
}

// checkDollar refuses what systemd before 227 would lose: it takes "$$" at the
// beginning of a word for the variable "$" (systemd pull request 1487).
func (b *builder) checkDollar(key string, argv []string) {
	if b.has(227) {
		return
	}
	for _, a := range argv {
		if strings.HasPrefix(a, "$") {
			b.failf(key, "systemd %d loses the argument %q, which begins with $ (fixed in 227)", b.version, a)
		}
	}
}

// running renders a command that has to do with the running process. If it is
// a program of the release it must be the one of the release that runs, while
// paths.current may name the next one already: the old program may not know
// how to talk to the new command, as with an Erlang cookie that is made anew in
// each build. So the command starts in the working directory of the main
// process, which the kernel keeps resolved, and is named from there.
//
// systemd also runs ExecStop= when the main process has ended by itself, and
// there is no such directory then; prefix "-" keeps that from being a failure.
func (b *builder) running(s *landfast.Service, key string, c landfast.Command, prefix string) string {
	key = b.key(s, key)
	rel, ok := b.fromWorking(s, c)
	if !ok {
		return b.command(key, c)
	}
	b.checkDollar(key, c.Argv)
	if !strings.Contains(c.Prefix, "-") {
		c.Prefix = prefix + c.Prefix
	}
	argv := append([]string{rel}, c.Argv[1:]...)
	var words []string
	if b.has(237) {
		words = []string{b.ok(key)(unit.Command(c.Prefix, []string{"/usr/bin/env"})), "--chdir=/proc/${MAINPID}/cwd"}
		if strings.Contains(rel, "=") {
			b.fail(key, errors.New("env(1) takes a program with = in its path for a variable"))
		}
	} else { // env(1) of that time has no --chdir
		const script = `cd "/proc/$0/cwd" && exec "$@"`
		words = []string{b.ok(key)(unit.Command(c.Prefix, []string{"/bin/sh", "-c", script})), "${MAINPID}"}
	}
	for _, a := range append(argv[:1:1], b.allInside(argv[1:])...) {
		words = append(words, b.marked(key, []string{a}, func(w []string) (string, error) { return unit.Argument(w[0]) }))
	}
	return strings.Join(words, " ")
}

// fromWorking is the path of a command's program from the working directory of
// the main process, if both are in the release.
func (b *builder) fromWorking(s *landfast.Service, c landfast.Command) (string, bool) {
	p := b.app.Paths
	p.Working = b.working(s)
	if len(c.Argv) == 0 || !below(c.Argv[0], p.Current) {
		return "", false
	}
	if p.Working != p.Current && !below(p.Working, p.Current) {
		b.notef("%s is run from the release that %s names at that time, which need not be the running one: the working directory is outside of it", path.Base(c.Argv[0]), p.Current)
		return "", false
	}
	rel := strings.TrimPrefix(path.Clean(c.Argv[0]), p.Current+"/")
	if up := strings.Count(strings.TrimPrefix(p.Working, p.Current), "/"); up > 0 {
		return strings.Repeat("../", up) + rel, true
	}
	if !strings.Contains(rel, "/") {
		rel = "./" + rel
	}
	return rel, true
}

// below reports whether a path lies in a directory.
func below(p, dir string) bool { return strings.HasPrefix(path.Clean(p), dir+"/") }
