package adopt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// verify notes every setting that the unit of the plan has otherwise than the
// original, whatever the reason, and what strict would add.
func (a *adoption) verify(app *landfast.App, text string) error {
	rendered, err := a.rendered(text)
	if err != nil {
		return err
	}
	want, got := effective(a.settings), effective(rendered)
	if want["Service.Slice"] == "" && a.name.instance != "" {
		want["Service.Slice"] = a.instanceSlice()
	}
	if app.DynamicUser {
		a.madeUp(want, got)
	}
	if a.socket != nil {
		for _, m := range []map[string]string{want, got} { // systemd orders them by itself
			m["Unit.After"] = without(m["Unit.After"], a.app+".socket")
		}
	}
	for _, id := range compare(want, got) {
		if slices.ContainsFunc(a.result.CannotExpress, func(g Gap) bool { return strings.HasPrefix(g.Setting, id+"=") }) {
			continue
		}
		if had := textOf(rendered, id); had != "" {
			a.gap(id+"="+textOf(a.settings, id), "a plan has %q", had)
		} else {
			a.gap(id+"="+textOf(a.settings, id), "a plan has no such line")
		}
	}
	return a.strict(rendered)
}

// madeUp notes when an account that systemd makes up is called otherwise: the key
// that makes it so calls it as the unit, and so does systemd by itself.
func (a *adoption) madeUp(want, got map[string]string) {
	user, now := want["Service.User"], got["Service.User"]
	if user == "" {
		user = a.name.prefix
	}
	delete(want, "Service.User")
	delete(got, "Service.User")
	if user == now {
		return
	}
	a.gap("Service.User="+user, "an account that systemd makes up is called as the unit, %q", now)
	if want["Service.Group"] == "" {
		a.gap("Service.Group="+user, "it is called as the account, %q", now)
	}
}

// textOf is what settings assign to one.
func textOf(settings []setting, id string) string {
	for _, s := range settings {
		if s.id() == id {
			return s.text()
		}
	}
	return ""
}

// rendered reads a unit of a plan as the host would.
func (a *adoption) rendered(text string) ([]setting, error) {
	m := merger{name: unitName{prefix: a.app, suffix: ".service"}, systemd: a.systemd, sections: []string{"Unit", "Service", "Install"}}
	err := m.add(File{Path: a.result.Rendered, Text: text})
	return m.settings, err
}

// strict lists the lines that the profile strict adds to the unit.
func (a *adoption) strict(none []setting) error {
	_, text, err := a.build("strict")
	if err != nil {
		return err
	}
	strict, err := a.rendered(text)
	if err != nil {
		return err
	}
	lines, err := unit.Profile("strict")
	if err != nil {
		return err
	}
	before := map[string]setting{}
	for _, s := range none {
		before[s.id()] = s
	}
	for _, s := range strict {
		for _, v := range added(before[s.id()], s) {
			a.result.WouldAdd = append(a.result.WouldAdd, Line{Setting: s.name + "=" + v, Takes: reason(lines, s.name, v)})
		}
	}
	for _, l := range lines {
		own := before["Service."+l.Directive]
		if own.list() || own.last() == "" || truth(own.last()) == truth(l.Value) {
			continue
		}
		a.result.WouldAdd = append(a.result.WouldAdd, Line{Setting: l.Directive + "=" + l.Value, Takes: l.Reason, Kept: own.last()})
	}
	return nil
}

// added are the values that s has more than had.
func added(had, s setting) []string {
	if s.reset && !had.reset && len(s.values) == 0 {
		return []string{""}
	}
	var values []string
	for _, v := range s.values {
		if !slices.ContainsFunc(had.values, func(h string) bool { return spaceless(h) == spaceless(v) || truth(h) == truth(v) && !s.list() }) {
			values = append(values, v)
		}
	}
	return values
}

func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }

// reason is what a line of the profile takes from a service.
func reason(lines []unit.Line, name, value string) string {
	of := ""
	for _, l := range lines {
		if l.Directive != name {
			continue
		}
		if l.Value == value {
			return l.Reason
		}
		of = l.Reason
	}
	if of == "" && name == "ReadWritePaths" {
		return "nothing: it may write there all the same"
	}
	return of
}

