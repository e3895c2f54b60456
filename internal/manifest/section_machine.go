package manifest

import "github.com/landfast/landfast"

// machine is [machine]: how a root file system is run.
type machine struct {
	on                   bool
	at                   *node
	network              text
	privateUsers, boot   boolean
	binds, readOnlyBinds texts
}

func (m *machine) switchOn(at *node) { m.on, m.at = true, at }

func (m *machine) keys() []key {
	return []key{
		{
			name: "network", value: m.network.as(words("host", "private")), must: true, example: `"private"`,
			doc: "`host` shares the network of the host, with all its ports; `private` has one of its own.",
		},
		{
			name: "private_users", value: &m.privateUsers, def: `true`, example: `false`,
			doc: "Whether users inside are others than those of the host, root as well.",
		},
		{
			name: "boot", value: &m.boot, note: "true where the service has no `command`", example: `true`,
			doc: "Whether the init program inside is run, instead of the command of the service.",
		},
		{
			name: "binds", value: m.binds.as(bind), note: "none", example: `["/var/lib/shop:/data"]`,
			doc: "Paths of the host that can be written inside.",
		},
		{
			name: "read_only_binds", value: m.readOnlyBinds.as(bind), note: "none", example: `["/etc/ssl/certs"]`,
			doc: "Paths of the host that can be read inside.",
		},
	}
}

// buildMachine gives how the machine of the main service is run; nil: it is none.
func (m *manifest) buildMachine(d *decoder) *landfast.Machine {
	x, s := &m.machine, &m.service
	if s.what.value != string(landfast.KindNspawn) {
		if x.on {
			d.at(x.at, "machine", `is for a service of kind "nspawn"`, `write kind = "nspawn" in [service], or remove the section`)
		}
		m.requireCommand(d)
		return nil
	}
	if !x.on {
		d.flaw(&s.what, &flaw{"needs a [machine] section", `write network = "private" or network = "host" in it`})
	}
	boot := x.boot.on || x.boot.src == nil && !s.command.given()
	if !boot {
		m.requireCommand(d)
	}
	if boot && s.command.given() {
		d.at(s.command.src, s.command.key, "is not run: the machine boots its own init", "remove it, or write boot = false in [machine]")
	}
	m.refuseBeside(d)
	return &landfast.Machine{
		PrivateUsers: x.privateUsers.on, PrivateNetwork: x.network.value == "private", Boot: boot,
		Binds: x.binds.values(), ReadOnlyBinds: x.readOnlyBinds.values(),
	}
}

// requireCommand reports when neither the manifest nor its stack say what to run.
func (m *manifest) requireCommand(d *decoder) {
	switch {
	case m.stack.src == nil:
		m.service.requireCommand(d, ", or name a stack that gives one")
	case m.stack.ok():
		m.service.requireCommand(d, "; the stack gives none")
	}
}

// refuseBeside reports what has no meaning for a machine.
func (m *manifest) refuseBeside(d *decoder) {
	if m.chroot.on {
		d.at(m.chroot.at, "chroot", "cannot stand beside a machine", "a machine has a root directory of its own")
	}
	if w := &m.service.wrapper; w.given() {
		d.at(w.src, w.key, "cannot stand beside a machine", "it would run inside it")
	}
}
