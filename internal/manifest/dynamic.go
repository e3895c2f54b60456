package manifest

import "github.com/landfast/landfast"

// dynamic changes the defaults that an account which systemd makes up cannot
// have. Releases must be readable to a group that is there when nothing runs,
// and a group called like the account would keep systemd from making one
// (systemd.exec(5), DynamicUser=).
func (m *manifest) dynamic(d *decoder) {
	if !m.dynamicUser.on {
		return
	}
	for t, def := range map[*text]string{&m.group: `"${user}-code"`, &m.socket.user: `"root"`} {
		m.redefine(d, t, def)
	}
	for _, e := range m.services.list {
		m.redefine(d, &e.socket.user, `"root"`)
	}
}

// redefine gives t another default.
func (m *manifest) redefine(d *decoder, t *text, def string) {
	if t.src == nil || t.given() {
		return
	}
	n := defaultNode(def)
	t.src, t.parts = n, d.parts(t.key, n.text, n, nil)
}

// checkDynamic refuses what would belong to an account that changes, so that it
// could not be read after the next start, or by another one.
func (m *manifest) checkDynamic(d *decoder) {
	if !m.dynamicUser.on {
		return
	}
	const why = " cannot stand beside dynamic_user"
	refuse := func(t *text, hint string) {
		if t.given() {
			d.flaw(t, &flaw{t.key + why, hint})
		}
	}
	refuse(&m.user, "systemd makes the account up; remove one of the two")
	refuse(&m.paths.shared, "what lies there would belong to an account that changes: use [dirs] state, which systemd hands over at each start")
	for _, t := range d.texts {
		for _, p := range t.parts {
			if p.ref == "shared_dir" && t.given() {
				d.add(t.src.src, p.pos, t.key, "${shared_dir}"+why, "what lies there would belong to an account that changes: use ${state_dir}, which systemd hands over at each start")
			}
		}
	}
	if m.group.given() && m.group.value == m.user.value && m.group.ok() {
		d.flaw(&m.group, &flaw{"a group called like the account keeps systemd from making one", "leave it out, or name another group"})
	}
	for _, one := range m.dirs.all() {
		switch {
		case !one.on:
		case one.kind == landfast.TmpDir:
			d.at(one.location.src, one.location.key, "the directory tmp"+why, "it is not systemd's and would belong to an account that changes: use cache")
		default:
			refuse(&one.base, "systemd hands over only directories below its own base")
		}
	}
	if m.service.what.value == string(landfast.KindNspawn) {
		d.at(m.dynamicUser.src, "dynamic_user", "is not for a machine", "private_users in [machine] is what a machine has")
	}
}
