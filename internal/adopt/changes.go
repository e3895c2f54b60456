package adopt

import (
	"path"
	"slices"
	"strings"
)

// header are the comments at the top of the manifest.
func (a *adoption) header() string {
	var b strings.Builder
	b.WriteString("# Adopted from " + a.service.Name + ":\n")
	for _, f := range a.result.Files {
		b.WriteString("#   " + f + "\n")
	}
	b.WriteString("# The unit made of it has the same settings. Lines with a remark behind them only keep\n" +
		"# away what Landfast would set otherwise: take them out one by one, as you see fit.\n\n")
	return b.String()
}

// changes notes what is different by nature once the manifest is applied.
func (a *adoption) changes() {
	rendered := a.result.Rendered
	late := a.result.Changes
	a.result.Changes = []string{}
	unitPath := "/etc/systemd/system/" + rendered
	if a.loose {
		a.changef("the unit file is %s", unitPath)
	} else if fragment := a.service.Files[0].Path; fragment == unitPath {
		a.changef("apply writes %s and refuses to while yours is there: move it away first", unitPath)
	} else {
		a.changef("the unit file is %s instead of %s", unitPath, fragment)
	}
	if rendered != a.service.Name {
		a.changef("the unit is called %s instead of %s: stop and disable the old one; units that name it go on naming the old one", rendered, a.service.Name)
	}
	for _, f := range a.service.Files[1:] {
		if path.Base(path.Dir(f.Path)) == rendered+".d" && !a.loose {
			a.changef("%s is in the manifest and would be read again: remove it", f.Path)
		}
	}
	a.changedAccounts()
	a.changef("directories are made for releases: /srv/%s and what is in it, /var/lib/landfast/%s", a.app, a.app)
	switch {
	case a.loose:
	case !a.service.Enabled && installed(a.settings):
		a.changef("the service is not enabled now; apply enables it, so that it starts with the machine")
	case !installed(a.settings):
		a.changef("the service has no [Install]: apply cannot enable it, and what starts it now has to go on doing so")
	}
	if a.socket != nil && a.socket.unit.Name != a.app+".socket" {
		a.changef("the socket is called %s.socket instead of %s: stop and disable the old one", a.app, a.socket.unit.Name)
	}
	a.result.Changes = append(a.result.Changes, late...)
}

// changedAccounts tells which accounts a plan makes.
func (a *adoption) changedAccounts() {
	if a.dynamic() {
		a.changef("a group is made that may read the releases: %s-code", a.app)
		return
	}
	var names []string
	for _, n := range []string{a.user, a.group} {
		if n != "" && n != "root" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) > 0 {
		a.changef("%s is made, should it be missing; a purge of the app removes only what was made for it", strings.Join(names, " and group "))
	}
	a.changef("the account landfast is made, which owns releases")
}
