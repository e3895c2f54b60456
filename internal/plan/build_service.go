package plan

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// service adds the unit of a service.
func (b *builder) service(s *landfast.Service) {
	f := &unit.File{}
	b.unitSection(f, s)
	sec := f.Section("Service")
	b.process(f, s)
	b.environment(sec)
	b.commands(sec, s)
	b.lifetime(f, s)
	b.directories(f, s)
	b.sandbox(f, s)
	f.Section("Install").Add("WantedBy", "multi-user.target")
	if s == b.app.Main() {
		b.passThrough(f, "Unit", "Service", "Install")
	}
	b.unitFile(s.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: s.Unit, Enable: true, Main: s == b.app.Main()})
}

func (b *builder) unitSection(f *unit.File, s *landfast.Service) {
	description := b.app.Description
	if description == "" {
		description = b.app.Name
	}
	if s != b.app.Main() {
		description += " (" + strings.TrimSuffix(s.Unit, ".service") + ")"
	}
	sec := f.Section("Unit")
	sec.Add("Description", b.ok("description")(unit.Literal(description)))
	after := []string{"network.target"}
	if s.Socket != nil {
		after = append(after, s.Socket.Unit)
		sec.Add("Requires", s.Socket.Unit)
	}
	if len(s.Requires) > 0 {
		sec.Add("Requires", strings.Join(s.Requires, " "))
	}
	if len(s.Wants) > 0 {
		sec.Add("Wants", strings.Join(s.Wants, " "))
	}
	sec.Add("After", strings.Join(append(after, s.After...), " "))
	if s.Socket == nil {
		// Without a release there is nothing to run, and the failure should say
		// so. Behind a socket it must not: systemd tries again at once while a
		// connection waits, a thousand times a second; the missing working
		// directory fails, too, and waits for RestartSec=.
		b.add(f, "Unit", "AssertPathExists", b.ok("paths.current")(unit.Path(b.app.Paths.Current)))
	}
	// systemd gives up after five starts in ten seconds, and a socket whose
	// service it gave up on is closed for good. A crash loop has to end when a
	// good release arrives, without anybody resetting it.
	b.add(f, "Unit", "StartLimitIntervalSec", "0")
}

func (b *builder) process(f *unit.File, s *landfast.Service) {
	sec := f.Section("Service")
	kind := s.Type
	if kind == "exec" && !b.has(240) {
		kind = "simple"
		b.notef("systemd %d does not know Type=exec (since 240): simple stands in, so that a missing program shows only after the start", b.version)
	}
	sec.Add("Type", kind)
	sec.Add("User", b.app.User)
	sec.Add("Group", b.app.Group)
	sec.Add("WorkingDirectory", b.ok("paths.working")(unit.Path(b.app.Paths.Working)))
}

// environment adds the variables: the directories' first, so that [env] may
// change them, and the files last, which win in any case (systemd.exec(5)).
func (b *builder) environment(sec *unit.Section) {
	for _, d := range b.app.Dirs {
		if d.Env != "" {
			sec.Add("Environment", b.ok("dirs."+string(d.Kind))(unit.Assignment(d.Env, d.Path)))
		}
	}
	for _, v := range b.app.Env {
		sec.Add("Environment", b.ok("env."+v.Name)(unit.Assignment(v.Name, v.Value)))
	}
	for _, e := range b.app.EnvFiles {
		sec.Add("EnvironmentFile", b.ok("env.files")(unit.EnvFile(e.Path, e.Optional)))
	}
}

func (b *builder) lifetime(f *unit.File, s *landfast.Service) {
	sec := f.Section("Service")
	if s.Restart != "" {
		sec.Add("Restart", s.Restart)
	}
	if s.RestartDelay > 0 {
		sec.Add("RestartSec", span(s.RestartDelay))
	}
	if s.StartTimeout > 0 {
		sec.Add("TimeoutStartSec", span(s.StartTimeout))
	}
	if s.StopTimeout > 0 {
		sec.Add("TimeoutStopSec", span(s.StopTimeout))
	}
	if s.Socket != nil {
		// Without it systemd takes O_NONBLOCK off the socket at each start, and
		// with that off the same socket in every process that shares it.
		sec.Add("NonBlocking", "yes")
	}
	if s.Identifier != "" {
		sec.Add("SyslogIdentifier", b.ok(b.key(s, "identifier"))(unit.Literal(s.Identifier)))
	}
	if s.Umask != "" {
		sec.Add("UMask", s.Umask)
	}
	if s.LimitNOFILE > 0 {
		sec.Add("LimitNOFILE", strconv.Itoa(s.LimitNOFILE))
	}
	if s.LimitCORE != "" {
		sec.Add("LimitCORE", b.ok(b.key(s, "limit_core"))(unit.Literal(s.LimitCORE)))
	}
}

// directories adds what systemd keeps for the service.
func (b *builder) directories(f *unit.File, s *landfast.Service) {
	sec := f.Section("Service")
	for _, d := range b.app.Dirs {
		name := directoryName(d.Kind)
		if !b.bySystemd(d) {
			continue
		}
		sec.Add(name, d.Name)
		sec.Add(name+"Mode", d.Mode)
		if preserve := b.preserve(d, s); preserve != "" {
			b.add(f, "Service", "RuntimeDirectoryPreserve", preserve)
		}
	}
}

// preserve is how long a runtime directory stays. One that another service of
// the app uses too, or in which a socket lies, must not go when this service
// stops.
func (b *builder) preserve(d landfast.Dir, s *landfast.Service) string {
	if d.Kind != landfast.RuntimeDir || d.Preserve == "yes" {
		return d.Preserve
	}
	if len(b.app.Services) > 1 {
		b.notef("%s is kept when a service stops: all services of the app use it", d.Path)
		return "yes"
	}
	if s.Socket != nil {
		for _, l := range s.Socket.Listen {
			if strings.HasPrefix(l, d.Path+"/") {
				b.notef("%s is kept when the service stops: the socket %s is in it", d.Path, path.Base(l))
				return "yes"
			}
		}
	}
	return d.Preserve
}

// span writes a duration as systemd.time(7) reads it.
func span(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return fmt.Sprintf("%dus", max(1, d/time.Microsecond))
}
