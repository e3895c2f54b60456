package plan

import (
	"slices"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// passThrough puts the [systemd.*] tables of the given sections at the end of
// theirs. What they set stands alone where systemd keeps one value, and behind
// ours where it keeps a list, unless they reset that first: so the file holds
// what it says.
func (b *builder) passThrough(f *unit.File, s *landfast.Service, sections ...string) {
	dropped := map[string]bool{}
	for _, d := range b.passed(s) {
		if !slices.Contains(sections, d.Section) {
			continue
		}
		if reset, id := b.replaces(d), d.Section+"."+d.Name; reset && !dropped[id] {
			f.Section(d.Section).Drop(d.Name)
			dropped[id] = true
		}
		b.add(f, d.Section, d.Name, d.Value)
	}
}

// passed are the settings that are passed through for a service: the tables of
// the app are those of the main one.
func (b *builder) passed(s *landfast.Service) []landfast.Directive {
	if s.Unit == b.app.Main().Unit {
		return slices.Concat(b.app.Systemd, s.Systemd)
	}
	return s.Systemd
}

// passedValue is the last value that is passed through for a directive of
// [Service].
func (b *builder) passedValue(s *landfast.Service, name string) string {
	value := ""
	for _, d := range b.passed(s) {
		if d.Section == "Service" && d.Name == name {
			value = d.Value
		}
	}
	return value
}

// replaces reports whether a directive takes the place of ours.
func (b *builder) replaces(d landfast.Directive) bool {
	known, ok := unit.Lookup(d.Section, d.Name)
	return ok && (!known.List || d.Value == "")
}
