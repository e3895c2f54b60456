package adopt

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// setting is one directive with what all files together assign to it.
type setting struct {
	section, name string
	values        []string
	// reset: an assignment of nothing stood before them. It is kept where that is
	// not the same as no assignment at all.
	reset bool
}

func (s setting) id() string { return s.section + "." + s.name }

// last is the value that counts where systemd keeps one.
func (s setting) last() string {
	if len(s.values) == 0 {
		return ""
	}
	return s.values[len(s.values)-1]
}

// text is what is assigned, for people.
func (s setting) text() string {
	if !s.list() {
		return s.last()
	}
	return strings.Join(s.values, "; ")
}

// words are the words of all values, for the lists of plain words.
func (s setting) words() []string {
	var all []string
	for _, v := range s.values {
		all = append(all, strings.Fields(v)...)
	}
	return all
}

// known reports whether systemd has such a setting.
func (s setting) known() bool {
	_, ok := unit.Lookup(s.section, s.name)
	return ok
}

// list reports whether its assignments add up.
func (s setting) list() bool {
	d, _ := unit.Lookup(s.section, s.name)
	return d.List
}

// read merges the files of the service into settings, with the specifiers of its
// name filled in. Drop-ins that are read for the rendered unit as well stay out.
func (a *adoption) read() error {
	stay := dropInNames(a.result.Rendered)[1:]
	var kept []File
	for i, f := range a.service.Files {
		if i > 0 && !a.loose && slices.Contains(stay, path.Base(path.Dir(f.Path))) {
			kept = append(kept, f)
			continue
		}
		a.result.Files = append(a.result.Files, f.Path)
	}
	all := merger{name: a.name, systemd: a.systemd, sections: []string{"Unit", "Service", "Install"}}
	own := merger{name: a.name, systemd: a.systemd, sections: all.sections}
	for i, f := range a.service.Files {
		all.fragment, own.fragment = a.service.Files[0].Path, a.service.Files[0].Path
		if i > 0 && slices.Contains(kept, f) {
			a.changef("%s is not part of the manifest: it goes on to be read for %s", f.Path, a.result.Rendered)
			if err := all.add(f); err != nil {
				return err
			}
			continue
		}
		for _, m := range []*merger{&all, &own} {
			if err := m.add(f); err != nil {
				return err
			}
		}
	}
	a.settings = own.settings
	for _, s := range own.ignored {
		a.gap(s, "systemd ignores it, too")
	}
	a.shadowed(kept, all.settings)
	return nil
}

// shadowed notes where a drop-in that stays would win over one that was merged,
// and did not before.
func (a *adoption) shadowed(kept []File, all []setting) {
	late := merger{name: a.name, systemd: a.systemd, sections: []string{"Unit", "Service", "Install"}, settings: slices.Clone(a.settings)}
	for i := range late.settings {
		late.settings[i].values = slices.Clone(late.settings[i].values)
	}
	for _, f := range kept {
		if late.add(f) != nil {
			return // reported already
		}
	}
	for _, id := range compare(effective(all), effective(late.settings)) {
		a.gap(id+"="+textOf(all, id), "a drop-in for several units makes it %q: it is read later than the manifest's own", textOf(late.settings, id))
	}
}

// merger puts the files of a unit together as systemd does.
type merger struct {
	name     unitName
	fragment string
	systemd  int // the version that reads them; 0: the newest
	sections []string
	settings []setting
	ignored  []string // as Section.Name=value
}

// add reads one more file.
func (m *merger) add(f File) error {
	parsed, err := unit.Parse(f.Text)
	if err != nil {
		return invalid(fmt.Sprintf("%s: %v", f.Path, err), "systemd ignores such a line; mend or remove it")
	}
	for _, section := range parsed.Sections {
		if strings.HasPrefix(section.Name, "X-") {
			continue // for other programs
		}
		for _, o := range section.Options {
			switch {
			case strings.HasPrefix(o.Name, "X-"):
			case !slices.Contains(m.sections, section.Name):
				m.ignored = append(m.ignored, section.Name+"."+o.Name+"="+o.Value)
			default:
				m.assign(section.Name, o.Name, o.Value)
			}
		}
	}
	return nil
}

