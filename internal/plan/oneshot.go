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

// Oneshot is the text of a unit that runs one command with what the app's main
// service has: user, environment, directories and sandbox. It is started by hand,
// has no socket, and nothing restarts it.
func Oneshot(app *landfast.App, facts Facts, c landfast.Command) (string, error) {
	once := *app
	once.Dirs = slices.Clone(app.Dirs)
	for i := range once.Dirs {
		if once.Dirs[i].Kind == landfast.RuntimeDir {
			// systemd removes it when a unit that names it stops, and the service may be
			// using it.
			once.Dirs[i].Preserve = "yes"
		}
	}
	once.Systemd = slices.DeleteFunc(slices.Clone(app.Systemd), func(d landfast.Directive) bool {
		return d.Section != "Service" || ofLifetime(d.Name)
	})
	s := *app.Main()
	s.Type, s.Restart, s.StartTimeout = "oneshot", "no", oneshotLimit
	s.Command, s.BeforeStart, s.Stop, s.Reload, s.Socket = c, nil, nil, nil, nil
	once.Services = []landfast.Service{s}

	b := &builder{app: &once, version: facts.Systemd, plan: &Plan{App: app.Name}}
	b.check()
	if err := b.err(); err != nil {
		return "", err
	}
	f := &unit.File{Comments: []string{"A command of a deployment of " + app.Name + ", removed when it has ended."}}
	main := &once.Services[0]
	b.unitSection(f, main)
	b.process(f, main)
	b.environment(f.Section("Service"))
	b.commands(f.Section("Service"), main)
	b.lifetime(f, main)
	b.directories(f, main)
	b.sandbox(f, main)
	b.passThrough(f, "Service")
	text, err := f.Render()
	if err != nil {
		b.fail("hooks", err)
	}
	return text, b.err()
}

// ofLifetime reports whether a directive says how a service is started, watched
// and stopped, which a single command has no part in.
func ofLifetime(name string) bool {
	for _, prefix := range []string{"Exec", "Restart", "Timeout", "Watchdog", "FileDescriptorStore", "Success"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"Type", "ExitType", "RemainAfterExit", "PIDFile", "NotifyAccess", "Sockets", "NonBlocking",
		"RuntimeMaxSec", "GuessMainPID", "KillMode", "KillSignal", "BusName",
	}, name)
}
