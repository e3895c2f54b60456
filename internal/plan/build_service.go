package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// service adds the unit of a service.
func (b *builder) service(s *landfast.Service) {
	b.template = len(s.Instances) > 0
	defer func() { b.template = false }()
	f := &unit.File{}
	b.unitSection(f, s)
	if s.Kind == landfast.KindNspawn {
		b.machine(f, s)
	} else {
		b.serviceSection(f, s)
	}
	if s.Timer == nil {
		f.Section("Install").Add("WantedBy", "multi-user.target")
	}
	b.passThrough(f, s, "Unit", "Service", "Install")
	b.unitFile(s.Unit, f)
	for _, name := range unitsOf(s) {
		b.plan.Units = append(b.plan.Units, Unit{
			Name: name, Enable: s.Timer == nil, Main: s == b.app.Main(), Manual: s.Timer != nil,
		})
	}
}

// serviceSection adds what a process of the app runs with.
func (b *builder) serviceSection(f *unit.File, s *landfast.Service) {
	b.process(f, s)
	b.environment(f.Section("Service"), s)
	b.commands(f.Section("Service"), s)
	b.lifetime(f, s)
	b.directories(f, s)
	b.sandbox(f, s)
	b.chroot(f, s)
}

// unitsOf are the units of a service: itself, or its instances.
func unitsOf(s *landfast.Service) []string {
	if len(s.Instances) == 0 {
		return []string{s.Unit}
	}
	var names []string
	for _, i := range s.Instances {
		names = append(names, strings.TrimSuffix(s.Unit, ".service")+i+".service")
	}
	return names
}

func (b *builder) unitSection(f *unit.File, s *landfast.Service) {
	sec := f.Section("Unit")
	text := b.ok("description")(unit.Literal(b.description(s)))
	if s.Overlap {
		text += ", release " + path.Base(b.app.Paths.Current)
	}
	if len(s.Instances) > 0 {
		text += " %i"
	}
	sec.Add("Description", text)
	after := []string{"network.target"}
	if s.Socket != nil {
		after = append(after, s.Socket.Unit)
		sec.Add("Requires", s.Socket.Unit)
	}
	if e := b.app.Before; e != nil && s.Unit != e.Unit {
		after = append(after, e.Unit)
		if b.once { // before the first deployment there is no such unit
			sec.Add("Wants", e.Unit)
		} else {
			sec.Add("Requires", e.Unit)
		}
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

// description is what people see of a service.
func (b *builder) description(s *landfast.Service) string {
	text := b.app.Description
	if text == "" {
		text = b.app.Name
	}
	if s.Unit != b.app.Main().Unit {
		text += " (" + strings.TrimRight(strings.TrimSuffix(s.Unit, ".service"), "@") + ")"
	}
	return text
}

func (b *builder) process(f *unit.File, s *landfast.Service) {
	sec := f.Section("Service")
	kind := s.Type
	if kind == "exec" && !b.has(240) {
		kind = "simple"
		b.notef("systemd %d does not know Type=exec (since 240): simple stands in, so that a missing program shows only after the start", b.version)
	}
	sec.Add("Type", kind)
	b.account(f)
	sec.Add("WorkingDirectory", b.ok("paths.working")(unit.Path(b.inside(b.working(s)))))
}

// account says whom the process runs as.
func (b *builder) account(f *unit.File) {
	sec := f.Section("Service")
	if b.app.DynamicUser {
		sec.Add("DynamicUser", "yes")
		sec.Add("User", b.app.User)
		// The releases belong to a group that is there when nothing runs.
		sec.Add("SupplementaryGroups", b.app.Group)
		return
	}
	sec.Add("User", b.app.User)
	sec.Add("Group", b.app.Group)
}

// working is the directory a service starts in, as the host names it.
func (b *builder) working(s *landfast.Service) string {
	if s.Working != "" {
		return s.Working
	}
	return b.app.Paths.Working
}

// environment adds the variables, of which a later one wins: the directories'
// first, so that [env] may change them, then those of the app and those of the
// service. Files win over all of these in any case (systemd.exec(5)): first the
// secrets, then what the environment command wrote, then those of [env], which may
// correct it.
func (b *builder) environment(sec *unit.Section, s *landfast.Service) {
	for _, d := range b.app.Dirs {
		if d.Env != "" {
			sec.Add("Environment", b.assignment("dirs."+string(d.Kind), landfast.Var{Name: d.Env, Value: d.Path}))
		}
	}
	b.fetched(sec)
	for _, v := range b.app.Env {
		sec.Add("Environment", b.assignment("env."+v.Name, v))
	}
	for _, v := range s.Env {
		sec.Add("Environment", b.assignment(b.key(s, "env."+v.Name), v))
	}
	b.credentials(sec, s)
	if e := b.app.Before; e != nil && s.Unit != e.Unit {
		sec.Add("EnvironmentFile", b.ok("environment")(unit.EnvFile(e.File, b.once)))
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
		sec.Add("SyslogIdentifier", b.marked(b.key(s, "identifier"), []string{s.Identifier}, func(w []string) (string, error) { return unit.Literal(w[0]) }))
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
	if len(b.app.Services) > 1 || len(s.Instances) > 1 || b.app.Before != nil || s.Overlap {
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

// assignment is a variable with what it has for the process: paths are those
// inside of its root directory, and an instance's name is systemd's to fill in.
func (b *builder) assignment(key string, v landfast.Var) string {
	return b.marked(key, []string{b.inside(v.Value)}, func(w []string) (string, error) { return unit.Assignment(v.Name, w[0]) })
}

// marked renders words in which InstanceMark stands for systemd's %i.
func (b *builder) marked(key string, words []string, render func([]string) (string, error)) string {
	all := strings.Join(words, " ")
	if !b.template || !strings.Contains(all, landfast.InstanceMark) {
		return b.ok(key)(render(words))
	}
	// Letters alone are quoted and escaped nowhere.
	stand := "instance"
	for strings.Contains(all, stand) {
		stand += "x"
	}
	words = slices.Clone(words)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], landfast.InstanceMark, stand)
	}
	return strings.ReplaceAll(b.ok(key)(render(words)), stand, "%i")
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
