package adopt

import (
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// addition is a line that a plan has in every unit, and how the manifest of a
// service without it keeps it away.
type addition struct {
	section, name string
	// Either a key of [service] with its value as TOML, or a value of systemd's.
	key, value string
	pass       []string
	why        string
	when       func(a *adoption) bool // nil: always
}

// additions are all of them. A default of systemd's is written out where systemd
// warns of an assignment of nothing, and there is no key that leaves the line out.
func additions() []addition {
	socket := func(a *adoption) bool { return a.socket != nil }
	return []addition{
		{section: "Unit", name: "After", pass: []string{""}, why: "not after network.target"},
		{section: "Unit", name: "Requires", pass: []string{""}, when: socket, why: "the service runs without its socket, too"},
		{section: "Unit", name: "AssertPathExists", pass: []string{""}, why: "it starts without a release"},
		{section: "Unit", name: "StartLimitIntervalSec", pass: []string{"10s"}, why: "systemd's default; a plan has no limit"},
		{section: "Service", name: "Type", key: "type", why: "what systemd takes it for"},
		{section: "Service", name: "WorkingDirectory", pass: []string{""}, why: "not the release"},
		{section: "Service", name: "Environment", pass: []string{""}, why: "no LANG and no names of directories"},
		{section: "Service", name: "Restart", key: "restart", value: `"no"`, why: "systemd's default; a plan has always"},
		{section: "Service", name: "RestartSec", key: "restart_delay", value: `"100ms"`, why: "systemd's default"},
		{section: "Service", name: "SyslogIdentifier", key: "identifier", value: `""`, why: "systemd's default, the program"},
		{section: "Service", name: "UMask", key: "umask", value: `"0022"`, why: "systemd's default"},
		{section: "Service", name: "LimitNOFILE", key: "limit_nofile", value: `0`, why: "systemd's default"},
		{section: "Service", name: "NonBlocking", pass: []string{"no"}, when: socket, why: "systemd's default"},
		{section: "Service", name: "ReadWritePaths", pass: []string{""}, when: (*adoption).opensShared, why: "not the directory that releases share"},
		{section: "Service", name: "SupplementaryGroups", pass: []string{""}, when: (*adoption).dynamic, why: "not the group of the releases"},
		{section: "Install", name: "WantedBy", pass: []string{""}, why: "nothing starts it by itself"},
	}
}

// plansList reports whether a plan has a list of that name in every unit, so that
// it has to be taken back before another stands alone.
func plansList(id string) bool {
	for _, n := range additions() {
		d, _ := unit.Lookup(n.section, n.name)
		if n.section+"."+n.name == id {
			return d.List
		}
	}
	return false
}

// neutral keeps away what a plan adds and the service does not have.
func (a *adoption) neutral() {
	for _, n := range additions() {
		s := a.get(n.section, n.name)
		if len(s.values) > 0 || s.reset || n.when != nil && !n.when(a) {
			continue
		}
		if why, left := a.leaves(n); left {
			a.gap(s.id()+"=", "%s", why)
			continue
		}
		switch {
		case n.key == "type":
			a.impliedType(n.why)
		case n.key == "restart" && a.typeKey() == "oneshot": // it is the default there
		case n.key != "":
			a.doc.set(&a.doc.service, n.key, n.value, n.why)
		default:
			a.doc.passLine(n.section, line{key: n.name, value: passed(n.pass, s.list()), why: n.why})
		}
	}
	if slice := a.instanceSlice(); slice != "" && a.get("Service", "Slice").last() == "" {
		why := "where systemd puts the instances of " + a.name.prefix + "@.service"
		a.doc.passLine("Service", line{key: "Slice", value: tomlString(slice), why: why})
	}
}

// leaves reports whether what would keep an addition away was refused, and why.
func (a *adoption) leaves(n addition) (why string, left bool) {
	if why, left = a.left[n.section+"."+n.name]; !left && n.key != "" {
		why, left = a.left["service."+n.key]
	}
	return why, left
}

// impliedType writes the type of a service that does not say.
func (a *adoption) impliedType(why string) {
	a.doc.set(&a.doc.service, "type", tomlString(a.typeKey()), why)
	if t := implied(a.get); t != a.typeKey() {
		a.doc.passLine("Service", line{key: "Type", value: tomlString(t)})
	}
}

// instanceSlice is the slice that systemd puts an instance in, with the others of
// its template; "" where it does not.
func (a *adoption) instanceSlice() string {
	if a.name.instance == "" {
		return ""
	}
	return "system-" + strings.ReplaceAll(a.name.prefix, "-", `\x2d`) + ".slice"
}

// opensShared reports whether a plan would open the shared directory in a file
// system that is read-only.
func (a *adoption) opensShared() bool {
	return !a.dynamic() && (a.get("Service", "ProtectSystem").last() == "strict" || a.get("Service", "ProtectHome").last() == "read-only")
}

func (a *adoption) dynamic() bool { return truth(a.get("Service", "DynamicUser").last()) == "yes" }