// assign takes one assignment.
func (m *merger) assign(section, name, value string) {
	section, name = canonical(section, name)
	if section == "Service" && name == "TimeoutSec" {
		m.assign(section, "TimeoutStartSec", value)
		m.assign(section, "TimeoutStopSec", value)
		return
	}
	value = m.resolve(section, name, value)
	s := m.find(section, name)
	d, _ := unit.Lookup(section, name)
	switch {
	case !s.known(), d.IsGone(m.systemd):
		m.settings = slices.DeleteFunc(m.settings, func(x setting) bool { return x.id() == section+"."+name })
		m.ignored = append(m.ignored, section+"."+name+"="+value)
	case value != "" || !s.list():
		s.values = append(s.values, value)
	case isDependency(section, name): // they cannot be taken back
	default:
		m.reset(s)
	}
}

// find gives the setting of that name, made at the end when there is none.
func (m *merger) find(section, name string) *setting {
	for i := range m.settings {
		if m.settings[i].section == section && m.settings[i].name == name {
			return &m.settings[i]
		}
	}
	m.settings = append(m.settings, setting{section: section, name: name})
	return &m.settings[len(m.settings)-1]
}

// reset takes back what a list holds. Conditions, assertions and the addresses of a
// socket are one list each under many names.
func (m *merger) reset(s *setting) {
	s.values, s.reset = nil, true
	for _, family := range []string{"Unit.Condition", "Unit.Assert", "Socket.Listen"} {
		if !strings.HasPrefix(s.id(), family) {
			continue
		}
		s.reset = false // written again it would take back those of the family that came later
		for i := range m.settings {
			if strings.HasPrefix(m.settings[i].id(), family) {
				m.settings[i].values = nil
			}
		}
	}
}

// resolve fills in what the unit's name gives, so that it does not change with it.
func (m *merger) resolve(section, name, value string) string {
	escape := func(v string) string { return strings.ReplaceAll(v, "%", "%%") }
	switch {
	case isCommand(name) || name == "Environment":
		escape = func(v string) string {
			return strings.NewReplacer("%", "%%", `\`, `\\`, " ", `\x20`, "\t", `\t`, `"`, `\"`, `'`, `\'`, ";", `\x3b`).Replace(v)
		}
	case isDependency(section, name), section == "Install", name == "EnvironmentFile": // backslashes stay
	default:
		if (setting{section: section, name: name}).list() && !strings.HasPrefix(name, "Condition") && !strings.HasPrefix(name, "Assert") {
			escape = func(v string) string { return strings.NewReplacer("%", "%%", `\`, `\\`).Replace(v) }
		}
	}
	value = expand(value, ownSpecifiers(m.name, m.fragment), escape, func(s string) string { return s })
	if !isDependency(section, name) {
		return value
	}
	words := strings.Fields(value)
	for i, w := range words { // systemd gives a template the unit's own instance, or its name
		if n, ok := splitName(w); ok && n.template {
			n.template, n.instance = false, m.name.instance
			if n.instance == "" {
				n.instance = m.name.prefix
			}
			words[i] = n.String()
		}
	}
	return strings.Join(words, " ")
}

// isCommand reports whether a setting holds commands.
func isCommand(name string) bool {
	return strings.HasPrefix(name, "Exec") && name != "ExecPaths" && name != "ExecSearchPath"
}

// isDependency reports whether a setting of [Unit] adds dependencies on units.
func isDependency(section, name string) bool {
	switch name {
	case "After", "Before", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts",
		"OnFailure", "OnSuccess", "PropagatesReloadTo", "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom",
		"JoinsNamespaceOf", "RequiresMountsFor", "WantsMountsFor":
		return section == "Unit"
	case "Sockets":
		return section == "Service"
	}
	return false
}

// canonical is the present name of a setting that systemd still takes under an
// older one.
func canonical(section, name string) (string, string) {
	switch section + "." + name {
	case "Unit.StartLimitInterval", "Service.StartLimitInterval":
		return "Unit", "StartLimitIntervalSec"
	case "Service.StartLimitBurst", "Service.StartLimitAction", "Service.FailureAction", "Service.RebootArgument":
		return "Unit", name
	case "Unit.BindTo":
		return "Unit", "BindsTo"
	case "Unit.PropagateReloadTo":
		return "Unit", "PropagatesReloadTo"
	case "Unit.PropagateReloadFrom":
		return "Unit", "ReloadPropagatedFrom"
	case "Unit.RequiresOverridable":
		return "Unit", "Requires"
	case "Unit.RequisiteOverridable":
		return "Unit", "Requisite"
	case "Service.ReadWriteDirectories", "Service.ReadOnlyDirectories", "Service.InaccessibleDirectories":
		return section, strings.TrimSuffix(name, "Directories") + "Paths"
	}
	return section, name
}
