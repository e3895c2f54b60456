package unit

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Directive is one of systemd's settings in the section of a unit file, as its
// parsers have it. Versions are those of its documentation, and agree with the
// parsers of versions 247, 252, 257 and 262.
type Directive struct {
	Section    string
	Name       string
	Since      int    // the first systemd version that knows it here; 0: older than 219
	Gone       int    // the first that ignores it again; 0: the newest still knows it
	Replaces   string // what took the same values before Since, as "Section.Name"; "": nothing did
	ReplacedBy string // what took the place of a deprecated one, as "Section.Name"; "": nothing did
	List       bool   // assignments add up, and an empty one takes them back (but for those that name units, as After=)
}

// Newest is the version of systemd that the table ends with.
const Newest = 262

// table has a line for each directive: the sections, the name, since-gone, and
// marks. It is made by internal/gen/directives; its lines are sorted by name.
//
//go:embed directives.txt
var table string

// Sections lists the sections of unit files that the table has, in the order
// they are written in.
func Sections() []string {
	return []string{"Unit", "Service", "Socket", "Path", "Timer", "Install"}
}

// Names lists the directives of a section, sorted.
func Names(section string) []string { return slices.Clone(directives().names[section]) }

// Lookup finds a directive. A section that takes the settings of processes and
// of their resources (Service, Socket) has them as its own.
func Lookup(section, name string) (Directive, bool) {
	d, ok := directives().byID[section+"."+name]
	return d, ok
}

// SectionsOf lists the sections that have a directive of that name.
func SectionsOf(name string) []string {
	return slices.DeleteFunc(Sections(), func(section string) bool {
		_, ok := Lookup(section, name)
		return !ok
	})
}

// Known reports whether systemd of that version heeds the directive; version 0
// is the newest.
func (d Directive) Known(version int) bool {
	if version == 0 {
		return d.Gone == 0
	}
	return version >= d.Since && (d.Gone == 0 || version < d.Gone)
}

// IsGone reports whether systemd of that version ignores what older ones knew.
func (d Directive) IsGone(version int) bool {
	return d.Gone != 0 && (version == 0 || version >= d.Gone)
}

// index is the table as it is asked.
type index struct {
	byID  map[string]Directive // by "Section.Name"
	names map[string][]string  // by section
}

// directives reads the table, once.
var directives = sync.OnceValue(func() *index {
	x := &index{byID: map[string]Directive{}, names: map[string][]string{}}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] == "#" {
			continue
		}
		for section := range strings.SplitSeq(f[0], ",") {
			x.byID[section+"."+f[1]] = directive(section, f[1], f[2:])
			x.names[section] = append(x.names[section], f[1])
		}
	}
	return x
})

// directive reads the fields of a line behind the name.
func directive(section, name string, fields []string) Directive {
	d := Directive{Section: section, Name: name}
	since, gone, _ := strings.Cut(fields[0], "-")
	// A test reads the whole table and compares it with systemd's parsers.
	d.Since, _ = strconv.Atoi(since)
	d.Gone, _ = strconv.Atoi(gone)
	for _, mark := range fields[1:] {
		key, value, _ := strings.Cut(mark, "=")
		if value != "" && !strings.Contains(value, ".") {
			value = section + "." + value
		}
		switch key {
		case "list":
			d.List = true
		case "was":
			d.Replaces = value
		case "now":
			d.ReplacedBy = value
		}
	}
	return d
}
