package plan

import (
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// nspawn is where systemd's container program is.
const nspawn = "/usr/bin/systemd-nspawn"

// machine adds the [Service] section of a service whose release is a root file
// system. systemd-nspawn(1) runs as root and takes powers away from what is
// inside itself; the release stays as it is, what is written over it is gone
// with the machine, and data is in the directories that are bound.
func (b *builder) machine(f *unit.File, s *landfast.Service) {
	sec := f.Section("Service")
	sec.Add("Type", "notify")
	sec.Add("ExecStart", b.marked(b.key(s, "command"), b.machineArgv(s), func(argv []string) (string, error) { return unit.Command("", argv) }))
	// The program is asked, and ends the machine in good order; then the rest.
	sec.Add("KillMode", "mixed")
	sec.Add("Delegate", "yes")
	sec.Add("Slice", "machine.slice")
	// 133 is how systemd-nspawn says that the machine wants to be started anew.
	sec.Add("SuccessExitStatus", "133")
	sec.Add("RestartForceExitStatus", "133")
	b.credentials(sec, s)
	for _, e := range b.app.EnvFiles {
		b.notef("%s does not reach into the machine", e.Path)
	}
	for _, d := range b.app.Dirs {
		b.notef("%s is not seen inside unless machine.binds names it", d.Path)
	}
	timed := *s
	timed.Umask, timed.Socket = "", nil
	b.lifetime(f, &timed)
	lines, err := unit.MachineProfile(b.app.Sandbox.Profile)
	if err != nil {
		b.fail("sandbox.profile", err)
	}
	if lines, err = unit.Allow(lines, b.app.Sandbox.Allow...); err != nil {
		b.fail("sandbox.allow", err)
	}
	for _, l := range lines {
		if now, ok := l.For(b.version); ok {
			sec.Add(now.Directive, now.Value)
		}
	}
}

// machineArgv is the command that runs the machine.
func (b *builder) machineArgv(s *landfast.Service) []string {
	m := s.Machine
	argv := []string{
		nspawn, "--quiet", "--keep-unit", "--console=pipe", "--settings=no", "--link-journal=no",
		"--machine=" + strings.TrimSuffix(s.Unit, ".service"), "--directory=" + b.app.Paths.Current + "/" + landfast.RootFS,
	}
	switch {
	case m.PrivateUsers:
		// The release belongs to others than the machine's users, and is not to be
		// given to them: the kernel maps their numbers. It does not do so for an
		// overlay.
		argv = append(argv, "--private-users=pick", "--private-users-ownership=map", "--read-only")
		if m.Boot {
			// An init wants a /var that it can write. --volatile=state would do the same,
			// and keeps the users from being mapped (EBUSY).
			argv = append(argv, "--tmpfs=/var:mode=0755")
		}
		b.notef("the machine cannot write its release; mapped users need Linux 5.12, and a file system that can map them")
	default:
		// What is written goes to memory, and with the machine.
		argv = append(argv, "--volatile=overlay")
	}
	if m.PrivateNetwork {
		argv = append(argv, "--private-network")
	} else {
		b.notef("the machine shares the network of the host")
	}
	for _, p := range m.Binds {
		argv = append(argv, "--bind="+b.bind("machine.binds", p))
	}
	for _, p := range m.ReadOnlyBinds {
		argv = append(argv, "--bind-ro="+b.bind("machine.read_only_binds", p))
	}
	for _, v := range append(b.app.Env[:len(b.app.Env):len(b.app.Env)], s.Env...) {
		argv = append(argv, "--setenv="+v.Name+"="+v.Value)
	}
	for _, c := range b.app.Secrets {
		// A name is looked for among its own credentials.
		argv = append(argv, "--load-credential="+c.Name+":"+c.Name)
	}
	if m.Boot {
		return append(argv, "--boot", "--notify-ready=yes")
	}
	if s.Type == "notify" {
		argv = append(argv, "--notify-ready=yes")
	}
	if dir := b.working(s); dir != b.app.Paths.Current {
		argv = append(argv, "--chdir="+strings.TrimPrefix(dir, b.app.Paths.Current))
	}
	argv = append(argv, "--as-pid2", "--kill-signal=SIGRTMIN+3", "--")
	for _, w := range s.Command.Argv {
		if below(w, b.app.Paths.Current) {
			w = strings.TrimPrefix(w, b.app.Paths.Current)
		}
		argv = append(argv, w)
	}
	return argv
}

// bind checks HOST[:INSIDE].
func (b *builder) bind(key, value string) string {
	parts := strings.Split(value, ":")
	if len(parts) > 2 {
		b.failf(key, "%q is not HOST or HOST:INSIDE", value)
		return value
	}
	for _, p := range parts {
		if err := unit.CheckPath(p); err != nil {
			b.failf(key, "%q: %w", value, err)
		}
	}
	return value
}

// checkMachine refuses what cannot be.
func (b *builder) checkMachine(s *landfast.Service) {
	key := b.key(s, "kind")
	switch s.Kind {
	case landfast.KindProcess:
		return
	case landfast.KindNspawn:
	default:
		b.failf(key, "%q is not a kind of service", s.Kind)
		return
	}
	for _, wrong := range []struct {
		is   bool
		what string
	}{
		{s.Machine == nil, "it does not say how: the section machine is missing"},
		{!b.has(249), "it needs systemd 249, which maps the users of a release into the machine"},
		{b.app.Chroot != nil, "a machine has a root directory of its own: remove chroot"},
		{b.app.DynamicUser, "private_users is what a machine has: remove dynamic_user"},
		{len(s.Instances) > 0, "it cannot have instances"},
		{len(s.BeforeStart) > 0, "before_start would run on the host"},
		{s.Stop != nil || s.Reload != nil, "stop and reload would run on the host"},
		{b.app.Health.Kind == landfast.HealthExec || len(b.app.Hooks.Migrate)+len(b.app.Hooks.After) > 0, "hooks and a health check by command would run on the host"},
		{s.Machine != nil && !s.Machine.Boot && len(s.Command.Argv) == 0, "it needs a command, or an init to boot"},
	} {
		if wrong.is {
			b.failf(key, "%s", wrong.what)
		}
	}
}