// compare lists what differs, by name.
func compare(want, got map[string]string) []string {
	var found []string
	ids := maps.Clone(want)
	maps.Copy(ids, got)
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if want[id] != got[id] {
			found = append(found, id)
		}
	}
	return found
}

// effective is what the settings of a unit come to, in a form in which two that
// mean the same are the same.
func effective(settings []setting) map[string]string {
	m := map[string]string{}
	for _, s := range settings {
		if v := normal(s); v != "" && s.id() != "Unit.Description" && s.id() != "Install.DefaultInstance" {
			m[s.id()] = v
		}
	}
	get := func(section, name string) setting {
		for _, s := range settings {
			if s.section == section && s.name == name {
				return s
			}
		}
		return setting{}
	}
	for id, v := range map[string]string{
		"Service.Type": implied(get), "Service.Restart": "no", "Service.RestartSec": "100ms", "Service.UMask": "22",
		"Unit.StartLimitIntervalSec": "10s", "Service.NonBlocking": "no",
		"Service.RuntimeDirectoryMode": "755", "Service.StateDirectoryMode": "755", "Service.CacheDirectoryMode": "755", "Service.LogsDirectoryMode": "755",
		"Service.RuntimeDirectoryPreserve": "no",
	} {
		if m[id] == "" {
			m[id] = v
		}
	}
	return m
}

// normal is one setting in that form.
func normal(s setting) string {
	switch {
	case isDependency(s.section, s.name) || s.section == "Install":
		words := s.words()
		slices.Sort(words)
		return strings.Join(slices.Compact(words), " ")
	case isCommand(s.name):
		return strings.Join(each(s.values, commandLine), "\n")
	case s.name == "Environment":
		words, err := unit.Words(strings.Join(s.values, " "))
		if err != nil {
			return strings.Join(s.values, "\n")
		}
		return strings.Join(each(words, func(w string) string { return fmt.Sprintf("%q", w) }), " ")
	case s.name == "CapabilityBoundingSet" && s.reset: // none, which is not all
		return "\n" + strings.Join(each(s.values, spaced), "\n")
	case s.list():
		return strings.Join(each(s.values, spaced), "\n")
	}
	return normalValue(s.name, s.last())
}

// normalValue is the one value of a setting in that form.
func normalValue(name, value string) string {
	switch name {
	case "SyslogIdentifier", "WorkingDirectory", "User", "Group", "Slice":
		if v, ok := literal(value); ok {
			return strings.ReplaceAll(v, "%", "%%")
		}
		return value
	}
	if (strings.HasSuffix(name, "Mode") || name == "UMask") && modes.MatchString(value) {
		return strings.TrimLeft(value[:len(value)-1], "0") + value[len(value)-1:]
	}
	if d, ok := span(value); ok && strings.HasSuffix(name, "Sec") {
		return d.String()
	}
	return truth(spaced(value))
}

// commandLine is a command with the quoting taken off.
func commandLine(v string) string {
	words, err := unit.Words(v)
	if err != nil {
		return v
	}
	if len(words) > 0 {
		prefix, program := cutPrefix(words[0])
		sorted := strings.Split(prefix, "")
		slices.Sort(sorted) // their order means nothing
		words[0] = strings.Join(sorted, "") + program
	}
	return strings.Join(each(words, func(w string) string {
		same := func(s string) string { return s }
		plain := expand(w, systemSpecifiers(), func(s string) string { return strings.ReplaceAll(s, "%", "%%") }, same)
		return fmt.Sprintf("%q", plain)
	}), " ")
}

func each(values []string, f func(string) string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}

// spaced has one space between words.
func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// truth writes a truth value in one way.
func truth(s string) string {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return "yes"
	case "0", "no", "n", "false", "f", "off":
		return "no"
	}
	return s
}

// without takes a word out of a list.
func without(list, word string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(list), func(w string) bool { return w == word }), " ")
}
