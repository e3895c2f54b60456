package adopt

import "github.com/landfast/landfast/internal/unit"

// accounts writes whom the service runs as.
func (a *adoption) accounts() {
	a.user, a.group = a.account("User"), a.account("Group")
	user, group := a.user, a.group
	if a.dynamic() {
		a.doc.set(&a.doc.top, "dynamic_user", "true", "")
		return // verify says where the names differ
	}
	takeBack := func(name, why string) {
		a.doc.passLine("Service", line{key: name, value: `""`, why: why})
	}
	if user == "" {
		a.doc.set(&a.doc.top, "user", `"root"`, "")
		takeBack("User", "root, without variables for its home and shell")
		user = "root"
	} else {
		a.doc.set(&a.doc.top, "user", tomlString(user), "")
	}
	switch {
	case group == "":
		takeBack("Group", "that of the user")
	case group != user:
		a.doc.set(&a.doc.top, "group", tomlString(group), "")
	}
}

// account is the account that a setting names, "" for none. One that no manifest
// can name is replaced by the app's.
func (a *adoption) account(name string) string {
	s := a.get("Service", name)
	if s.last() == "" {
		return ""
	}
	v, ok := literal(s.last())
	if !ok || !unit.IsUserName(v) || !lower(v) {
		if !a.dynamic() {
			a.gap("Service."+name+"="+s.last(), "the key %s takes names of lower-case letters, digits, - and _ only; the manifest has %q", map[string]string{"User": "user", "Group": "group"}[name], a.app)
		}
		return a.app
	}
	return v
}

func lower(s string) bool {
	for _, r := range s {
		if 'A' <= r && r <= 'Z' {
			return false
		}
	}
	return true
}
