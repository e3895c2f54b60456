package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// oneshotLimit bounds a command of a deployment. It has to leave room for a
// migration of a large database, and still end some day when nobody watches.
const oneshotLimit = time.Hour

// Oneshot is the text of a unit that runs one command of a deployment with what
// the app's main service has: user, environment, directories and sandbox. It is
// started by hand, has no socket, and nothing restarts it.
func Oneshot(app *landfast.App, facts Facts, c landfast.Command) (string, error) {
	return Transient(app, facts, TransientOptions{Command: c, Limit: oneshotLimit})
}

// TransientOptions say what a unit that somebody starts by hand runs.
type TransientOptions struct {
	Command landfast.Command
	Unit    string         // of the service whose settings it has; "": the main one
	Working string         // directory it starts in; "": the service's
	Env     []landfast.Var // besides the service's, which they override
	Limit   time.Duration  // how long it may take; 0: as long as it wants
	// Directives come last in [Service] and connect it with whoever started it:
	// StandardInput=, StandardOutput=, StandardError=, TTYPath= and the like.
	Directives []landfast.Directive
}

// Transient is the text of a unit that runs one command with what a service of
// the app has: user, environment, directories, sandbox and root directory. It is
// of type oneshot: its start ends with the command, whose exit status systemd
// tells then.
//
// Variables in TransientOptions.Env yield to files of variables, as all do.
func Transient(app *landfast.App, facts Facts, o TransientOptions) (string, error) {
	if facts.Instance.Port != 0 {
		app = app.Run(landfast.Instance{Port: facts.Instance.Port})
	}
	s, err := serviceNamed(app, o.Unit)
	if err != nil {
		return "", err
	}
	if s.Kind == landfast.KindNspawn {
		return "", &landfast.Error{
			Kind: landfast.Invalid, Msg: s.Unit + " is a machine of its own, in which a unit of the host runs nothing",
			Hint: "machinectl shell " + strings.TrimSuffix(s.Unit, ".service"),
		}
	}
	once := *app
	once.Dirs = slices.Clone(app.Dirs)
	for i := range once.Dirs {
		if once.Dirs[i].Kind == landfast.RuntimeDir {
			// systemd removes it when a unit that names it stops, and the service may be
			// using it.
			once.Dirs[i].Preserve = "yes"
		}
	}
	b := &builder{app: &once, version: facts.Systemd, plan: &Plan{App: app.Name}, once: true}
	s.Systemd = slices.DeleteFunc(slices.Clone((&builder{app: app}).passed(&s)), func(d landfast.Directive) bool {
		return d.Section != "Service" || ofLifetime(d.Name)
	})
	once.Systemd = nil
	s.Type, s.Restart, s.StartTimeout = "oneshot", "no", o.Limit
	s.Command, s.BeforeStart, s.Stop, s.Reload, s.Socket = o.Command, nil, nil, nil, nil
	s.Timer, s.RestartFlag, s.Overlap = nil, "", false
	s.Env = append(s.Env[:len(s.Env):len(s.Env)], o.Env...)
	if o.Working != "" {
		s.Working = o.Working
	}
	once.Services = []landfast.Service{s}
	b.check()
	if err := b.err(); err != nil {
		return "", err
	}
	main := &once.Services[0]
	f := &unit.File{Comments: []string{"A single command of app " + app.Name + ", removed when it has ended."}}
	b.unitSection(f, main)
	b.serviceSection(f, main)
	b.passThrough(f, main, "Service")
	for _, d := range o.Directives {
		f.Section(d.Section).Add(d.Name, d.Value)
	}
	text, err := f.Render()
	if err != nil {
		b.fail("command", err)
	}
	return text, b.err()
}

// serviceNamed is a copy of a service, of one instance if it has several.
func serviceNamed(app *landfast.App, name string) (landfast.Service, error) {
	for _, s := range app.Services {
		names := unitsOf(&s)
		if i := slices.Index(names, name); i >= 0 && len(s.Instances) > 0 {
			return instance(s, s.Instances[i], name), nil
		}
		if name == "" || name == s.Unit {
			if len(s.Instances) > 0 {
				return instance(s, s.Instances[0], names[0]), nil
			}
			return s, nil
		}
	}
	return landfast.Service{}, &landfast.Error{Kind: landfast.Invalid, Msg: "app " + app.Name + " has no service " + name}
}

// instance is a service with the name of one instance filled in.
func instance(s landfast.Service, name, unit string) landfast.Service {
	s.Unit, s.Instances = unit, nil
	fill := func(text string) string { return strings.ReplaceAll(text, landfast.InstanceMark, name) }
	s.Identifier = fill(s.Identifier)
	s.Env = slices.Clone(s.Env)
	for i := range s.Env {
		s.Env[i].Value = fill(s.Env[i].Value)
	}
	return s
}

// ofLifetime reports whether a directive says how a service is started, watched
// and stopped, which a single command has no part in.
func ofLifetime(name string) bool {
	for _, prefix := range []string{"Exec", "Restart", "Timeout", "Watchdog", "FileDescriptorStore", "Success", "Standard", "TTY"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"Type", "ExitType", "RemainAfterExit", "PIDFile", "NotifyAccess", "Sockets", "NonBlocking",
		"RuntimeMaxSec", "GuessMainPID", "KillMode", "KillSignal", "BusName",
	}, name)
}
