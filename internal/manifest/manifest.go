package manifest

import (
	"strings"

	"github.com/landfast/landfast"
)

// manifest is the whole of a landfast.toml.
type manifest struct {
	name, externalName      text
	releaseName             text
	description, stack      text
	user, group, deployUser text
	dynamicUser             boolean
	grants                  texts
	paths                   paths
	service                 service
	services                services
	timers                  timers
	environment             environment
	machine                 machine
	chroot                  chroot
	socket                  socket
	env                     env
	secrets                 secrets
	config                  remote
	dirs                    dirs
	health                  health
	hooks                   hooks
	commands                named
	cutover                 cutover
	smoke                   smoke
	source                  artifact
	buildSteps              build
	releases                releases
	sandbox                 sandbox
	systemd                 directives
}

// Parse reads the text of a manifest. name is the file that messages name. The
// App it gives is complete: defaults filled in, references resolved. An error
// is a *landfast.Error of kind Invalid that wraps Errors, all mistakes of the
// text in one go; of a syntax error, that one alone.
func Parse(name string, text []byte) (*landfast.App, error) {
	return ParseLayers(Layer{Name: name, Text: text})
}

// build makes the App of a manifest whose texts are resolved.
func (m *manifest) build(d *decoder) *landfast.App {
	app := &landfast.App{
		Name:        m.name.value,
		Description: m.description.value,
		Stack:       m.stack.value,
		User:        m.user.value,
		Group:       m.group.value,
		DeployUser:  m.deployUser.value,
		DynamicUser: m.dynamicUser.on,
		Grants:      m.grants.values(),
		Paths:       m.paths.build(d),
		Env:         m.env.vars(),
		EnvFiles:    m.env.fileList(),
		Secrets:     m.secrets.build(),
		Parameters:  m.env.ssm.values(),
		Config:      m.config.build(d, &m.dirs),
		Dirs:        m.dirs.build(),
		Source:      m.source.build(d),
		Releases:    m.releases.build(),
		Sandbox:     landfast.Sandbox{Profile: m.sandbox.profile.value, Allow: m.sandbox.allow.values()},
		Systemd:     m.systemd.build(d, m.socket.on),
		Chroot:      m.chroot.build(d),
	}
	app.Paths.Settings = "/var/lib/landfast/" + app.Name + "/settings/current"
	current := app.Paths.Current
	app.Build = m.buildSteps.build(d)
	app.Before = m.environment.build(d, current, m.service.name.value)
	app.Services = m.buildServices(d, current)
	app.Cutover = m.cutover.build(d, m, app)
	app.Health = m.health.build(d, current, m)
	app.Commands = m.commands.build(d, current)
	app.Hooks = landfast.Hooks{Migrate: m.hooks.migrate.build(d, current), After: m.hooks.after.build(d, current), Irreversible: m.hooks.irreversible.on}
	m.checkAccounts(d)
	m.checkDynamic(d)
	return app
}

// buildServices makes the main service, then the others, then those of timers.
func (m *manifest) buildServices(d *decoder, current string) []landfast.Service {
	machine := m.buildMachine(d)
	within := current
	if machine != nil {
		within = "/" // of the machine
	}
	main := m.service.build(d, within)
	if machine != nil {
		main.Kind, main.Machine = landfast.KindNspawn, machine
	}
	if m.socket.on {
		main.Socket = m.socket.build(d, m.service.name.value)
	}
	built := []landfast.Service{main}
	names := []*text{&m.service.name}
	for _, e := range m.services.list {
		built = append(built, e.build(d, current))
		names = append(names, &e.service.name)
	}
	for _, t := range m.timers.list {
		built = append(built, t.build(d, current))
		names = append(names, &t.service.name)
	}
	for i, a := range names {
		for _, b := range names[:i] {
			if a.ok() && b.ok() && a.value == b.value {
				d.flaw(a, &flaw{"the unit " + quote(a.value) + " is that of " + strings.TrimSuffix(b.key, ".name") + " as well", "name one of them otherwise"})
			}
		}
	}
	return built
}

// checkAccounts keeps the app from writing its own code.
func (m *manifest) checkAccounts(d *decoder) {
	if !m.user.ok() {
		return
	}
	if m.user.value == "root" && m.sandbox.profile.value != "none" {
		// What runs as root gets out of most of a sandbox, so it must not look as
		// if it were held by one.
		d.flaw(&m.user, &flaw{
			"an app cannot run as root",
			"take another account; what it needs of root's powers, [systemd.Service] AmbientCapabilities gives. If it must be root, write profile = \"none\" in [sandbox] as well",
		})
	}
	if m.deployUser.ok() && m.user.value == m.deployUser.value {
		at := &m.user
		if m.deployUser.given() {
			at = &m.deployUser
		}
		d.flaw(at, &flaw{"the app runs as " + quote(m.user.value) + ", which owns its code", "user and deploy_user must differ"})
	}
}
