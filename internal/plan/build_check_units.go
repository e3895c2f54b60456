package plan

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

var instanceNames = regexp.MustCompile(`^[A-Za-z0-9:_.-]{1,60}$`)

// checkUnits finds what is wrong with the units beside that of the service.
func (b *builder) checkUnits(s *landfast.Service) {
	b.checkTemplate(s)
	if t := s.Timer; t != nil {
		b.checkUnitName(b.key(s, "timer"), t.Unit, ".timer")
		switch {
		case s == b.app.Main():
			b.failf("service", "a timer starts it, and a deployment has nothing to look after: give the app a service that runs")
		case s.Type != "oneshot":
			b.failf(b.key(s, "type"), "a timer starts what ends by itself: oneshot")
		case len(t.Calendar) == 0 && t.Every <= 0:
			b.failf(b.key(s, "calendar"), "a timer needs a time")
		case s.Socket != nil || s.RestartFlag != "" || len(s.Instances) > 0:
			b.failf(b.key(s, "calendar"), "what a timer starts has no socket, no restart flag and no instances")
		}
	}
	if s.RestartFlag != "" {
		b.checkFlag(s)
	}
	if s.Working != "" {
		if err := unit.CheckPath(s.Working); err != nil {
			b.failf(b.key(s, "working"), "%q: %w", s.Working, err)
		}
	}
}

func (b *builder) checkTemplate(s *landfast.Service) {
	template := strings.HasSuffix(s.Unit, "@.service")
	switch {
	case template != (len(s.Instances) > 0):
		b.failf(b.key(s, "instances"), "%s and its %d instances do not go together", s.Unit, len(s.Instances))
	case template && s == b.app.Main():
		b.failf("service.instances", "the main service is one, whose health decides a deployment")
	case template && s.Socket != nil:
		b.failf(b.key(s, "socket"), "a socket belongs to one service, not to instances")
	}
	for i, name := range s.Instances {
		if !instanceNames.MatchString(name) {
			b.failf(b.key(s, "instances"), "%q cannot be the name of an instance", name)
		}
		if slices.Contains(s.Instances[:i], name) {
			b.failf(b.key(s, "instances"), "%q is there twice", name)
		}
	}
}

// checkFlag refuses a flag that the app could touch: whoever breaks into it could
// keep it restarting.
func (b *builder) checkFlag(s *landfast.Service) {
	key := b.key(s, "restart_flag")
	if err := unit.CheckPath(s.RestartFlag); err != nil {
		b.failf(key, "%q: %w", s.RestartFlag, err)
		return
	}
	its := []string{b.app.Paths.Shared}
	for _, d := range b.app.Dirs {
		if d.Kind != landfast.ConfigurationDir {
			its = append(its, d.Path)
		}
	}
	for _, dir := range its {
		if below(s.RestartFlag, dir) {
			b.failf(key, "%s lies in %s, where the app could touch it as well", s.RestartFlag, dir)
		}
	}
}

// checkEnvironment finds what is wrong with the environment command.
func (b *builder) checkEnvironment() {
	e := b.app.Before
	if e == nil {
		return
	}
	b.checkUnitName("environment", e.Unit, ".service")
	for _, n := range e.After {
		b.checkUnitName("environment.after", n, "")
	}
	dir := path.Dir(e.File)
	if err := unit.CheckPath(e.File); err != nil || path.Dir(dir) != "/run" {
		b.failf("environment", "%q is not a file in a directory of its own below /run", e.File)
	}
	if slices.ContainsFunc(b.app.Dirs, func(d landfast.Dir) bool { return d.Path == dir || below(e.File, d.Path) }) {
		b.failf("environment", "%s is a directory of the app, which could change what systemd reads as root", dir)
	}
}

// checkDynamic refuses what does not go with an account that systemd makes up:
// its number may be another app's the next time.
func (b *builder) checkDynamic() {
	a := b.app
	if !a.DynamicUser {
		return
	}
	if !b.has(235) {
		b.failf("dynamic_user", "systemd %d does not keep directories for such an account (since 235)", b.version)
	}
	if a.Group == a.User {
		b.failf("group", "a group called like the account keeps systemd from making one: name another, which may read the releases")
	}
	if a.User == "root" {
		b.failf("user", "root is there already")
	}
	for _, d := range a.Dirs {
		if d.Kind != landfast.ConfigurationDir && !b.bySystemd(d) {
			b.failf("dirs."+string(d.Kind), "%s: only directories that systemd hands over can be kept", whyDynamic)
		}
	}
	for i := range a.Services {
		for _, d := range b.passed(&a.Services[i]) {
			b.checkDynamicDirective(d)
		}
	}
	for _, name := range a.Sandbox.Allow {
		if slices.Contains([]string{"tmp", "new-privileges", "setuid", "write-system", "home"}, name) {
			b.failf("sandbox.allow", "%q: systemd does not allow it beside dynamic_user", name)
		}
	}
	if c := a.Chroot; c != nil && len(c.ReadWrite) > 0 {
		b.notef("files that the app leaves in %s belong to a number that may be another's the next time", strings.Join(c.ReadWrite, ", "))
	}
}

const whyDynamic = "systemd makes the account up while the service runs, and its number may be another's the next time"

// checkDynamicDirective refuses the pass-through that would undo what keeps such an
// account from leaving anything behind.
func (b *builder) checkDynamicDirective(d landfast.Directive) {
	key := "systemd." + d.Section + "." + d.Name
	off := slices.Contains([]string{"no", "false", "off", "0"}, strings.ToLower(d.Value))
	switch {
	case d.Section != "Service":
	case slices.Contains([]string{"ReadWritePaths", "BindPaths", "ReadWriteDirectories"}, d.Name):
		b.failf(key, "%s: files it leaves there would be that other's", whyDynamic)
	case off && slices.Contains([]string{"PrivateTmp", "RemoveIPC", "NoNewPrivileges", "RestrictSUIDSGID", "ProtectSystem", "ProtectHome"}, d.Name):
		b.failf(key, "systemd does not switch it off beside dynamic_user")
	}
}
