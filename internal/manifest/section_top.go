package manifest

import (
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast/internal/stack"
)

func (m *manifest) keys() []key {
	return []key{
		{
			name: "name", value: m.name.as(appName), must: true, ref: "name", example: `"web"`,
			doc: "The app. Its unit, account, group and directories are named after it; where one of them is renamed, what is made of it follows.",
		},
		{
			name: "stack", value: m.stack.as(words(stack.Names()...)), note: "none", example: `"go"`,
			doc: "What the app is made with. It fills in what the manifest leaves out: how such an app is started and stopped, what its runtime needs, and which lines of the sandbox it cannot live with.",
		},
		{
			name: "external_name", value: m.externalName.as(appName), def: `"${name}"`, note: "with `-` for `_`", derive: dashed, ref: "external_name", example: `"web-shop"`,
			doc: "The name as the host knows it, which the unit, the account and the directories follow.",
		},
		{
			name: "release_name", value: m.releaseName.as(anyText), def: `"${name}"`, note: "with `_` for `-`", derive: underscored, ref: "release_name", example: `"shop"`,
			doc: "The name of the program in a release of a stack that names it after the project, such as `bin/RELEASE_NAME` of Elixir.",
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
		{
			name: "dynamic_user", directive: "DynamicUser", value: &m.dynamicUser, note: "false", example: `true`,
			doc: "Whether systemd makes the account up while the app runs. What the app may keep then is in [dirs]; whatever would belong to an account that changes is refused.",
		},
		{
			name: "grants", value: m.grants.as(words("sudoers", "polkit")), note: "none: only root", example: `["sudoers"]`,
			doc: "Ways in which `deploy_user` may start, stop and restart the units of this app, and nothing else, without being root: lines for sudo, rules for polkit.",
		},
		{name: "paths", value: &table{section: &m.paths, always: true}, doc: "Where the app lives. All paths are absolute."},
		{name: "source", value: &table{section: &m.source}, doc: "Where a release comes from. Without it, `landfast deploy --from` has to say."},
		{name: "build", value: &table{section: &m.buildSteps, set: m.buildSteps.switchOn}, doc: "How what a delivery brings becomes a release, on the host. The steps run as an account of their own, in a sandbox, without a network unless they ask for it."},
		{name: "service", value: &table{section: &m.service, always: true}, doc: "The process of the app: one systemd service."},
		{name: "socket", value: &table{section: &m.socket, set: m.socket.switchOn}, doc: "A socket that systemd holds for the service: while the service restarts, requests wait instead of being refused. Leave the section out if the app opens its own."},
		{name: "services", value: &table{section: &m.services}, doc: "Further services of the app, each a unit called after the main one and NAME: `web-worker.service`. Account, directories, environment and sandbox are the app's. The health of the app is that of the main service."},
		{name: "timers", value: &table{section: &m.timers}, doc: "Commands that run at certain times, each a timer and a service called after the main one and NAME: `web-report.timer`."},
		{name: "environment", value: &table{section: &m.environment, set: m.environment.switchOn}, doc: "What becomes variables of the services when they start, and not before: the output of a command, or data of the cloud the host is in. It is found out by a unit of its own before each start of the app, and its variables override those set here."},
		{name: "chroot", value: &table{section: &m.chroot, set: m.chroot.switchOn}, doc: "A root directory for the services, in which they see nothing of the host but what is named here."},
		{name: "machine", value: &table{section: &m.machine, set: m.machine.switchOn}, doc: "How systemd-nspawn runs the release as a machine of its own, where [service] has `kind = \"nspawn\"`."},
		{name: "env", value: &table{section: &m.env, always: true}, doc: "The environment of the app."},
		{name: "secrets", value: &table{section: &m.secrets}, doc: "Values that must not stand in a file that others read. They are fetched when the app is deployed and by `landfast secrets refresh`, are kept on the host in files of root's, and reach the services as credentials of systemd (247 and newer): files in `$CREDENTIALS_DIRECTORY` that the app alone can read."},
		{name: "config", value: &table{section: &m.config, set: m.config.switchOn}, doc: "Files of configuration that come from S3. They are fetched with the secrets, as one set, and a rollback brings back those of the release."},
		{name: "dirs", value: &table{section: &m.dirs, always: true}, doc: "The directories that systemd keeps for the app, each owned by it and named to it in a variable."},
		{name: "health", value: &table{section: &m.health, always: true}, doc: "When a new release counts as healthy. Whatever the check, a service that dies fails it at once."},
		{name: "hooks", value: &table{section: &m.hooks}, doc: "Commands that belong to a deployment. They run as the app's user, in the environment of the service."},
		{name: "commands", value: &table{section: &m.commands}, doc: "Commands that people run by name, on the host, beside the app: a console, a migration, a report."},
		{name: "cutover", value: &table{section: &m.cutover, always: true, set: m.cutover.switchOn}, doc: "How a new release takes over from the old one."},
		{name: "smoke", value: &table{section: &m.smoke, set: m.smoke.switchOn}, doc: "Requests that a new release must answer well before any traffic reaches it: in the rehearsal, or on its private port."},
		{name: "releases", value: &table{section: &m.releases, always: true}, doc: "Which releases are kept, and how large one may be."},
		{name: "sandbox", value: &table{section: &m.sandbox, always: true}, doc: "Powers that are taken away from the app."},
		{name: "systemd", value: &table{section: &m.systemd}, doc: "Systemd's own settings, passed through as they are."},
	}
}

// constrain says that something must be run: a command, a machine, or what the
// stack gives.
func (m *manifest) constrain(s *jsonschema.Schema) {
	s.AnyOf = []*jsonschema.Schema{
		{Required: []string{"stack"}},
		{Required: []string{"service"}, Properties: map[string]*jsonschema.Schema{
			"service": {AnyOf: []*jsonschema.Schema{{Required: []string{"command"}}, {Required: []string{"kind"}}}},
		}},
	}
}

// dashed is a name as hosts and accounts like it.
func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// underscored is a name as languages like it.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }
