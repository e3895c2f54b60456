package plan

import (
	"fmt"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// add puts a directive into a unit file as the host's systemd knows it: under
// its former or its later name, if that takes the same values, or not at all.
// Whatever is not what was asked for is a note.
func (b *builder) add(f *unit.File, section, name, value string) {
	d, ok := unit.Lookup(section, name)
	switch {
	case !ok:
		f.Section(section).Add(name, value)
	case d.IsGone(b.version):
		b.addLater(f, d, value)
	case d.Known(b.version):
		f.Section(section).Add(name, value)
		if later, ok := lookup(d.ReplacedBy); ok && later.Known(b.version) {
			b.notef("%s is deprecated: use %s", directiveName(d, ""), directiveName(later, section))
		}
	case d.Replaces == "":
		b.notef("%s does not know %s= (since %d): left out", b.systemd(), name, d.Since)
	default:
		former, _ := lookup(d.Replaces)
		f.Section(former.Section).Add(former.Name, value)
		b.notef("%s does not know %s= (since %d): %s stands in", b.systemd(), name, d.Since, directiveName(former, ""))
	}
}

// addLater adds what took the place of a directive that systemd ignores by now,
// if it takes the same values.
func (b *builder) addLater(f *unit.File, d unit.Directive, value string) {
	later, ok := lookup(d.ReplacedBy)
	switch {
	case ok && later.Replaces == d.Section+"."+d.Name:
		f.Section(later.Section).Add(later.Name, value)
		b.notef("%s ignores %s= (since %d): %s stands in", b.systemd(), d.Name, d.Gone, directiveName(later, d.Section))
	case ok:
		b.notef("%s ignores %s= (since %d): left out; %s took its place, with other values", b.systemd(), d.Name, d.Gone, directiveName(later, d.Section))
	default:
		b.notef("%s ignores %s= (since %d): left out", b.systemd(), d.Name, d.Gone)
	}
}

// lookup finds a directive by "Section.Name".
func lookup(id string) (unit.Directive, bool) {
	section, name, _ := strings.Cut(id, ".")
	return unit.Lookup(section, name)
}

// directiveName names a directive for people, with its section where that is not
// the one they are in.
func directiveName(d unit.Directive, section string) string {
	if d.Section == section {
		return d.Name + "="
	}
	return d.Name + "= in [" + d.Section + "]"
}

// systemd names the host's systemd.
func (b *builder) systemd() string {
	if b.version == 0 {
		return "the newest systemd"
	}
	return fmt.Sprintf("systemd %d", b.version)
}
