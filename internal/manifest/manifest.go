package manifest

import (
	"github.com/landfast/landfast"
)

// manifest is the whole of a landfast.toml.
type manifest struct {
	name, description       text
	user, group, deployUser text
	paths                   paths
	service                 service
	socket                  socket
	env                     env
	dirs                    dirs
	health                  health
	hooks                   hooks
	cutover                 cutover
	source                  artifact
	releases                releases
	sandbox                 sandbox
	systemd                 directives
}

func (m *manifest) keys() []key {
	return []key{
		{
			name: "name", value: m.name.as(appName), must: true, ref: "name", example: `"web"`,
			doc: "The app. Its unit, account, group and directories are named after it; where one of them is renamed, what is made of it follows.",
		},
		{
			name: "description", directive: "Description", value: m.description.as(anyText), def: `"${name}"`, ref: "description", example: `"The shop"`,
			doc: "What the app is, in one line, as `systemctl status` shows it.",
		},
		{
			name: "user", directive: "User", value: m.user.as(account), def: `"${service_name}"`, ref: "user", example: `"shop"`,
			doc: "The account that the app runs as. It is made if there is none, without a login, and cannot write the app's code.",
		},
		{
			name: "group", directive: "Group", value: m.group.as(account), def: `"${user}"`, ref: "group", example: `"shop"`,
			doc: "The group that the app runs as. It may read the releases.",
		},
		{
			name: "deploy_user", value: m.deployUser.as(account), def: `"landfast"`, ref: "deploy_user", example: `"deploy"`,
			doc: "The account that owns the releases. It must not be the one that the app runs as.",
		},
		{name: "paths", value: &table{section: &m.paths, always: true}, doc: "Where the app lives. All paths are absolute."},
		{name: "source", value: &table{section: &m.source}, doc: "Where a release comes from. Without it, `landfast deploy --from` has to say."},
		{name: "service", value: &table{section: &m.service, always: true}, doc: "The process of the app: one systemd service."},
		{name: "socket", value: &table{section: &m.socket, set: m.socket.switchOn}, doc: "A socket that systemd holds for the service: while the service restarts, requests wait instead of being refused. Leave the section out if the app opens its own."},
		{name: "env", value: &table{section: &m.env, always: true}, doc: "The environment of the app."},
		{name: "dirs", value: &table{section: &m.dirs, always: true}, doc: "The directories that systemd keeps for the app, each owned by it and named to it in a variable."},
		{name: "health", value: &table{section: &m.health, always: true}, doc: "When a new release counts as healthy. Whatever the check, a service that dies fails it at once."},
		{name: "hooks", value: &table{section: &m.hooks}, doc: "Commands that belong to a deployment. They run as the app's user, in the environment of the service."},
		{name: "cutover", value: &table{section: &m.cutover, always: true}, doc: "How a new release takes over from the old one."},
		{name: "releases", value: &table{section: &m.releases, always: true}, doc: "Which releases are kept, and how large one may be."},
		{name: "sandbox", value: &table{section: &m.sandbox, always: true}, doc: "Powers that are taken away from the app."},
		{name: "systemd", value: &table{section: &m.systemd}, doc: "Systemd's own settings, passed through as they are."},
	}
}

// Parse reads the text of a manifest. name is the file that messages name. The
// App it gives is complete: defaults filled in, references resolved. An error
// is a *landfast.Error of kind Invalid that wraps Errors, all mistakes of the
// text in one go; of a syntax error, that one alone.
func Parse(name string, text []byte) (*landfast.App, error) {
	d, root := read(&source{name: name, text: text[:len(text):len(text)]})
	if root == nil {
		return nil, d.err()
	}
	m := &manifest{}
	d.section("", m, root)
	d.resolve()
	app := m.build(d)
	if err := d.err(); err != nil {
		return nil, err
	}
	app.Manifest = string(text)
	return app, nil
}

// read parses src. The tree is nil when its syntax is wrong.
func read(src *source) (*decoder, *node) {
	probs := &problems{}
	root, ok := parse(src, probs)
	d := &decoder{problems: probs, root: root, refs: map[string]*text{}, off: map[string]string{}, index: index()}
	if !ok {
		return d, nil
	}
	return d, root
}

// build makes the App of a manifest whose texts are resolved.
func (m *manifest) build(d *decoder) *landfast.App {
	app := &landfast.App{
		Name:        m.name.value,
		Description: m.description.value,
		User:        m.user.value,
		Group:       m.group.value,
		DeployUser:  m.deployUser.value,
		Paths:       m.paths.build(d),
		Env:         m.env.vars(),
		EnvFiles:    m.env.fileList(),
		Dirs:        m.dirs.build(),
		Cutover:     landfast.Cutover{Strategy: landfast.Strategy(m.cutover.strategy.value)},
		Source:      m.source.build(d),
		Releases:    m.releases.build(),
		Sandbox:     landfast.Sandbox{Profile: m.sandbox.profile.value},
		Systemd:     m.systemd.build(d, m.socket.on),
	}
	current := app.Paths.Current
	app.Services = []landfast.Service{m.service.build(d, current)}
	if m.socket.on {
		app.Services[0].Socket = m.socket.build(d, m.service.name.value)
	}
	app.Health = m.health.build(d, current, m)
	app.Hooks = landfast.Hooks{Migrate: m.hooks.migrate.build(d, current), After: m.hooks.after.build(d, current)}
	m.checkAccounts(d)
	return app
}

// checkAccounts keeps the app from writing its own code.
func (m *manifest) checkAccounts(d *decoder) {
	if !m.user.ok() {
		return
	}
	if m.user.value == "root" {
		d.flaw(&m.user, &flaw{"an app cannot run as root", "take another account; what it needs of root's powers, [systemd.Service] AmbientCapabilities gives"})
	}
	if m.deployUser.ok() && m.user.value == m.deployUser.value {
		at := &m.user
		if m.deployUser.given() {
			at = &m.deployUser
		}
		d.flaw(at, &flaw{"the app runs as " + quote(m.user.value) + ", which owns its code", "user and deploy_user must differ"})
	}
}

// index says in which sections each key of the description stands, by our name
// and by systemd's.
func index() map[string]*known {
	all := map[string]*known{}
	add := func(name, section string, k key) {
		if all[name] == nil {
			all[name] = &known{name: k.name}
		}
		all[name].sections = append(all[name].sections, section)
	}
	m := &manifest{}
	for _, k := range m.keys() {
		inner, section := []key{k}, ""
		if t, ok := k.value.(*table); ok {
			inner, section = t.section.keys(), k.name
		}
		for _, one := range inner {
			add(one.name, section, one)
			if one.directive != "" {
				add(one.directive, section, one)
			}
		}
	}
	return all
}
